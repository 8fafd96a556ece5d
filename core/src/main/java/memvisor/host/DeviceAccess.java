package memvisor.host;

import memvisor.host.frames.HostMemoryException;
import memvisor.host.page.Standstill;
import memvisor.host.reclaim.VmReclaim;
import memvisor.memory.GuestMemory;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.WriteObserver;
import org.jspecify.annotations.Nullable;

/**
 * The memory of one VM as devices and loaders see it: whole accesses between which pages may move,
 * each write told to whoever must know. A write that finds no frame gives back what the VM can, and
 * waits for other VMs if that is not enough.
 */
final class DeviceAccess implements GuestMemory {
  private static final int PAGE_BYTES = 4096;

  /** Bytes of an image that are loaded at a time while memory may have to be reclaimed. */
  private static final int LOAD_BYTES = 1 << 18;

  private final VmMemory vm;
  private final HostMemory host;
  private final GuestMemoryMap map;
  private final GuestBytes bytes;
  private final Standstill standstill;
  private final @Nullable VmReclaim reclaim;
  private volatile WriteObserver observer = WriteObserver.NONE;
  private volatile FrameWait frameWait = FrameWait.SLEEP;

  DeviceAccess(
      VmMemory vm,
      HostMemory host,
      GuestBytes bytes,
      Standstill standstill,
      @Nullable VmReclaim reclaim) {
    this.vm = vm;
    this.host = host;
    map = vm.map();
    this.bytes = bytes;
    this.standstill = standstill;
    this.reclaim = reclaim;
  }

  void setObserver(WriteObserver newObserver) {
    observer = newObserver;
  }

  void setFrameWait(FrameWait wait) {
    frameWait = wait;
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
    // An image may be larger than what is free: room is made between its parts, which are pages
    // then, so that each frame that others give back is one that the image needs no more.
    int part;
    for (int done = 0; done < lengthBytes || done == 0; done += part) {
      boolean low = on.isLow();
      if (low) {
        standstill.whileStill(() -> on.housekeep(on.vmNanos()));
      }
      part = low ? PAGE_BYTES - (int) (gpa + done & PAGE_BYTES - 1) : LOAD_BYTES;
      store(gpa + done, source, offset + done, Math.min(part, lengthBytes - done), true);
    }
  }

  private void store(long gpa, byte[] source, int offset, int lengthBytes, boolean romToo) {
    untilThereAreFrames(() -> bytes.write(gpa, source, offset, lengthBytes, romToo));
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
    untilThereAreFrames(() -> bytes.writeValue(gpa, sizeBytes, value));
    observer.written(gpa, sizeBytes);
  }

  /** Performs a write, which changes nothing if it finds no frame, until it finds them all. */
  private void untilThereAreFrames(Runnable write) {
    HostMemoryException refused = attempt(write);
    if (refused == null) {
      return;
    }
    Starvation starvation = new Starvation(host, vm.vmId());
    while (refused != null) {
      makeRoom(starvation, refused);
      refused = attempt(write);
    }
  }

  private @Nullable HostMemoryException attempt(Runnable write) {
    standstill.access().lock();
    try {
      write.run();
      return null;
    } catch (HostMemoryException e) {
      return e;
    } finally {
      standstill.access().unlock();
    }
  }

  private void makeRoom(Starvation starvation, HostMemoryException refused) {
    VmReclaim on = reclaim;
    if (on == null || !vm.isStarved()) {
      throw refused;
    }
    on.look(on.vmNanos());
    standstill.whileStill(on::makeRoom);
    Starvation.Advice advice = starvation.advice(0, System.nanoTime());
    boolean goOn =
        switch (advice) {
          case RETRY -> true;
          case WAIT -> frameWait.pause(Starvation.PAUSE_NANOS);
          case END -> false;
        };
    if (!goOn) {
      throw refused;
    }
    vm.forgetStarvation();
  }
}
