package memvisor.lab;

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
    return outcome instanceof RunOutcome.DebugExit exit && exit.value() != 0
        ? "failed: " + console.toString().strip().replace('\n', ';')
        : RunTally.describe(outcome);
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
    private RunTally begun = RunTally.NOTHING;
    private RunTally counted = RunTally.NOTHING;

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
      running.setMeasured(true);
      begun = RunTally.of(running);
    }

    private void end(PcMachine running) {
      // The marker's own OUT has been counted already, and is no part of the section.
      counted = RunTally.of(running).since(begun).without(ExitReason.IO_INSTRUCTION);
      running.setMeasured(false);
    }

    RunResult result(Workload workload, TechniqueKind technique, String outcome, String check) {
      return counted.result(technique.word(), workload.label(), outcome, check, Optional.empty());
    }
  }
}
