package memvisor.host;

import memvisor.memory.GuestMemory;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.WriteObserver;
import org.jspecify.annotations.Nullable;

/**
 * The memory of one VM as devices and loaders see it: whole accesses between which pages may move,
 * each write told to whoever must know.
 */
final class DeviceAccess implements GuestMemory {
  /** Bytes of an image that are loaded at a time while memory may have to be reclaimed. */
  private static final int LOAD_BYTES = 1 << 18;

  private final GuestMemoryMap map;
  private final GuestBytes bytes;
  private final Standstill standstill;
  private final @Nullable VmReclaim reclaim;
  private volatile WriteObserver observer = WriteObserver.NONE;

  DeviceAccess(
      GuestMemoryMap map, GuestBytes bytes, Standstill standstill, @Nullable VmReclaim reclaim) {
    this.map = map;
    this.bytes = bytes;
    this.standstill = standstill;
    this.reclaim = reclaim;
  }

  void setObserver(WriteObserver newObserver) {
    observer = newObserver;
  }

  WriteObserver observer() {
    return observer;
  }

  @Override
  public GuestMemoryMap map() {
    return map;
  }

  @Override
  public void read(long gpa, byte[] target, int offset, int lengthBytes) {
    standstill.access().lock();
    try {
      bytes.read(gpa, target, offset, lengthBytes);
    } finally {
      standstill.access().unlock();
    }
  }

  @Override
  public void write(long gpa, byte[] source, int offset, int lengthBytes) {
    store(gpa, source, offset, lengthBytes, false);
  }

  @Override
  public void load(long gpa, byte[] source, int offset, int lengthBytes) {
    VmReclaim on = reclaim;
    if (on == null) {
      store(gpa, source, offset, lengthBytes, true);
      return;
    }
    // An image may be larger than what is free: room is made between its parts.
    for (int done = 0; done < lengthBytes || done == 0; done += LOAD_BYTES) {
      if (on.shared().isLow()) {
        standstill.whileStill(() -> on.housekeep(0));
      }
      store(gpa + done, source, offset + done, Math.min(LOAD_BYTES, lengthBytes - done), true);
    }
  }

  private void store(long gpa, byte[] source, int offset, int lengthBytes, boolean romToo) {
    standstill.access().lock();
    try {
      bytes.write(gpa, source, offset, lengthBytes, romToo);
    } finally {
      standstill.access().unlock();
    }
    if (lengthBytes > 0) {
      observer.written(gpa, lengthBytes);
    }
  }

  @Override
  public long readValue(long gpa, int sizeBytes) {
    standstill.access().lock();
    try {
      return bytes.readValue(gpa, sizeBytes);
    } finally {
      standstill.access().unlock();
    }
  }

  @Override
  public void writeValue(long gpa, int sizeBytes, long value) {
    standstill.access().lock();
    try {
      bytes.writeValue(gpa, sizeBytes, value);
    } finally {
      standstill.access().unlock();
    }
    observer.written(gpa, sizeBytes);
  }
}
