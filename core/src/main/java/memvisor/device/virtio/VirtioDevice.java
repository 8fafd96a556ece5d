package memvisor.device.virtio;

/**
 * What a device is beyond its transport: an identity, features, a configuration space and what to
 * do with the buffers of its queues.
 *
 * <p>Called by the transport only, from one thread at a time.
 */
public interface VirtioDevice {
  /** The device ID (virtio 1.2, chapter 5). */
  int id();

  /** A word for listings. */
  String name();

  /** The device-specific features offered (bits 0 to 23 and 50 to 127; none here is above 63). */
  long features();

  /** How many queues there are if every offered feature is accepted. */
  int queueCount();

  /** Learns whom to tell of events of its own. Called once, before all else. */
  default void attach(VirtioEvents events) {}

  /** The driver is ready; {@code features} are those that it accepted. */
  default void start(long features) {}

  /** Forgets all that a driver did. No chain handed out before may be completed any more. */
  default void reset() {}

  /** Whether the device would do something with a buffer of this queue now. */
  default boolean accepts(int queue) {
    return true;
  }

  /**
   * Takes one chain of buffers, to complete it now or, having kept it, in a later call.
   *
   * @param queue the index of the queue it came from
   */
  void serve(int queue, DescriptorChain chain);

  /** Does what the outside world asked for; called before the queues are looked at. */
  default void poll() {}

  /** The configuration space as it is now. */
  byte[] configuration();

  /** The driver writes to the configuration space; what is read-only stays as it is. */
  default void writeConfiguration(int offset, int sizeBytes, long value) {}
}
