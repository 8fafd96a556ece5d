package memvisor.host.page;

import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * When nobody is in the middle of an access to the memory of one VM, so that its pages may move.
 *
 * <p>vCPUs keep host addresses from one block boundary to the next, devices and loaders for as long
 * as they hold {@link #access}.
 */
public final class Standstill {
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private volatile MoveGate gate = MoveGate.STOPPED;

  /** Registers who can stop the vCPUs. */
  public void setGate(MoveGate newGate) {
    gate = newGate;
  }

  /** Held by devices and loaders while they use host addresses. */
  public Lock access() {
    return lock.readLock();
  }

  /** Stops the vCPUs, and runs {@code action} while no device is in the middle of an access. */
  public void whileStill(Runnable action) {
    gate.whileStopped(() -> still(action));
  }

  /** As {@link #whileStill} for a caller that holds the vCPUs at a block boundary. */
  public void still(Runnable action) {
    lock.writeLock().lock();
    try {
      action.run();
    } finally {
      lock.writeLock().unlock();
    }
  }
}
