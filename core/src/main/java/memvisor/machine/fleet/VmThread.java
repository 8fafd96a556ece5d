package memvisor.machine.fleet;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Optional;
import java.util.concurrent.locks.Lock;
import memvisor.boot.BootException;
import memvisor.host.FrameWait;
import memvisor.host.frames.HostMemoryException;
import memvisor.machine.ClockMode;
import memvisor.machine.ConsoleLines;
import memvisor.machine.RunOutcome;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;

/**
 * The thread of one VM, from its start to its end: builds the machine, runs it, gives back all it
 * had. Whatever goes wrong ends this VM and no other.
 */
final class VmThread {
  /** How old a sample may be. */
  private static final long SAMPLE_NANOS = 250_000_000;

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final Vm vm;
  private final VmHost host;
  private final Lock changes;
  private final Thread thread;
  private volatile boolean stopRequested;

  /**
   * A thread for one start of {@code vm}.
   *
   * @param changes held while the VM gets its memory and gives it back
   */
  VmThread(Vm vm, VmHost host, Lock changes) {
    this.vm = vm;
    this.host = host;
    this.changes = changes;
    thread = Thread.ofPlatform().daemon().name("vm " + vm.name()).unstarted(this::live);
  }

  void start() {
    thread.start();
  }

  /** Ends the VM, also one that is not built yet. */
  void requestStop() {
    stopRequested = true;
  }

  private void live() {
    VmEnd end = null;
    while (end == null) {
      Optional<VmEnd> how = attempt();
      if (how.isPresent()) {
        end = how.get();
      } else {
        vm.restarting();
      }
    }
    vm.ended(end);
  }

  /** One life of the machine; empty if another is to follow. */
  private Optional<VmEnd> attempt() {
    try {
      return life();
    } catch (VmException refused) {
      return Optional.of(VmEnd.inOrder(String.valueOf(refused.getMessage())));
    } catch (HostMemoryException | BootException | IllegalArgumentException impossible) {
      if (stopRequested) {
        return inOrder("switched off");
      }
      return Optional.of(VmEnd.crash(String.valueOf(impossible.getMessage()), ""));
    } catch (OutOfMemoryError full) {
      return Optional.of(
          VmEnd.crash("the Java heap is full: give it more with -Xmx, or start fewer VMs", ""));
    } catch (RuntimeException | Error broken) {
      return Optional.of(
          VmEnd.crash("an error of memvisor's own, please report it: " + broken, trace(broken)));
    } finally {
      vm.leaving();
    }
  }

  private static String trace(Throwable broken) {
    java.io.StringWriter text = new java.io.StringWriter();
    broken.printStackTrace(new java.io.PrintWriter(text, true));
    return text.toString();
  }

  private Optional<VmEnd> life() {
    ConsoleLines lines = new ConsoleLines();
    long started = System.nanoTime();
    PcMachine machine = build(lines);
    try {
      vm.built(machine);
      RunOutcome outcome = run(machine, lines, started);
      return end(machine, outcome, lines);
    } finally {
      vm.leaving();
      exclusively(machine::close);
    }
  }

  private PcMachine build(ConsoleLines lines) {
    PcMachine[] built = new PcMachine[1];
    exclusively(() -> built[0] = booted(lines));
    return built[0];
  }

  private PcMachine booted(ConsoleLines lines) {
    PcMachine machine = host.admit(vm.spec().terms(), () -> create(lines));
    try {
      vm.spec().trustDomain().ifPresent(machine.memory()::joinTrustDomain);
      machine.boot(vm.spec().request(), this::awaitFrames);
      return machine;
    } catch (RuntimeException | Error failure) {
      machine.close();
      throw failure;
    }
  }

  /** While its image waits for frames, nothing is half done: others may end, and give theirs. */
  private boolean awaitFrames(long nanos) {
    changes.unlock();
    try {
      return FrameWait.SLEEP.pause(nanos) && !stopRequested;
    } finally {
      changes.lock();
    }
  }

  private PcMachine create(ConsoleLines lines) {
    return PcMachine.create(
        configuration(),
        host.memory(),
        value -> {
          vm.console().accept(value);
          lines.accept(value);
        },
        value -> {});
  }

  /** Does what no audit of the host may find half done. */
  private void exclusively(Runnable action) {
    changes.lock();
    try {
      action.run();
    } finally {
      changes.unlock();
    }
  }

  private PcConfiguration configuration() {
    PcConfiguration configuration = vm.spec().configuration();
    return configuration.clock() == ClockMode.REAL
        ? configuration.withEpochSeconds(System.currentTimeMillis() / 1000)
        : configuration;
  }

  private RunOutcome run(PcMachine machine, ConsoleLines lines, long started) {
    long cpuBefore = THREADS.getCurrentThreadCpuTime();
    while (true) {
      RunOutcome outcome =
          stopRequested ? new RunOutcome.Stopped() : machine.run(Long.MAX_VALUE, SAMPLE_NANOS);
      vm.sampled(VmSample.of(machine, started, THREADS.getCurrentThreadCpuTime() - cpuBefore));
      if (lines.isPanicOver() || !(outcome instanceof RunOutcome.LimitReached)) {
        return outcome;
      }
    }
  }

  private Optional<VmEnd> end(PcMachine machine, RunOutcome outcome, ConsoleLines lines) {
    if (lines.panic().isPresent()) {
      return crash(machine, "the guest panicked: " + lines.panic().get());
    }
    return switch (outcome) {
      case RunOutcome.PoweredOff off -> inOrder("the guest powered off");
      case RunOutcome.Stopped stopped -> inOrder("switched off");
      case RunOutcome.DebugExit exit ->
          exit.value() == 0
              ? inOrder("the guest ended itself")
              : crash(machine, "the guest ended itself with code " + exit.value());
      case RunOutcome.Died death -> crash(machine, "the guest died: " + death.reason());
      case RunOutcome.Reset reset ->
          vm.spec().restart() && !stopRequested
              ? Optional.empty()
              : inOrder("the guest reset itself");
      case RunOutcome.LimitReached limit ->
          throw new IllegalStateException("a VM has no limit: " + limit);
    };
  }

  private static Optional<VmEnd> inOrder(String sentence) {
    return Optional.of(VmEnd.inOrder(sentence));
  }

  private static Optional<VmEnd> crash(PcMachine machine, String sentence) {
    return Optional.of(VmEnd.crash(sentence, machine.postMortem()));
  }
}
