package memvisor.lab;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.ExitReason;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import memvisor.tlb.TlbConfiguration;
import memvisor.tlb.TlbCounters;

/**
 * Runs the built-in guest and counts what happens in its measured section. The set-up before it
 * runs plainly; inside it, every access goes through the modelled TLB. Time is virtual, so equal
 * experiments give equal counts.
 */
public final class Experiment {
  /** The guest itself needs some 10 MiB; a PC with less than this would be odd. */
  private static final long LEAST_MEMORY_BYTES = 32L << 20;

  /** Room for a technique's tables beside guest memory. */
  private static final long TABLES_BYTES = 64L << 20;

  private final TlbConfiguration tlb;
  private final long maxNanos;

  /**
   * An experiment.
   *
   * @param tlb geometry of the modelled TLBs and caches
   * @param maxNanos wall time after which a run is given up
   */
  public Experiment(TlbConfiguration tlb, long maxNanos) {
    this.tlb = tlb;
    this.maxNanos = maxNanos;
  }

  /** Runs one workload under one technique. */
  public RunResult run(Workload workload, WorkloadParameters parameters, TechniqueKind technique) {
    long memoryBytes = Math.max(LEAST_MEMORY_BYTES, BuiltinGuest.memoryBytes(workload, parameters));
    PcConfiguration pc = PcConfiguration.of(memoryBytes, technique, ClockMode.VIRTUAL).withTlb(tlb);
    // Twice, because a partition takes one run of frames, which starts at a multiple of its size.
    try (HostMemory host = HostMemory.create(4 * Long.highestOneBit(memoryBytes) + TABLES_BYTES)) {
      Section section = new Section();
      StringBuilder console = new StringBuilder();
      try (PcMachine machine =
          new PcMachine(pc, host, value -> console.append((char) value), section::mark)) {
        section.machine = Optional.of(machine);
        machine.boot(BootRequest.of(BuiltinGuest.image(workload, parameters)));
        RunOutcome outcome = machine.run(Long.MAX_VALUE, maxNanos);
        return section.result(workload, technique, describe(outcome, console), checksum(console));
      }
    }
  }

  private static String describe(RunOutcome outcome, StringBuilder console) {
    return switch (outcome) {
      case RunOutcome.DebugExit exit ->
          exit.value() == 0 ? "ended" : "failed: " + console.toString().strip().replace('\n', ';');
      case RunOutcome.PoweredOff off -> "powered off";
      case RunOutcome.Reset reset -> "reset";
      case RunOutcome.Died died -> "died: " + died.reason();
      case RunOutcome.LimitReached limit -> "gave up at the time limit";
      case RunOutcome.Stopped stopped -> "stopped";
    };
  }

  private static String checksum(StringBuilder console) {
    return console
        .toString()
        .lines()
        .filter(line -> line.startsWith("checksum "))
        .map(line -> line.substring("checksum ".length()))
        .findFirst()
        .orElse("none");
  }

  /** The measured section of one run. */
  private static final class Section {
    private Optional<PcMachine> machine = Optional.empty();
    private TlbCounters tlb = new TlbCounters(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    private Map<ExitReason, Long> exits = Map.of();
    private long instructions;
    private long nanos;
    private long tableFrames;

    void mark(int value) {
      machine.ifPresent(
          running -> {
            switch (value) {
              case BuiltinGuest.MARK_BEGIN -> begin(running);
              case BuiltinGuest.MARK_END -> end(running);
              default -> {}
            }
          });
    }

    private void begin(PcMachine running) {
      tlb = running.unit().counters();
      exits = running.exits().counts();
      instructions = running.instructions();
      running.setMeasured(true);
      nanos = System.nanoTime();
    }

    private void end(PcMachine running) {
      nanos = System.nanoTime() - nanos;
      running.setMeasured(false);
      instructions = running.instructions() - instructions;
      tlb = running.unit().counters().since(tlb);
      exits = difference(running.exits().counts(), exits);
      tableFrames = running.technique().statistics().tableFrames();
    }

    private static Map<ExitReason, Long> difference(
        Map<ExitReason, Long> now, Map<ExitReason, Long> before) {
      Map<ExitReason, Long> difference = new HashMap<>();
      now.forEach(
          (reason, count) -> difference.put(reason, count - before.getOrDefault(reason, 0L)));
      return difference;
    }

    RunResult result(Workload workload, TechniqueKind technique, String outcome, String check) {
      Map<String, Long> named = new HashMap<>();
      exits.forEach(
          (reason, count) -> {
            if (count != 0) {
              named.put(reason.name(), count);
            }
          });
      return new RunResult(
          technique.word(),
          workload.label(),
          outcome,
          instructions,
          named,
          tlb,
          tableFrames,
          nanos,
          check);
    }
  }
}
