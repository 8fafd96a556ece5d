package memvisor.device.virtio;

import java.util.Arrays;
import memvisor.memory.GuestMemory;

/**
 * One request of a driver: buffers that the device reads, then buffers that it writes.
 *
 * <p>Every buffer was checked to lie in guest memory, and the sum of their lengths not to exceed
 * it. They may overlap one another, the rings, or code: that harms nobody but the guest.
 */
public final class DescriptorChain {
  private static final int FIRST_CAPACITY = 8;

  private final VirtQueue queue;
  private final GuestMemory memory;
  private final int head;
  private long[] gpa = new long[FIRST_CAPACITY];
  private long[] lengthBytes = new long[FIRST_CAPACITY];
  private int readableCount;
  private int count;
  private long readableBytes;
  private long writableBytes;
  private boolean done;

  DescriptorChain(VirtQueue queue, GuestMemory memory, int head) {
    this.queue = queue;
    this.memory = memory;
    this.head = head;
  }

  /** Appends a buffer; {@code false} if it is to be read but follows one to be written. */
  boolean append(long bufferGpa, long bufferBytes, boolean writable) {
    if (!writable && count > readableCount) {
      return false;
    }
    if (count == gpa.length) {
      gpa = Arrays.copyOf(gpa, 2 * count);
      lengthBytes = Arrays.copyOf(lengthBytes, 2 * count);
    }
    gpa[count] = bufferGpa;
    lengthBytes[count++] = bufferBytes;
    if (writable) {
      writableBytes += bufferBytes;
    } else {
      readableCount = count;
      readableBytes += bufferBytes;
    }
    return true;
  }

  int bufferCount() {
    return count;
  }

  int head() {
    return head;
  }

  /** Bytes that the driver sends. */
  public long readableBytes() {
    return readableBytes;
  }

  /** Bytes that the driver has room for. */
  public long writableBytes() {
    return writableBytes;
  }

  /** Number of buffers to write. */
  int writableCount() {
    return count - readableCount;
  }

  long writableGpa(int index) {
    return gpa[readableCount + index];
  }

  long writableLengthBytes(int index) {
    return lengthBytes[readableCount + index];
  }

  /** Reads what the driver sent, from byte {@code from} of it on, into all of {@code target}. */
  void read(long from, byte[] target) {
    copy(0, readableCount, from, target, target.length, false);
  }

  /** Writes the first {@code length} bytes of {@code source} at byte {@code to} of the room. */
  void write(long to, byte[] source, int length) {
    copy(readableCount, count, to, source, length, true);
  }

  private void copy(int first, int end, long from, byte[] bytes, int length, boolean toGuest) {
    long skip = from;
    int done = 0;
    for (int i = first; i < end && done < length; i++) {
      if (skip >= lengthBytes[i]) {
        skip -= lengthBytes[i];
        continue;
      }
      int part = (int) Math.min(length - done, lengthBytes[i] - skip);
      if (toGuest) {
        memory.write(gpa[i] + skip, bytes, done, part);
      } else {
        memory.read(gpa[i] + skip, bytes, done, part);
      }
      done += part;
      skip = 0;
    }
    if (done < length) {
      throw new IndexOutOfBoundsException(
          "beyond a chain: from=%d length=%d head=%d".formatted(from, length, head));
    }
  }

  /** Gives the chain back to the driver, the first {@code writtenBytes} of its room filled. */
  public void complete(long writtenBytes) {
    if (done) {
      throw new IllegalStateException("completed twice: head=" + head);
    }
    done = true;
    queue.push(this, writtenBytes);
  }

  /** The request makes no sense: the device needs a reset. {@code reason} is for people. */
  void reject(String reason) {
    queue.fail(reason);
  }
}
