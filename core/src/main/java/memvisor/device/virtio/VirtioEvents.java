package memvisor.device.virtio;

/** How a device tells its transport that something happened which no driver asked for. */
public interface VirtioEvents {
  /** The configuration space changed; on the thread of the device. */
  void configurationChanged();

  /** There is something to do in {@link VirtioDevice#poll} or for the queues; from any thread. */
  void workArrived();
}
