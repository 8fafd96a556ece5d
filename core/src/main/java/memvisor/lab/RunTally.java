package memvisor.lab;

import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import memvisor.machine.ExitReason;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.VirtualMachine;
import memvisor.mmu.TechniqueStatistics;
import memvisor.tlb.TlbCounters;

/**
 * What a machine has counted at one moment, or between two.
 *
 * @param exits by the reason's name; reasons without exits are left out
 * @param counters the technique's, by name
 * @param tableFrames at the later moment: a level, not a count
 */
record RunTally(
    long instructions,
    Map<String, Long> exits,
    TlbCounters tlb,
    SortedMap<String, Long> counters,
    long tableFrames,
    long nanos) {
  static final RunTally NOTHING =
      new RunTally(
          0,
          Map.of(),
          new TlbCounters(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
          new TreeMap<>(),
          0,
          0);

  static RunTally of(VirtualMachine machine) {
    TechniqueStatistics technique = machine.statistics();
    Map<String, Long> exits = new TreeMap<>();
    machine.exits().counts().forEach((reason, count) -> exits.put(reason.name(), count));
    return new RunTally(
        machine.instructions(),
        exits,
        machine.unit().counters(),
        technique.counters(),
        technique.tableFrames(),
        System.nanoTime());
  }

  RunTally since(RunTally earlier) {
    SortedMap<String, Long> difference = difference(exits, earlier.exits);
    difference.values().removeIf(count -> count == 0);
    return new RunTally(
        instructions - earlier.instructions,
        difference,
        tlb.since(earlier.tlb),
        difference(counters, earlier.counters),
        tableFrames,
        nanos - earlier.nanos);
  }

  private static SortedMap<String, Long> difference(
      Map<String, Long> later, Map<String, Long> earlier) {
    SortedMap<String, Long> difference = new TreeMap<>(later);
    earlier.forEach((name, count) -> difference.merge(name, -count, Long::sum));
    return difference;
  }

  /** Without one marker of the measured section: its exit, and its instruction if it retired. */
  RunTally withoutMarker(TechniqueKind technique) {
    ExitReason reason =
        technique.isParavirtual() ? ExitReason.PRIVILEGED_INSTRUCTION : ExitReason.IO_INSTRUCTION;
    SortedMap<String, Long> fewer = new TreeMap<>(exits);
    fewer.computeIfPresent(reason.name(), (name, count) -> count == 1 ? null : count - 1);
    // An instruction that the monitor performs for a guest in ring 3 does not retire.
    long own = technique.isParavirtual() ? instructions : instructions - 1;
    return new RunTally(own, fewer, tlb, counters, tableFrames, nanos);
  }

  RunResult result(
      TechniqueKind technique,
      String workload,
      String outcome,
      String check,
      Optional<GuestState> state) {
    return new RunResult(
        technique.word(),
        workload,
        outcome,
        instructions,
        exits,
        tlb,
        RunResult.SoftwareWalks.of(counters),
        technique.isParavirtual() ? Optional.of(ParavirtualWork.of(counters)) : Optional.empty(),
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
