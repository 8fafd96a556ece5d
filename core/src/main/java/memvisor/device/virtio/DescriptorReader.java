package memvisor.device.virtio;

import memvisor.memory.GuestMemory;
import org.jspecify.annotations.Nullable;

/**
 * Follows a chain through a descriptor table, believing nothing (virtio 1.2, 2.7.5).
 *
 * <p>Each descriptor is read once, so one that changes meanwhile is seen in one state only.
 */
final class DescriptorReader {
  /** A chain has no more buffers than this, as in other implementations. */
  static final int MAXIMUM_BUFFERS = 1024;

  private static final int DESCRIPTOR_BYTES = 16;
  private static final int NEXT = 1;
  private static final int WRITE = 2;
  private static final int INDIRECT = 4;

  private final GuestMemory memory;
  private final GuestRam ram;
  private final long maximumBytes;
  private long tableGpa;
  private int tableSize;
  private boolean indirectAllowed;

  // The descriptor read last.
  private long gpa;
  private long lengthBytes;
  private int flags;
  private int next;

  DescriptorReader(GuestMemory memory, GuestRam ram) {
    this.memory = memory;
    this.ram = ram;
    maximumBytes = ram.sizeBytes();
  }

  void configure(long queueTableGpa, int queueSize, boolean withIndirect) {
    tableGpa = queueTableGpa;
    tableSize = queueSize;
    indirectAllowed = withIndirect;
  }

  /** Fills an empty chain from its head on; returns what is wrong with it, or {@code null}. */
  @Nullable String collect(DescriptorChain chain) {
    int index = chain.head();
    for (int steps = 0; steps < tableSize; steps++) {
      if (index >= tableSize) {
        return "descriptor %d of %d".formatted(index, tableSize);
      }
      read(tableGpa, index);
      String wrong = (flags & INDIRECT) != 0 ? indirect(chain) : buffer(chain);
      if (wrong != null || (flags & (NEXT | INDIRECT)) != NEXT) {
        return wrong;
      }
      index = next;
    }
    return "a chain runs in a circle: head=" + chain.head();
  }

  private @Nullable String indirect(DescriptorChain chain) {
    if (!indirectAllowed) {
      return "an indirect descriptor without the feature";
    }
    if ((flags & NEXT) != 0) {
      return "an indirect descriptor with a successor";
    }
    long count = lengthBytes / DESCRIPTOR_BYTES;
    if (count == 0 || lengthBytes % DESCRIPTOR_BYTES != 0) {
      return "an indirect table of %d bytes".formatted(lengthBytes);
    }
    if (!ram.contains(gpa, lengthBytes)) {
      return "an indirect table outside memory: gpa=0x%x".formatted(gpa);
    }
    String wrong = indirectTable(chain, gpa, Math.min(count, MAXIMUM_BUFFERS));
    flags = INDIRECT;
    return wrong;
  }

  private @Nullable String indirectTable(DescriptorChain chain, long table, long count) {
    int index = 0;
    for (int steps = 0; steps < count; steps++) {
      if (index >= count) {
        return "descriptor %d of an indirect table of %d".formatted(index, count);
      }
      read(table, index);
      if ((flags & INDIRECT) != 0) {
        return "an indirect descriptor in an indirect table";
      }
      String wrong = buffer(chain);
      if (wrong != null || (flags & NEXT) == 0) {
        return wrong;
      }
      index = next;
    }
    return "an indirect chain runs in a circle: head=" + chain.head();
  }

  private void read(long table, int index) {
    long at = table + (long) DESCRIPTOR_BYTES * index;
    gpa = memory.readValue(at, 8);
    lengthBytes = memory.readValue(at + 8, 4);
    int last = (int) memory.readValue(at + 12, 4);
    flags = last & 0xFFFF;
    next = last >>> 16;
  }

  private @Nullable String buffer(DescriptorChain chain) {
    if (lengthBytes == 0) {
      return "a buffer of no bytes";
    }
    if (!ram.contains(gpa, lengthBytes)) {
      return "a buffer outside memory: gpa=0x%x lengthBytes=%d".formatted(gpa, lengthBytes);
    }
    if (chain.readableBytes() + chain.writableBytes() + lengthBytes > maximumBytes) {
      return "a chain is larger than guest memory: head=" + chain.head();
    }
    if (chain.bufferCount() == MAXIMUM_BUFFERS) {
      return "a chain of more than %d buffers".formatted(MAXIMUM_BUFFERS);
    }
    if (!chain.append(gpa, lengthBytes, (flags & WRITE) != 0)) {
      return "a buffer to read behind one to write";
    }
    return null;
  }
}
