package memvisor.machine;

import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs a machine in slices until its outcome: limits, stopping and pausing from other threads,
 * actions at block boundaries, sleeping while the guest is idle.
 */
public final class RunLoop {
  /**
   * Instructions per slice while the clock is real: a timer is at most this late, about a third of
   * a millisecond when interpreting 60 M instructions per second.
   */
  private static final long REAL_SLICE = 20_000;

  /**
   * Instructions per slice while the clock is virtual, where the next deadline bounds it anyway.
   */
  private static final long VIRTUAL_SLICE = 10_000_000;

  /** How long an idle guest without any deadline sleeps before it looks around. */
  private static final long IDLE_NANOS = 50_000_000;

  /** The machine that is run. */
  public interface Slices {
    /** Instructions retired so far. */
    long instructions();

    /** How the guest ended; null while it runs. */
    @Nullable RunOutcome outcome();

    /** Looks after what is due between slices, also while the guest is paused. */
    default void housekeep() {
      // Nothing is due in most machines.
    }

    /** Runs at most so many instructions; an idle guest sleeps until {@code lastNanos} at most. */
    void slice(long budget, long lastNanos);

    /** Makes a running slice end soon; from any thread. */
    void kick();

    /** Whether an idle guest has a reason to wake. */
    boolean shouldWake();
  }

  private final Slices machine;
  private final MachineClock clock;
  private final BoundaryActions actions = new BoundaryActions(this::wake);
  private volatile boolean stopRequested;
  private volatile boolean paused;
  private volatile @Nullable Thread idle;
  private long idleNanos;
  private long pausedNanos;
  private long housekeepingNanos;
  private long starvedNanos;

  /**
   * Where the thread that runs a machine spent its time, in nanoseconds of wall time since the loop
   * was made; the rest of its time it executed the guest, or waited for a processor to do so.
   *
   * @param idle the guest had nothing to do
   * @param paused the guest was held
   * @param housekeeping memory was looked after between slices
   * @param starved the guest waited for a frame while none was free
   */
  public record Times(long idle, long paused, long housekeeping, long starved) {}

  /** A loop around one machine. */
  public RunLoop(Slices machine, MachineClock clock) {
    this.machine = machine;
    this.clock = clock;
  }

  /** Runs until the guest ends, somebody stops it, or a limit is reached. */
  public RunOutcome run(long maxInstructions, long maxNanos) {
    actions.enter();
    try {
      return runUntilOutcome(maxInstructions, maxNanos);
    } finally {
      actions.leave();
    }
  }

  private RunOutcome runUntilOutcome(long maxInstructions, long maxNanos) {
    long lastInstruction = saturatedSum(machine.instructions(), maxInstructions);
    long lastNanos = saturatedSum(System.nanoTime(), maxNanos);
    while (true) {
      actions.perform();
      RunOutcome ended = machine.outcome();
      if (ended != null) {
        return ended;
      }
      if (stopRequested) {
        stopRequested = false;
        return new RunOutcome.Stopped();
      }
      if (machine.instructions() >= lastInstruction || System.nanoTime() >= lastNanos) {
        return new RunOutcome.LimitReached();
      }
      long before = System.nanoTime();
      machine.housekeep();
      long now = System.nanoTime();
      housekeepingNanos += now - before;
      if (paused) {
        pausedNanos += sleep(Math.min(lastNanos - now, IDLE_NANOS), () -> false);
      } else {
        machine.slice(lastInstruction - machine.instructions(), lastNanos);
      }
    }
  }

  private static long saturatedSum(long a, long b) {
    long sum = a + b;
    return sum < a ? Long.MAX_VALUE : sum;
  }

  /** Instructions that a slice may take when the next deadline is at {@code deadlineNanos}. */
  public long sliceLength(long deadlineNanos) {
    return clock.mode() == ClockMode.REAL
        ? REAL_SLICE
        : Math.clamp(deadlineNanos - clock.nanos(), 1, VIRTUAL_SLICE);
  }

  /** Lets an idle guest's time pass until its next deadline, or until something wakes it. */
  public void idle(long deadlineNanos, long lastNanos) {
    boolean waitsForever = deadlineNanos == Long.MAX_VALUE;
    if (clock.mode() == ClockMode.VIRTUAL && !waitsForever) {
      clock.skipTo(deadlineNanos);
      return;
    }
    long wait = waitsForever ? IDLE_NANOS : Math.min(IDLE_NANOS, deadlineNanos - clock.nanos());
    idleNanos += sleep(Math.min(wait, lastNanos - System.nanoTime()), machine::shouldWake);
  }

  /** Sleeps for at most that long; how long it was. */
  private long sleep(long nanos, BooleanSupplier shouldWake) {
    if (nanos <= 0) {
      return 0;
    }
    long before = System.nanoTime();
    // Whoever wakes the machine has changed something before: looked at after this is set.
    idle = Thread.currentThread();
    if (!stopRequested && !actions.isWaiting() && !shouldWake.getAsBoolean()) {
      LockSupport.parkNanos(nanos);
    }
    idle = null;
    return System.nanoTime() - before;
  }

  /** Waits for others to give memory back. */
  public void starve(long nanos) {
    starvedNanos += sleep(nanos, () -> false);
  }

  /**
   * As {@link #starve} for a device that waits in the middle of its work, at a block boundary. What
   * others ask of the machine meanwhile is done: one that is held for an audit could not give the
   * frame that this one waits for, while the audit waits for this one.
   *
   * @return false if the machine is to be stopped
   */
  public boolean starveWorking(long nanos) {
    if (actions.isHeld()) {
      actions.perform();
    }
    starve(nanos);
    return !stopRequested;
  }

  /** Whether {@link #run} is about to return {@link RunOutcome.Stopped}. */
  public boolean isStopping() {
    return stopRequested;
  }

  /** Where time went so far; on the thread that runs the machine, or while nobody does. */
  public Times times() {
    return new Times(idleNanos, pausedNanos, housekeepingNanos, starvedNanos);
  }

  /** Brings the running thread to the next block boundary; from any thread. */
  public void wake() {
    machine.kick();
    Thread sleeper = idle;
    if (sleeper != null) {
      LockSupport.unpark(sleeper);
    }
  }

  /** Makes {@link #run} return {@link RunOutcome.Stopped}; from any thread. */
  public void stop() {
    stopRequested = true;
    wake();
  }

  /** Has {@code action} performed at a block boundary. See {@link BoundaryActions#call}. */
  public <T> T atBoundary(Supplier<T> action) {
    return actions.call(action);
  }

  /** Has {@code action} performed soon, without waiting. See {@link BoundaryActions#post}. */
  public void post(Runnable action) {
    actions.post(action);
  }

  /** Holds the guest, and its clock, at the next block boundary; {@link #run} goes on waiting. */
  public void pause() {
    atBoundary(
        () -> {
          paused = true;
          clock.pause();
          return true;
        });
  }

  /** Lets a paused guest go on. */
  public void resume() {
    atBoundary(
        () -> {
          paused = false;
          clock.resume();
          return true;
        });
  }

  /** Whether the guest is held by {@link #pause}. */
  public boolean isPaused() {
    return paused;
  }

  /** Lets no further action begin, and waits for one that is under way. */
  public void close() {
    actions.close();
  }
}
