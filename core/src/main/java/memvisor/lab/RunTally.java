package memvisor.lab;

import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import memvisor.machine.ExitReason;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.pc.PcMachine;
import memvisor.mmu.TechniqueStatistics;
import memvisor.tlb.TlbCounters;

/**
 * What a machine has counted at one moment, or between two.
 *
 * @param exits by the reason's name; reasons without exits are left out
 * @param tableFrames at the later moment: a level, not a count
 */
record RunTally(
    long instructions,
    Map<String, Long> exits,
    TlbCounters tlb,
    RunResult.SoftwareWalks software,
    long tableFrames,
    long nanos) {
  static final RunTally NOTHING =
      new RunTally(
          0,
          Map.of(),
          new TlbCounters(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
          RunResult.SoftwareWalks.NONE,
          0,
          0);

  static RunTally of(PcMachine machine) {
    TechniqueStatistics technique = machine.technique().statistics();
    Map<String, Long> exits = new TreeMap<>();
    machine.exits().counts().forEach((reason, count) -> exits.put(reason.name(), count));
    return new RunTally(
        machine.instructions(),
        exits,
        machine.unit().counters(),
        RunResult.SoftwareWalks.of(technique),
        technique.tableFrames(),
        System.nanoTime());
  }

  RunTally since(RunTally earlier) {
    Map<String, Long> difference = new TreeMap<>(exits);
    earlier.exits.forEach((reason, count) -> difference.merge(reason, -count, Long::sum));
    difference.values().removeIf(count -> count == 0);
    return new RunTally(
        instructions - earlier.instructions,
        difference,
        tlb.since(earlier.tlb),
        software.since(earlier.software),
        tableFrames,
        nanos - earlier.nanos);
  }

  /** Without one exit of {@code reason}. */
  RunTally without(ExitReason reason) {
    Map<String, Long> fewer = new TreeMap<>(exits);
    fewer.computeIfPresent(reason.name(), (name, count) -> count == 1 ? null : count - 1);
    return new RunTally(instructions, fewer, tlb, software, tableFrames, nanos);
  }

  RunResult result(
      String technique, String workload, String outcome, String check, Optional<GuestState> state) {
    return new RunResult(
        technique,
        workload,
        outcome,
        instructions,
        exits,
        tlb,
        software,
        tableFrames,
        nanos,
        check,
        state);
  }

  /** How a run ended, in a few words. */
  static String describe(RunOutcome outcome) {
    return switch (outcome) {
      case RunOutcome.DebugExit exit ->
          exit.value() == 0 ? "ended" : "ended itself with code " + exit.value();
      case RunOutcome.PoweredOff off -> "powered off";
      case RunOutcome.Reset reset -> "reset itself";
      case RunOutcome.Died died -> "died: " + died.reason();
      case RunOutcome.LimitReached limit -> "gave up at the time limit";
      case RunOutcome.Stopped stopped -> "stopped";
    };
  }
}
