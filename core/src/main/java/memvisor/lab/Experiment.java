package memvisor.lab;

import java.util.Optional;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.VirtualMachine;

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

  private final LabHardware hardware;
  private final long maxNanos;

  /**
   * An experiment.
   *
   * @param hardware what its machines are made of
   * @param maxNanos wall time after which a run is given up
   */
  public Experiment(LabHardware hardware, long maxNanos) {
    this.hardware = hardware;
    this.maxNanos = maxNanos;
  }

  /** Why a workload is not run under a technique, in a sentence; empty if it can be. */
  public static Optional<String> obstacle(Workload workload, TechniqueKind technique) {
    return technique.isParavirtual() ? BuiltinGuest.pvObstacle(workload) : Optional.empty();
  }

  /** Runs one workload under one technique; there must be no {@link #obstacle}. */
  public RunResult run(Workload workload, WorkloadParameters parameters, TechniqueKind technique) {
    obstacle(workload, technique)
        .ifPresent(
            why -> {
              throw new IllegalArgumentException(
                  workload + " under " + technique.word() + ": " + why);
            });
    boolean paravirtual = technique.isParavirtual();
    long memoryBytes =
        Math.max(
            LEAST_MEMORY_BYTES,
            paravirtual
                ? BuiltinGuest.paravirtualMemoryBytes(workload, parameters)
                : BuiltinGuest.memoryBytes(workload, parameters));
    byte[] image =
        paravirtual
            ? BuiltinGuest.paravirtualImage(workload, parameters)
            : BuiltinGuest.image(workload, parameters);
    Section section = new Section();
    StringBuilder console = new StringBuilder();
    // Twice, because a partition takes one run of frames, which starts at a multiple of its size.
    try (HostMemory host = HostMemory.create(4 * Long.highestOneBit(memoryBytes) + TABLES_BYTES);
        VirtualMachine machine =
            hardware.machine(
                technique,
                memoryBytes,
                host,
                value -> console.append((char) value),
                section::mark)) {
      section.machine = Optional.of(machine);
      machine.boot(BootRequest.of(image));
      RunOutcome outcome = machine.run(Long.MAX_VALUE, maxNanos);
      return section.result(workload, technique, describe(outcome, console), checksum(console));
    }
  }

  private static String describe(RunOutcome outcome, StringBuilder console) {
    if (outcome instanceof RunOutcome.PoweredOff) {
      return "ended";
    }
    if (outcome instanceof RunOutcome.DebugExit exit && exit.value() != 0) {
      return "failed: " + said(console);
    }
    return outcome instanceof RunOutcome.Died
        ? RunTally.describe(outcome) + "; it said: " + said(console)
        : RunTally.describe(outcome);
  }

  private static String said(StringBuilder console) {
    return console.toString().strip().replace('\n', ';');
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
    private Optional<VirtualMachine> machine = Optional.empty();
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

    private void begin(VirtualMachine running) {
      running.setMeasured(true);
      begun = RunTally.of(running);
    }

    private void end(VirtualMachine running) {
      // One OUT of the two markers has been counted, and is no part of the section.
      counted = RunTally.of(running).since(begun).withoutMarker(running.kind());
      running.setMeasured(false);
    }

    RunResult result(Workload workload, TechniqueKind technique, String outcome, String check) {
      return counted.result(technique, workload.label(), outcome, check, Optional.empty());
    }
  }
}
