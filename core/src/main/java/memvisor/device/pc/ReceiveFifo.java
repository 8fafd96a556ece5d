package memvisor.device.pc;

/** The receive FIFO of a 16550. */
final class ReceiveFifo {
  static final int CAPACITY = 16;
  private final byte[] bytes = new byte[CAPACITY];
  private int first;
  private int size;

  int size() {
    return size;
  }

  boolean isEmpty() {
    return size == 0;
  }

  void clear() {
    size = 0;
  }

  void add(int value) {
    bytes[(first + size++) % CAPACITY] = (byte) value;
  }

  /** Removes the oldest byte; 0 if there is none. */
  int remove() {
    if (size == 0) {
      return 0;
    }
    int value = bytes[first] & 0xFF;
    first = (first + 1) % CAPACITY;
    size--;
    return value;
  }
}
