package memvisor.machine.xen;

import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The rest of a hypercall that has done as much as may be done at once.
 *
 * <p>The guest does not run before it is finished; the machine's loop does, so that no request
 * holds a host thread, whatever its length.
 */
final class LongCalls {
  /** The answer of a call whose rest is to be done later; no call answers this. */
  static final long LATER = Long.MIN_VALUE + 1;

  private @Nullable LongSupplier rest;

  /** Leaves the rest for later. */
  long later(LongSupplier newRest) {
    rest = newRest;
    return LATER;
  }

  boolean isPending() {
    return rest != null;
  }

  /** Goes on; the answer may be {@link #LATER} again. */
  long resume() {
    LongSupplier now = rest;
    if (now == null) {
      throw new IllegalStateException("no hypercall is pending");
    }
    rest = null;
    return now.getAsLong();
  }

  /** Does something with the answer once there is one. */
  long then(long answer, java.util.function.LongUnaryOperator what) {
    return answer == LATER ? later(inner(what)) : what.applyAsLong(answer);
  }

  private LongSupplier inner(java.util.function.LongUnaryOperator what) {
    LongSupplier now = rest;
    if (now == null) {
      throw new IllegalStateException("no hypercall is pending");
    }
    return () -> {
      rest = null;
      return then(now.getAsLong(), what);
    };
  }
}
