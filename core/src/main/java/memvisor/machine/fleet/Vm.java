package memvisor.machine.fleet;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.Lock;
import java.util.function.Function;
import memvisor.host.policy.VmTerms;
import memvisor.machine.MachineEndedException;
import memvisor.machine.pc.PcMachine;
import org.jspecify.annotations.Nullable;

/**
 * One VM of a {@link VmHost}: it can be started, held, looked at, and ended, over and over. Thread-
 * safe; what is asked of a running guest happens at a block boundary of its own.
 */
public final class Vm {
  /** A quarter of a minute, in seconds: what explanations look back on. */
  private static final int HISTORY = 16;

  private static final long HISTORY_NANOS = 1_000_000_000L;

  private final VmHost host;
  private final Lock changes;
  private final VmSpec spec;
  private final ConsoleLog console = new ConsoleLog();
  private final Deque<VmSample> history = new ArrayDeque<>();
  private VmState state = VmState.OFF;
  private @Nullable PcMachine machine;
  private @Nullable VmThread thread;
  private @Nullable VmEnd end;
  private int starts;
  private boolean booted;

  Vm(VmHost host, Lock changes, VmSpec spec) {
    this.host = host;
    this.changes = changes;
    this.spec = spec;
  }

  /** By which users know it. */
  public String name() {
    return spec.name();
  }

  /** What it is made of. */
  public VmSpec spec() {
    return spec;
  }

  /** What it prints on its serial console. */
  public ConsoleLog console() {
    return console;
  }

  /** What it is doing. */
  public synchronized VmState state() {
    return state;
  }

  /** How it last ended. */
  public synchronized Optional<VmEnd> end() {
    return Optional.ofNullable(end);
  }

  /** How often it was started. */
  public synchronized int starts() {
    return starts;
  }

  // ---- from and to ---------------------------------------------------------------------------

  /**
   * Starts it; returns before it runs. Whether that worked its state says.
   *
   * @throws VmException if it is not off
   */
  public synchronized void start() {
    if (!state.isOff()) {
      throw new VmException("%s is %s already".formatted(name(), state.word()));
    }
    starts++;
    state = VmState.STARTING;
    end = null;
    booted = false;
    history.clear();
    thread = new VmThread(this, host, changes);
    thread.start();
  }

  /**
   * Waits until a VM that is starting runs.
   *
   * @throws VmException if it could not be started, with the reason
   */
  public synchronized void awaitStarted() throws InterruptedException {
    while (state == VmState.STARTING) {
      wait();
    }
    if (!booted && end != null) {
      throw new VmException("%s did not start: %s".formatted(name(), end.sentence()));
    }
  }

  /** Waits until it is off, at most so long; whether it is. */
  public synchronized boolean awaitEnd(Duration most) throws InterruptedException {
    long deadline = System.nanoTime() + most.toNanos();
    while (!state.isOff()) {
      long left = deadline - System.nanoTime();
      if (left <= 0) {
        return false;
      }
      wait(left / 1_000_000 + 1);
    }
    return true;
  }

  /** Switches it off at its next block boundary, whatever the guest is doing. */
  public void switchOff() {
    VmThread running;
    PcMachine built;
    synchronized (this) {
      running = thread;
      built = machine;
    }
    if (running != null) {
      running.requestStop();
    }
    if (built != null) {
      built.stop();
    }
  }

  /**
   * Presses its power button, which a guest may heed or not.
   *
   * @throws VmException if it is not running
   */
  public void pressPowerButton() {
    inspect(
        on -> {
          on.pressPowerButton();
          return true;
        });
  }

  /**
   * Holds the guest and its clock.
   *
   * @throws VmException if it is not running
   */
  public void pause() {
    running().pause();
    move(VmState.RUNNING, VmState.PAUSED);
  }

  /**
   * Lets a held guest go on.
   *
   * @throws VmException if it is not running
   */
  public void resume() {
    running().resume();
    move(VmState.PAUSED, VmState.RUNNING);
  }

  /**
   * Leaves the guest that much memory, until it ends: the rest is asked of its balloon, and kept
   * there. Returns at once; the guest's driver takes its time.
   *
   * @throws VmException if it is not running, or has no balloon
   * @throws IllegalArgumentException if that is less than its floor or more than it has; the
   *     message is for the user
   */
  public void resize(long leftBytes) {
    VmTerms terms = spec.terms().withLimitPages(leftBytes >>> 12);
    PcMachine on = running();
    if (on.balloon().isEmpty()) {
      throw new VmException(
          "%s has no balloon: give it one with balloon: true in the host's file".formatted(name()));
    }
    if (host.policy().isPresent()) {
      on.memory().manage(terms);
    } else {
      on.balloon().get().setTargetPages(terms.promisedPages() - terms.limitPages());
    }
  }

  private synchronized void move(VmState from, VmState to) {
    if (state == from) {
      state = to;
      notifyAll();
    }
  }

  /**
   * Types on its serial console.
   *
   * @throws VmException if it is not running
   */
  public void type(byte[] bytes) {
    running().sendSerial(bytes);
  }

  // ---- looking at it -------------------------------------------------------------------------

  /**
   * Looks at its machine, or changes it, while the guest stands at a block boundary.
   *
   * @throws VmException if it is not running
   */
  public <T> T inspect(Function<PcMachine, T> action) {
    PcMachine on = running();
    try {
      return on.atBoundary(() -> action.apply(on));
    } catch (MachineEndedException ended) {
      throw new VmException(name() + " has just ended");
    }
  }

  private synchronized PcMachine running() {
    if (machine != null) {
      return machine;
    }
    throw new VmException(
        switch (state) {
          case OFF, CRASHED ->
              "%s is %s; start it first: memvisor start %s".formatted(name(), state.word(), name());
          case STARTING -> name() + " is still starting; try again in a moment";
          case RUNNING, PAUSED -> name() + " is just ending";
        });
  }

  /** Its number in the ledger while it has memory. */
  public synchronized Optional<Integer> vmId() {
    return Optional.ofNullable(machine).map(on -> on.memory().vmId());
  }

  /** What it did and had a moment ago; empty before it ran. Of one that ended, the last. */
  public synchronized Optional<VmSample> sample() {
    return Optional.ofNullable(history.peekLast());
  }

  /** Samples of the last quarter of a minute, about a second apart, oldest first. */
  public synchronized List<VmSample> history() {
    return List.copyOf(history);
  }

  // ---- what its thread tells -----------------------------------------------------------------

  synchronized void built(PcMachine newMachine) {
    machine = newMachine;
    booted = true;
    state = VmState.RUNNING;
    notifyAll();
  }

  /** The machine is about to go: nobody may ask it anything from now on. */
  synchronized void leaving() {
    machine = null;
  }

  synchronized void restarting() {
    starts++;
    state = VmState.STARTING;
    history.clear();
  }

  synchronized void ended(VmEnd how) {
    machine = null;
    thread = null;
    end = how;
    state = how.crashed() ? VmState.CRASHED : VmState.OFF;
    notifyAll();
  }

  /** Keeps a sample: the latest, and one a second of those before. */
  synchronized void sampled(VmSample sample) {
    VmSample last = history.pollLast();
    VmSample before = history.peekLast();
    boolean keep = before == null || last != null && last.nanos() - before.nanos() > HISTORY_NANOS;
    if (last != null && keep) {
      history.addLast(last);
    }
    if (history.size() == HISTORY) {
      history.removeFirst();
    }
    history.addLast(sample);
  }
}
