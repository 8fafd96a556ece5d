package memvisor.device.virtio;

import java.util.Optional;
import memvisor.device.InterruptLine;
import memvisor.device.MmioDevice;
import memvisor.device.TimedDevice;
import memvisor.memory.GuestMemory;
import org.jspecify.annotations.Nullable;

/**
 * The memory-mapped transport of one virtio device, version 2 (virtio 1.2, 4.2.2).
 *
 * <p>Notifications only note that there is work. It is done when the machine next lets its devices
 * {@link #advance}, at most {@link #CHAINS_PER_VISIT} chains at a time.
 */
public final class VirtioMmio implements MmioDevice, TimedDevice {
  /** The size of the register window, configuration space included. */
  public static final long WINDOW_BYTES = 0x1000;

  /** Feature: descriptors may point to tables of descriptors (chapter 6). */
  static final long INDIRECT_DESC = 1L << 28;

  /** Feature: both sides say at which index they want to be told. */
  static final long EVENT_IDX = 1L << 29;

  /** Feature: not a legacy device. */
  static final long VERSION_1 = 1L << 32;

  /** Bounds what one visit costs: a guest must not hold the thread. */
  static final int CHAINS_PER_VISIT = 64;

  static final int STATUS_FEATURES_OK = 8;
  static final int STATUS_DRIVER_OK = 4;
  static final int STATUS_NEEDS_RESET = 64;

  private static final int MAGIC = 0x74726976;
  private static final int VERSION = 2;
  // "MVSR"; what no driver looks at.
  private static final int VENDOR = 0x5253564D;
  private static final int CONFIGURATION = 0x100;
  private static final int INTERRUPT_USED = 1;
  private static final int INTERRUPT_CONFIGURATION = 2;
  private static final long LOW = 0xFFFF_FFFFL;

  private final VirtioDevice device;
  private final InterruptLine interrupt;
  private final Runnable wake;
  private final VirtQueue[] queues;
  private int deviceFeaturesSelect;
  private int driverFeaturesSelect;
  private long driverFeatures;
  private int queueSelect;
  private int status;
  private int interruptStatus;
  private int configurationGeneration;
  private volatile @Nullable String failure;
  private volatile boolean pending;

  /**
   * A device after reset.
   *
   * @param memory what it reaches by DMA
   * @param interrupt its level-triggered interrupt
   * @param wake called, possibly by another thread, when the device has something to do by itself
   */
  public VirtioMmio(
      VirtioDevice device, GuestMemory memory, InterruptLine interrupt, Runnable wake) {
    this.device = device;
    this.interrupt = interrupt;
    this.wake = wake;
    GuestRam ram = new GuestRam(memory.map());
    queues = new VirtQueue[device.queueCount()];
    for (int i = 0; i < queues.length; i++) {
      queues[i] = new VirtQueue(memory, ram);
    }
    device.attach(new Events());
  }

  /** The device behind it. */
  public VirtioDevice device() {
    return device;
  }

  /** Why the device needs a reset; empty while it does not. */
  public Optional<String> failure() {
    return Optional.ofNullable(failure);
  }

  // ---- registers (table 4.1) -------------------------------------------------------------------

  @Override
  public long read(long offset, int sizeBytes) {
    int register = (int) offset;
    if (register >= CONFIGURATION) {
      return readConfiguration(register - CONFIGURATION, sizeBytes);
    }
    return sizeBytes == 4 ? readRegister(register) & LOW : 0;
  }

  private long readRegister(int register) {
    return switch (register) {
      case 0x000 -> MAGIC;
      case 0x004 -> VERSION;
      case 0x008 -> device.id();
      case 0x00C -> VENDOR;
      case 0x010 -> half(offeredFeatures(), deviceFeaturesSelect);
      case 0x034 -> selected() == null ? 0 : VirtQueue.MAXIMUM_SIZE;
      case 0x044 -> {
        VirtQueue queue = selected();
        yield queue != null && queue.isReady() ? 1 : 0;
      }
      case 0x060 -> interruptStatus;
      case 0x070 -> status;
      // The length of a shared memory region that does not exist (4.2.2).
      case 0x0B0, 0x0B4, 0x0B8, 0x0BC -> LOW;
      case 0x0FC -> configurationGeneration;
      default -> 0;
    };
  }

  private static long half(long features, int select) {
    return select == 0 ? features & LOW : select == 1 ? features >>> 32 : 0;
  }

  private long offeredFeatures() {
    return device.features() | VERSION_1 | INDIRECT_DESC | EVENT_IDX;
  }

  private @Nullable VirtQueue selected() {
    return queueSelect >= 0 && queueSelect < queues.length ? queues[queueSelect] : null;
  }

  private long readConfiguration(int offset, int sizeBytes) {
    byte[] bytes = device.configuration();
    long value = 0;
    for (int i = sizeBytes - 1; i >= 0; i--) {
      value = value << 8 | (offset + i < bytes.length ? bytes[offset + i] & 0xFF : 0);
    }
    return value;
  }

  @Override
  public void write(long offset, int sizeBytes, long value) {
    int register = (int) offset;
    if (register >= CONFIGURATION) {
      device.writeConfiguration(register - CONFIGURATION, sizeBytes, value);
    } else if (sizeBytes == 4) {
      writeRegister(register, (int) value);
    }
  }

