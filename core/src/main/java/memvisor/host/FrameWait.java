package memvisor.host;

import java.util.concurrent.locks.LockSupport;

/**
 * How a device or a loader that found no frame lets time pass until others have given some back.
 * The calling thread is in the middle of no access, and its VM's pages may move meanwhile.
 */
@FunctionalInterface
public interface FrameWait {
  /** For a VM that nothing else is asked of meanwhile. */
  FrameWait SLEEP =
      nanos -> {
        LockSupport.parkNanos(nanos);
        return !Thread.currentThread().isInterrupted();
      };

  /** Waits about that long; false if the VM is about to end, and waiting on is of no use. */
  boolean pause(long nanos);
}
