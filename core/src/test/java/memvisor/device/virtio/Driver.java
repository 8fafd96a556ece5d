package memvisor.device.virtio;

import memvisor.device.RecordingLine;
import memvisor.memory.GuestMemory;

/**
 * A driver written by hand, whose tests may put anything into its rings. Queue {@code q} has its
 * rings at {@code 0x10000 * (q + 1)}; buffers are the test's business, from 0x80000 up.
 */
final class Driver {
  static final int SIZE = 8;
  static final int NEXT = 1;
  static final int WRITE = 2;
  static final int INDIRECT = 4;
  static final long BUFFERS = 0x80000;
  static final long ALL_FEATURES = -1L;

  final GuestMemory memory;
  final RecordingLine line = new RecordingLine();
  final VirtioMmio transport;
  int wakes;

  Driver(VirtioDevice device) {
    this(device, new ArrayMemory());
  }

  Driver(VirtioDevice device, GuestMemory memory) {
    this.memory = memory;
    transport = new VirtioMmio(device, memory, line, () -> wakes++);
  }

  /** How often its memory was accessed, where that is an array. */
  long accesses() {
    return ((ArrayMemory) memory).accesses;
  }

  /** Register offsets (table 4.1). */
  enum Register {
    MAGIC(0x000),
    VERSION(0x004),
    DEVICE_ID(0x008),
    DEVICE_FEATURES(0x010),
    DEVICE_FEATURES_SELECT(0x014),
    DRIVER_FEATURES(0x020),
    DRIVER_FEATURES_SELECT(0x024),
    QUEUE_SELECT(0x030),
    QUEUE_SIZE_MAXIMUM(0x034),
    QUEUE_SIZE(0x038),
    QUEUE_READY(0x044),
    QUEUE_NOTIFY(0x050),
    INTERRUPT_STATUS(0x060),
    INTERRUPT_ACKNOWLEDGE(0x064),
    STATUS(0x070),
    QUEUE_DESCRIPTORS(0x080),
    QUEUE_DRIVER(0x090),
    QUEUE_DEVICE(0x0A0),
    GENERATION(0x0FC);

    final int offset;

    Register(int offset) {
      this.offset = offset;
    }
  }

  int read(Register register) {
    return (int) transport.read(register.offset, 4);
  }

  void write(Register register, int value) {
    transport.write(register.offset, 4, value & 0xFFFF_FFFFL);
  }

  private void writeAddress(Register register, long gpa) {
    write(register, (int) gpa);
    transport.write(register.offset + 4, 4, gpa >>> 32);
  }

  long offeredFeatures() {
    write(Register.DEVICE_FEATURES_SELECT, 0);
    long low = read(Register.DEVICE_FEATURES) & 0xFFFF_FFFFL;
    write(Register.DEVICE_FEATURES_SELECT, 1);
    return low | (long) read(Register.DEVICE_FEATURES) << 32;
  }

  void accept(long features) {
    write(Register.DRIVER_FEATURES_SELECT, 0);
    write(Register.DRIVER_FEATURES, (int) features);
    write(Register.DRIVER_FEATURES_SELECT, 1);
    write(Register.DRIVER_FEATURES, (int) (features >>> 32));
    write(Register.STATUS, 1 | 2 | VirtioMmio.STATUS_FEATURES_OK);
  }

  void placeQueue(int queue, int size, long descriptors, long driverArea, long deviceArea) {
    write(Register.QUEUE_SELECT, queue);
    write(Register.QUEUE_SIZE, size);
    writeAddress(Register.QUEUE_DESCRIPTORS, descriptors);
    writeAddress(Register.QUEUE_DRIVER, driverArea);
    writeAddress(Register.QUEUE_DEVICE, deviceArea);
    write(Register.QUEUE_READY, 1);
  }

  /** All that a driver's probe does: accepts {@code features} of those offered, sets queues up. */
  Driver start(long features, int queueCount) {
    write(Register.STATUS, 0);
    write(Register.STATUS, 1);
    accept(offeredFeatures() & (features | VirtioMmio.VERSION_1));
    for (int queue = 0; queue < queueCount; queue++) {
      placeQueue(queue, SIZE, table(queue), available(queue), used(queue));
    }
    write(Register.STATUS, 1 | 2 | VirtioMmio.STATUS_FEATURES_OK | VirtioMmio.STATUS_DRIVER_OK);
    transport.advance(0);
    return this;
  }

  static long table(int queue) {
    return 0x10000L * (queue + 1);
  }

  static long available(int queue) {
    return table(queue) + 0x1000;
  }

  static long used(int queue) {
    return table(queue) + 0x2000;
  }

  Driver descriptor(int queue, int index, long gpa, long lengthBytes, int flags, int next) {
    return rawDescriptor(table(queue) + 16L * index, gpa, lengthBytes, flags, next);
  }

  Driver rawDescriptor(long at, long gpa, long lengthBytes, int flags, int next) {
    memory.writeValue(at, 8, gpa);
    memory.writeValue(at + 8, 4, lengthBytes);
    memory.writeValue(at + 12, 2, flags);
    memory.writeValue(at + 14, 2, next);
    return this;
  }

  /** Makes a chain available. */
  Driver offer(int queue, int head) {
    int index = (int) memory.readValue(available(queue) + 2, 2);
    memory.writeValue(available(queue) + 4 + 2L * (index % SIZE), 2, head);
    memory.writeValue(available(queue) + 2, 2, index + 1);
    return this;
  }

  /** Tells the device, and lets it work until it is satisfied, but not forever. */
  Driver kick(int queue) {
    write(Register.QUEUE_NOTIFY, queue);
    for (int visits = 0; visits < 100 && transport.nextDeadlineNanos() == 0; visits++) {
      transport.advance(0);
    }
    return this;
  }

  int usedIndex(int queue) {
    return (int) memory.readValue(used(queue) + 2, 2);
  }

  int usedHead(int queue, int index) {
    return (int) memory.readValue(used(queue) + 4 + 8L * (index % SIZE), 4);
  }

  long usedBytes(int queue, int index) {
    return memory.readValue(used(queue) + 8 + 8L * (index % SIZE), 4);
  }

  boolean needsReset() {
    return (read(Register.STATUS) & VirtioMmio.STATUS_NEEDS_RESET) != 0;
  }
}