  private void writeRegister(int register, int value) {
    switch (register) {
      case 0x014 -> deviceFeaturesSelect = value;
      case 0x020 -> writeDriverFeatures(Integer.toUnsignedLong(value));
      case 0x024 -> driverFeaturesSelect = value;
      case 0x030 -> queueSelect = value;
      case 0x050 -> notified(value);
      case 0x064 -> setInterrupt(interruptStatus & ~value);
      case 0x070 -> writeStatus(value);
      default -> {
        VirtQueue queue = selected();
        if (queue != null) {
          writeQueue(queue, register, value);
        }
      }
    }
  }

  private void writeDriverFeatures(long value) {
    if ((status & STATUS_FEATURES_OK) != 0) {
      return;
    }
    if (driverFeaturesSelect == 0) {
      driverFeatures = driverFeatures & ~LOW | value;
    } else if (driverFeaturesSelect == 1) {
      driverFeatures = driverFeatures & LOW | value << 32;
    }
  }

  private void writeQueue(VirtQueue queue, int register, int value) {
    if (register == 0x044) {
      enable(queue, value);
      return;
    }
    if (queue.isReady()) {
      return;
    }
    long bits = Integer.toUnsignedLong(value);
    switch (register) {
      case 0x038 -> queue.setSize(value);
      case 0x080 -> queue.setDescriptorGpa(queue.descriptorGpa() & ~LOW | bits);
      case 0x084 -> queue.setDescriptorGpa(queue.descriptorGpa() & LOW | bits << 32);
      case 0x090 -> queue.setDriverGpa(queue.driverGpa() & ~LOW | bits);
      case 0x094 -> queue.setDriverGpa(queue.driverGpa() & LOW | bits << 32);
      case 0x0A0 -> queue.setDeviceGpa(queue.deviceGpa() & ~LOW | bits);
      case 0x0A4 -> queue.setDeviceGpa(queue.deviceGpa() & LOW | bits << 32);
      default -> {}
    }
  }

  private void enable(VirtQueue queue, int value) {
    if ((value & 1) == 0) {
      queue.disable();
    } else if (!queue.isReady()) {
      queue.enable((driverFeatures & INDIRECT_DESC) != 0, (driverFeatures & EVENT_IDX) != 0);
      checkFailure(queue);
    }
  }

  private void notified(int index) {
    if (index >= 0 && index < queues.length) {
      pending = true;
    }
  }

  private void writeStatus(int value) {
    if (value == 0) {
      reset();
      return;
    }
    int before = status;
    // Bits are only ever added; what the device itself sets is not the driver's (2.1).
    status |= value & 0xFF & ~STATUS_NEEDS_RESET;
    if ((driverFeatures & VERSION_1) == 0 || (driverFeatures & ~offeredFeatures()) != 0) {
      status &= ~STATUS_FEATURES_OK;
    }
    if ((status & STATUS_FEATURES_OK) == 0) {
      status &= ~STATUS_DRIVER_OK;
    }
    boolean started = (before & STATUS_DRIVER_OK) == 0 && (status & STATUS_DRIVER_OK) != 0;
    if (started) {
      device.start(driverFeatures);
      pending = true;
    }
  }

  private void reset() {
    status = 0;
    driverFeatures = 0;
    failure = null;
    pending = false;
    device.reset();
    for (VirtQueue queue : queues) {
      queue.reset();
    }
    setInterrupt(0);
  }

  private void setInterrupt(int newStatus) {
    interruptStatus = newStatus;
    interrupt.set(newStatus != 0);
  }

  // ---- work ------------------------------------------------------------------------------------

  @Override
  public long nextDeadlineNanos() {
    return pending ? 0 : NEVER;
  }

  @Override
  public void advance(long nowNanos) {
    if (!pending) {
      return;
    }
    pending = false;
    if (!isRunning()) {
      return;
    }
    device.poll();
    int budget = CHAINS_PER_VISIT;
    for (int i = 0; i < queues.length && isRunning(); i++) {
      budget = serve(i, budget);
    }
    if (budget == 0) {
      pending = true;
    }
  }

  private boolean isRunning() {
    return (status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK;
  }

  /** Serves one queue and returns what is left of the budget. */
  private int serve(int index, int budget) {
    VirtQueue queue = queues[index];
    int left = budget;
    while (left > 0 && device.accepts(index)) {
      DescriptorChain chain = queue.next();
      if (chain == null) {
        break;
      }
      device.serve(index, chain);
      left--;
      if (queue.failure() != null) {
        break;
      }
    }
    if (queue.takeSignal()) {
      setInterrupt(interruptStatus | INTERRUPT_USED);
    }
    checkFailure(queue);
    return left;
  }

  /** 2.1.2: the device says that it needs a reset, and then does nothing more. */
  private void checkFailure(VirtQueue queue) {
    String reason = queue.failure();
    if (reason == null || failure != null) {
      return;
    }
    failure = reason;
    status |= STATUS_NEEDS_RESET;
    if ((status & STATUS_DRIVER_OK) != 0) {
      setInterrupt(interruptStatus | INTERRUPT_CONFIGURATION);
    }
  }

  private final class Events implements VirtioEvents {
    @Override
    public void configurationChanged() {
      configurationGeneration++;
      if (isRunning()) {
        setInterrupt(interruptStatus | INTERRUPT_CONFIGURATION);
      }
    }

    @Override
    public void workArrived() {
      pending = true;
      wake.run();
    }
  }
}
