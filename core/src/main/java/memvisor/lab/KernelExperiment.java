package memvisor.lab;

import java.util.Optional;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.machine.ConsoleLines;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.VirtualMachine;

/**
 * Runs a kernel of the user's from power-on to its end and counts what happens. Time is virtual and
 * nobody types, so the run is the same under every technique, and so must be the guest it leaves;
 * but for direct paging, whose guest knows.
 */
public final class KernelExperiment {
  /** Room for a technique's tables beside guest memory. */
  private static final long TABLES_BYTES = 128L << 20;

  /** How long the guest runs before its observer hears of it again. */
  private static final long OBSERVED_NANOS = TimeUnit.MILLISECONDS.toNanos(250);

  private final Guest guest;
  private final LabHardware hardware;
  private final boolean measured;
  private final long maxNanos;

  /**
   * An experiment.
   *
   * @param guest what is booted
   * @param hardware what its machines are made of
   * @param measured whether every access goes through the modelled TLB, which is slow; else those
   *     that the vCPU's own translation cache answers are not counted
   * @param maxNanos wall time after which a run is given up
   */
  public KernelExperiment(Guest guest, LabHardware hardware, boolean measured, long maxNanos) {
    this.guest = guest;
    this.hardware = hardware;
    this.measured = measured;
    this.maxNanos = maxNanos;
  }

  /**
   * A guest to boot.
   *
   * @param name what results call it
   * @param request the kernel and what it is started with
   * @param paravirtual the same for a domain: the kernel unpacked, with a console that it has
   * @param memoryBytes guest memory
   */
  public record Guest(
      String name, BootRequest request, BootRequest paravirtual, long memoryBytes) {}

  /** Hears of a run while it lasts. */
  @FunctionalInterface
  public interface Observer {
    /**
     * The run has come this far.
     *
     * @param instructions retired so far
     * @param lastLine the last whole line that the guest printed, or an empty text
     */
    void progressed(long instructions, String lastLine);
  }

  /**
   * Runs the kernel under one technique.
   *
   * @throws memvisor.boot.BootException if the kernel is damaged or does not fit
   * @throws memvisor.host.frames.HostMemoryException if there is not enough memory for the guest
   */
  public RunResult run(TechniqueKind technique, Observer observer) {
    long memoryBytes = guest.memoryBytes();
    ConsoleLines console = new ConsoleLines();
    // A partition takes one run of frames, which starts at a multiple of its size.
    try (HostMemory host = HostMemory.create(4 * Long.highestOneBit(memoryBytes) + TABLES_BYTES);
        VirtualMachine machine =
            hardware.machine(technique, memoryBytes, host, console, value -> {})) {
      machine.boot(technique.isParavirtual() ? guest.paravirtual() : guest.request());
      machine.setMeasured(measured);
      RunTally begun = RunTally.of(machine);
      RunOutcome outcome = runToEnd(machine, console, observer);
      RunTally counted = RunTally.of(machine).since(begun);
      // A paravirtual kernel goes another way from its first instruction: nothing to compare.
      Optional<GuestState> state =
          technique.isParavirtual() ? Optional.empty() : Optional.of(machine.state());
      String ended =
          console
              .panic()
              .map(said -> "panicked: " + said)
              .orElseGet(() -> RunTally.describe(outcome));
      return counted.result(
          technique, guest.name(), ended, state.map(GuestState::ramSha256).orElse(""), state);
    }
  }

  private RunOutcome runToEnd(VirtualMachine machine, ConsoleLines console, Observer observer) {
    long last = System.nanoTime() + maxNanos;
    while (true) {
      long left = last - System.nanoTime();
      RunOutcome outcome = machine.run(Long.MAX_VALUE, Math.min(OBSERVED_NANOS, left));
      if (!(outcome instanceof RunOutcome.LimitReached)
          || left <= OBSERVED_NANOS
          || console.isPanicOver()) {
        return outcome;
      }
      observer.progressed(machine.instructions(), console.lastLine());
    }
  }
}
