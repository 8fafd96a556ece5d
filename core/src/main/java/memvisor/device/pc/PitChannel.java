package memvisor.device.pc;

/** One channel of the 8254 as its port sees it: byte order, latches and status. */
final class PitChannel {
  private static final int LOW_BYTE = 1;
  private static final int HIGH_BYTE = 2;
  private static final int LOW_THEN_HIGH = 3;
  private static final int NOT_LATCHED = -1;

  final PitCounter counter;
  private int access = LOW_THEN_HIGH;
  private boolean readHighNext;
  private boolean writeHighNext;
  private int writtenLow;
  private int latchedCount = NOT_LATCHED;
  private int latchedStatus = NOT_LATCHED;

  PitChannel(boolean gate) {
    counter = new PitCounter(gate);
  }

  /** A control word for this channel other than a latch command. */
  void control(int word) {
    access = word >> 4 & 3;
    counter.setMode(word >> 1 & 7, (word & 1) != 0);
    readHighNext = false;
    writeHighNext = false;
    latchedCount = NOT_LATCHED;
    latchedStatus = NOT_LATCHED;
  }

  /** Keeps the count for reading; a second latch before that has no effect. */
  void latchCount(long tick) {
    if (latchedCount == NOT_LATCHED) {
      latchedCount = counter.value(tick);
    }
  }

  /** Keeps the status byte of the read-back command: OUT, null count, access, mode, BCD. */
  void latchStatus(long tick) {
    if (latchedStatus == NOT_LATCHED) {
      latchedStatus =
          (counter.output(tick) ? 0x80 : 0)
              | (counter.nullCount() ? 0x40 : 0)
              | access << 4
              | counter.mode() << 1
              | (counter.bcd() ? 1 : 0);
    }
  }

  int read(long tick) {
    if (latchedStatus != NOT_LATCHED) {
      int status = latchedStatus;
      latchedStatus = NOT_LATCHED;
      return status;
    }
    int value = latchedCount != NOT_LATCHED ? latchedCount : counter.value(tick);
    boolean high = access == HIGH_BYTE || access == LOW_THEN_HIGH && readHighNext;
    boolean more = access == LOW_THEN_HIGH && !readHighNext;
    readHighNext = more;
    if (!more) {
      latchedCount = NOT_LATCHED;
    }
    return (high ? value >> 8 : value) & 0xFF;
  }

  void write(int value, long tick) {
    switch (access) {
      case LOW_BYTE -> counter.load(value, tick);
      case HIGH_BYTE -> counter.load(value << 8, tick);
      default -> {
        if (writeHighNext) {
          counter.load(value << 8 | writtenLow, tick);
        } else {
          writtenLow = value;
          if (counter.mode() == 0) {
            counter.stop();
          }
        }
        writeHighNext = !writeHighNext;
      }
    }
  }
}
