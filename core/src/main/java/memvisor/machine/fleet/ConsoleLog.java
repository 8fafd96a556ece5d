package memvisor.machine.fleet;

import memvisor.device.ByteSink;

/**
 * The last bytes a guest printed, for readers that come and go. The guest never waits for one: a
 * reader that is too slow misses what was overwritten meanwhile. Thread-safe.
 */
public final class ConsoleLog implements ByteSink {
  /** A screen or two of scrollback, or the messages of a booting kernel. */
  private static final int CAPACITY = 1 << 16;

  private final byte[] ring = new byte[CAPACITY];
  private long end;

  @Override
  public synchronized void accept(int value) {
    ring[(int) (end++ & CAPACITY - 1)] = (byte) value;
    notifyAll();
  }

  /** Position behind the last byte: bytes printed so far. */
  public synchronized long end() {
    return end;
  }

  /** Position of the oldest byte that is kept. */
  public synchronized long start() {
    return Math.max(0, end - CAPACITY);
  }

  /**
   * What was printed from {@code position} on, once there is anything; nothing after {@code
   * timeoutMillis}. The bytes that follow are at {@link #end} less those not read.
   */
  public synchronized Part read(long position, int most, long timeoutMillis)
      throws InterruptedException {
    if (position >= end) {
      wait(Math.max(1, timeoutMillis));
    }
    long from = Math.max(position, start());
    byte[] bytes = new byte[(int) Math.max(0, Math.min(most, end - from))];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = ring[(int) (from + i & CAPACITY - 1)];
    }
    return new Part(bytes, from + bytes.length);
  }

  /**
   * A piece of what was printed.
   *
   * @param bytes the piece
   * @param next the position behind it
   */
  public record Part(byte[] bytes, long next) {}
}
