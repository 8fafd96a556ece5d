package memvisor.host;

import memvisor.host.frames.HostMemoryException;
import memvisor.host.page.GuestFrames;
import memvisor.host.page.PageEntry;
import memvisor.host.reclaim.PageOverwrites;
import memvisor.host.reclaim.VmReclaim;
import memvisor.memory.Backing;
import memvisor.memory.GuestAddressException;
import memvisor.memory.Hva;
import org.jspecify.annotations.Nullable;

/** Copies bytes between arrays and the guest memory of one VM, page by page. */
final class GuestBytes {
  private static final int PAGE_BYTES = 4096;

  private final VmMemory vm;
  private final GuestFrames frames;
  private final @Nullable VmReclaim reclaim;

  GuestBytes(VmMemory vm, GuestFrames frames, @Nullable VmReclaim reclaim) {
    this.vm = vm;
    this.frames = frames;
    this.reclaim = reclaim;
  }

  /** Reads; a page without a frame stays without. */
  void read(long gpa, byte[] target, int offset, int lengthBytes) {
    requireMemory(gpa, lengthBytes, true);
    for (int done = 0; done < lengthBytes; ) {
      int chunk = chunk(gpa + done, lengthBytes - done);
      long backing = vm.peek(gpa + done >>> 12);
      if (Backing.isPresent(backing)) {
        Hva.read(hva(backing, gpa + done), target, offset + done, chunk);
      } else {
        int inPage = (int) (gpa + done) & PAGE_BYTES - 1;
        vm.readWithoutFrame(gpa + done >>> 12, inPage, target, offset + done, chunk);
      }
      done += chunk;
    }
  }

  /** Writes all or nothing: every page has its frame before the first byte changes. */
  void write(long gpa, byte[] source, int offset, int lengthBytes, boolean romToo) {
    requireMemory(gpa, lengthBytes, romToo);
    if (reclaim != null && lengthBytes >= PAGE_BYTES) {
      try (PageOverwrites whole = new PageOverwrites(reclaim)) {
        prepare(gpa, lengthBytes, whole);
        put(gpa, source, offset, lengthBytes, whole);
      }
    } else {
      prepare(gpa, lengthBytes, null);
      put(gpa, source, offset, lengthBytes, null);
    }
  }

  private void prepare(long gpa, int lengthBytes, @Nullable PageOverwrites whole) {
    int chunk;
    for (int done = 0; done < lengthBytes; done += chunk) {
      chunk = chunk(gpa + done, lengthBytes - done);
      if (whole == null || chunk < PAGE_BYTES || !isReclaimed(gpa + done >>> 12)) {
        frameForWrite(gpa + done);
      } else if (!whole.prepare()) {
        throw noFrame(gpa + done);
      }
    }
  }

  private void put(
      long gpa, byte[] source, int offset, int lengthBytes, @Nullable PageOverwrites whole) {
    int chunk;
    for (int done = 0; done < lengthBytes; done += chunk) {
      chunk = chunk(gpa + done, lengthBytes - done);
      boolean replaced =
          whole != null
              && chunk == PAGE_BYTES
              && whole.put(gpa + done >>> 12, source, offset + done);
      if (!replaced) {
        Hva.write(hva(frameForWrite(gpa + done), gpa + done), source, offset + done, chunk);
      }
    }
  }

  /** Reads a little-endian value of 1, 2, 4 or 8 bytes, in one access where one page holds it. */
  long readValue(long gpa, int sizeBytes) {
    requireMemory(gpa, requireValueSize(sizeBytes), true);
    if (chunk(gpa, sizeBytes) < sizeBytes) {
      byte[] value = new byte[sizeBytes];
      read(gpa, value, 0, sizeBytes);
      return littleEndian(value);
    }
    long backing = vm.peek(gpa >>> 12);
    if (!Backing.isPresent(backing)) {
      byte[] value = new byte[sizeBytes];
      vm.readWithoutFrame(gpa >>> 12, (int) gpa & PAGE_BYTES - 1, value, 0, sizeBytes);
      return littleEndian(value);
    }
    long hva = hva(backing, gpa);
    return switch (sizeBytes) {
      case 1 -> Hva.readByte(hva);
      case 2 -> Hva.readShort(hva);
      case 4 -> Hva.readInt(hva) & 0xFFFFFFFFL;
      default -> Hva.readLong(hva);
    };
  }

  /** Writes a little-endian value of 1, 2, 4 or 8 bytes, in one access where one page holds it. */
  void writeValue(long gpa, int sizeBytes, long value) {
    requireMemory(gpa, requireValueSize(sizeBytes), false);
    if (chunk(gpa, sizeBytes) < sizeBytes) {
      byte[] source = new byte[sizeBytes];
      for (int i = 0; i < sizeBytes; i++) {
        source[i] = (byte) (value >>> 8 * i);
      }
      write(gpa, source, 0, sizeBytes, false);
      return;
    }
    long hva = hva(frameForWrite(gpa), gpa);
    switch (sizeBytes) {
      case 1 -> Hva.writeByte(hva, (int) value);
      case 2 -> Hva.writeShort(hva, (int) value);
      case 4 -> Hva.writeInt(hva, (int) value);
      default -> Hva.writeLong(hva, value);
    }
  }

  private static long littleEndian(byte[] value) {
    long result = 0;
    for (int i = value.length - 1; i >= 0; i--) {
      result = result << 8 | value[i] & 0xFF;
    }
    return result;
  }

  private static int requireValueSize(int sizeBytes) {
    if (sizeBytes != 1 && sizeBytes != 2 && sizeBytes != 4 && sizeBytes != 8) {
      throw new IllegalArgumentException("a value has 1, 2, 4 or 8 bytes, not " + sizeBytes);
    }
    return sizeBytes;
  }

  private boolean isReclaimed(long gfn) {
    return PageEntry.isReclaimed(frames.get(frames.region(gfn), gfn));
  }

  private long frameForWrite(long gpa) {
    long gfn = gpa >>> 12;
    long backing = vm.frame(gfn, !frames.isReadOnly(frames.region(gfn)));
    if (!Backing.isPresent(backing)) {
      throw noFrame(gpa);
    }
    return backing;
  }

  private HostMemoryException noFrame(long gpa) {
    return new HostMemoryException(
        "no frame for gpa=0x%x of vm %d: %s"
            .formatted(gpa, vm.vmId(), vm.failure().orElse("machine memory is exhausted")));
  }

  private void requireMemory(long gpa, long lengthBytes, boolean romToo) {
    long end = gpa + lengthBytes;
    if (gpa < 0 || lengthBytes < 0 || end < gpa) {
      throw new GuestAddressException(gpa, lengthBytes);
    }
    for (long gfn = gpa >>> 12; gfn << 12 < end; ) {
      int region = frames.region(gfn);
      if (region < 0 || frames.isReadOnly(region) && !romToo) {
        throw new GuestAddressException(gpa, lengthBytes);
      }
      gfn = frames.endGfn(region);
    }
  }

  private static int chunk(long gpa, int lengthBytes) {
    return Math.min(lengthBytes, PAGE_BYTES - (int) (gpa & PAGE_BYTES - 1));
  }

  private long hva(long backing, long gpa) {
    return vm.machine().hva(Backing.hpa(backing)) + (gpa & PAGE_BYTES - 1);
  }
}
