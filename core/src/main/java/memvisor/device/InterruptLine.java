package memvisor.device;

/**
 * A wire that a device asserts to interrupt; what an edge or a level on it means is the receiver's
 * business. Repeating the current level has no effect.
 */
@FunctionalInterface
public interface InterruptLine {
  /** A wire that leads nowhere. */
  InterruptLine UNCONNECTED = asserted -> {};

  /** Drives the wire. */
  void set(boolean asserted);

  /** Asserts the wire. */
  default void raise() {
    set(true);
  }

  /** Releases the wire. */
  default void lower() {
    set(false);
  }
}
