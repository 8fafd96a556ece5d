package memvisor.device.virtio;

import memvisor.memory.GuestMemory;
import org.jspecify.annotations.Nullable;

/**
 * One split virtqueue, seen from the device (virtio 1.2, 2.7).
 *
 * <pre>
 *   descriptor table: size x { address 8, length 4, flags 2, next 2 }
 *   driver area:  flags 2, idx 2, ring size x 2, used_event 2
 *   device area:  flags 2, idx 2, ring size x { id 4, length 4 }, avail_event 2
 * </pre>
 */
final class VirtQueue {
  /** The largest size offered. */
  static final int MAXIMUM_SIZE = 256;

  private static final int DESCRIPTOR_BYTES = 16;
  private static final int NO_INTERRUPT = 1;

  private final GuestMemory memory;
  private final GuestRam ram;
  private final DescriptorReader descriptors;
  private int size = MAXIMUM_SIZE;
  private long descriptorGpa;
  private long driverGpa;
  private long deviceGpa;
  private boolean ready;
  private boolean eventIndex;
  private int nextAvailable;
  private int nextUsed;
  private int signalledUsed;
  private @Nullable String failure;

  VirtQueue(GuestMemory memory, GuestRam ram) {
    this.memory = memory;
    this.ram = ram;
    descriptors = new DescriptorReader(memory, ram);
  }

  // ---- what the driver sets up -----------------------------------------------------------------

  void setSize(int newSize) {
    size = newSize;
  }

  void setDescriptorGpa(long gpa) {
    descriptorGpa = gpa;
  }

  void setDriverGpa(long gpa) {
    driverGpa = gpa;
  }

  void setDeviceGpa(long gpa) {
    deviceGpa = gpa;
  }

  long descriptorGpa() {
    return descriptorGpa;
  }

  long driverGpa() {
    return driverGpa;
  }

  long deviceGpa() {
    return deviceGpa;
  }

  boolean isReady() {
    return ready;
  }

  /** Starts, unless the driver placed the rings where no rings can be. */
  void enable(boolean withIndirect, boolean withEventIndex) {
    boolean sizeFits = size > 0 && size <= MAXIMUM_SIZE && Integer.bitCount(size) == 1;
    if (!sizeFits) {
      fail("a queue's size is a power of two up to %d, not %d".formatted(MAXIMUM_SIZE, size));
    } else if (!isRing(descriptorGpa, 16, (long) DESCRIPTOR_BYTES * size)
        || !isRing(driverGpa, 2, 6 + 2L * size)
        || !isRing(deviceGpa, 4, 6 + 8L * size)) {
      fail(
          "rings are not in memory: descriptors=0x%x driver=0x%x device=0x%x"
              .formatted(descriptorGpa, driverGpa, deviceGpa));
    } else {
      ready = true;
      eventIndex = withEventIndex;
      descriptors.configure(descriptorGpa, size, withIndirect);
    }
  }

  private boolean isRing(long gpa, int alignment, long lengthBytes) {
    return gpa % alignment == 0 && ram.contains(gpa, lengthBytes);
  }

  /** Stops, without forgetting where the rings are. */
  void disable() {
    ready = false;
  }

  /** Forgets everything. */
  void reset() {
    size = MAXIMUM_SIZE;
    descriptorGpa = 0;
    driverGpa = 0;
    deviceGpa = 0;
    ready = false;
    nextAvailable = 0;
    nextUsed = 0;
    signalledUsed = 0;
    failure = null;
  }

  /** Why the queue cannot go on, or {@code null}. */
  @Nullable String failure() {
    return failure;
  }

  void fail(String reason) {
    if (failure == null) {
      failure = reason;
    }
  }

  // ---- available buffers -----------------------------------------------------------------------

  /** The next chain, or {@code null} when there is none or the queue has failed. */
  @Nullable DescriptorChain next() {
    if (!ready || failure != null) {
      return null;
    }
    int waiting = availableIndex() - nextAvailable & 0xFFFF;
    if (waiting == 0 && eventIndex) {
      // Asking to be told of the next one, then looking once more, loses none (2.7.10).
      memory.writeValue(deviceGpa + 4 + 8L * size, 2, nextAvailable);
      waiting = availableIndex() - nextAvailable & 0xFFFF;
    }
    if (waiting == 0) {
      return null;
    }
    if (waiting > size) {
      fail("%d buffers are available in a ring of %d".formatted(waiting, size));
      return null;
    }
    int head = value(driverGpa + 4 + 2L * (nextAvailable & size - 1));
    DescriptorChain chain = new DescriptorChain(this, memory, head);
    String wrong = descriptors.collect(chain);
    if (wrong != null) {
      fail(wrong);
      return null;
    }
    nextAvailable = nextAvailable + 1 & 0xFFFF;
    return chain;
  }

  private int availableIndex() {
    return value(driverGpa + 2);
  }

  private int value(long gpa) {
    return (int) memory.readValue(gpa, 2) & 0xFFFF;
  }

  // ---- used buffers ----------------------------------------------------------------------------

  /** Gives a chain back. */
  void push(DescriptorChain chain, long writtenBytes) {
    if (!ready) {
      return;
    }
    long element = deviceGpa + 4 + 8L * (nextUsed & size - 1);
    memory.writeValue(element, 4, chain.head());
    memory.writeValue(element + 4, 4, writtenBytes);
    nextUsed = nextUsed + 1 & 0xFFFF;
    memory.writeValue(deviceGpa + 2, 2, nextUsed);
  }

  /** Whether the driver wants an interrupt for what was pushed since the last call. */
  boolean takeSignal() {
    int pushed = nextUsed - signalledUsed & 0xFFFF;
    if (!ready || pushed == 0) {
      return false;
    }
    signalledUsed = nextUsed;
    if (!eventIndex) {
      return (value(driverGpa) & NO_INTERRUPT) == 0;
    }
    int event = value(driverGpa + 4 + 2L * size);
    // 2.7.7.2: an interrupt when the index passed the event.
    return (nextUsed - event - 1 & 0xFFFF) < pushed;
  }
}
