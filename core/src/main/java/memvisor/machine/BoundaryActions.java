package memvisor.machine;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/**
 * Lets other threads act on a machine at its block boundaries: between slices while it runs, at
 * once while it does not.
 *
 * <p>The thread that runs the machine holds it from {@link #enter} to {@link #leave} and performs
 * what is waiting whenever it calls {@link #perform}. While nobody runs the machine, the thread
 * that asks performs its action itself and keeps the machine from starting meanwhile. Either way an
 * action sees a machine that stands still.
 */
public final class BoundaryActions {
  /**
   * How long an asking thread waits before it looks whether the machine has stopped meanwhile, and
   * thus how late an action may be that raced with the end of a run.
   */
  private static final long RETRY_MILLIS = 5;

  private final ReentrantLock machine = new ReentrantLock();
  private final Queue<FutureTask<?>> waiting = new ConcurrentLinkedQueue<>();
  private final Runnable wake;
  private boolean closed;

  /**
   * Actions of one machine.
   *
   * @param wake brings the running thread to {@link #perform} soon; called by the asking thread
   */
  public BoundaryActions(Runnable wake) {
    this.wake = wake;
  }

  /** The calling thread runs the machine from now on; waits for actions that are under way. */
  public void enter() {
    machine.lock();
  }

  /** Performs what is still waiting and lets go of the machine. */
  public void leave() {
    try {
      perform();
    } finally {
      machine.unlock();
    }
  }

  /** Whether the calling thread runs the machine, or performs an action on it. */
  public boolean isHeld() {
    return machine.isHeldByCurrentThread();
  }

  /** Whether an action waits for {@link #perform}. */
  public boolean isWaiting() {
    return !waiting.isEmpty();
  }

  /** Performs the waiting actions; the calling thread has entered, and the vCPU stands still. */
  public void perform() {
    for (FutureTask<?> task = waiting.poll(); task != null; task = waiting.poll()) {
      task.run();
    }
  }

  /**
   * Has {@code action} performed and returns its value; from any thread, also from within an
   * action. What the action throws is thrown here, and does not disturb the machine.
   *
   * @throws MachineEndedException if the machine has been closed
   * @throws IllegalStateException if the calling thread is interrupted while it waits; the action
   *     is then not begun, or is finished without anybody waiting for it
   */
  public <T> T call(Supplier<T> action) {
    if (machine.isHeldByCurrentThread()) {
      return action.get();
    }
    FutureTask<T> task = new FutureTask<>(() -> whileOpen(action));
    waiting.add(task);
    wake.run();
    try {
      while (true) {
        if (machine.tryLock()) {
          leave();
        }
        try {
          return task.get(RETRY_MILLIS, TimeUnit.MILLISECONDS);
        } catch (TimeoutException stillRunning) {
          wake.run();
        }
      }
    } catch (InterruptedException e) {
      task.cancel(false);
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for a block boundary", e);
    } catch (ExecutionException e) {
      throw unchecked(e);
    }
  }

  /**
   * Has {@code action} performed at the next block boundary without waiting for it; from any
   * thread. A machine that nobody runs performs it when it is next run; one that is closed never
   * does.
   */
  public void post(Runnable action) {
    waiting.add(
        new FutureTask<>(
            () -> {
              if (!closed) {
                action.run();
              }
              return true;
            }));
    wake.run();
  }

  private <T> T whileOpen(Supplier<T> action) {
    if (closed) {
      throw new MachineEndedException();
    }
    return action.get();
  }

  /**
   * Nothing is performed from now on: actions under way are waited for, and later ones fail. The
   * machine's memory may be given back afterwards.
   */
  public void close() {
    machine.lock();
    try {
      closed = true;
      perform();
    } finally {
      machine.unlock();
    }
  }

  private static RuntimeException unchecked(ExecutionException e) {
    Throwable cause = e.getCause();
    if (cause instanceof Error error) {
      throw error;
    }
    return cause instanceof RuntimeException thrown ? thrown : new IllegalStateException(e);
  }
}
