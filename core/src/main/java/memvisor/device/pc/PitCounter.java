package memvisor.device.pc;

import memvisor.device.TimedDevice;

/**
 * One counter of the 8254 as a function of time: given the tick at which its count was loaded, its
 * value and its output at any later tick follow from the mode. Ticks are those of the 1.193182 MHz
 * input clock.
 */
final class PitCounter {
  private static final int NEVER_LOADED = 0;

  private int mode;
  private boolean bcd;
  private int count = NEVER_LOADED;
  private boolean gate;

  /** When the count was loaded or triggered; meaningful while {@link #running}. */
  private long startTick;

  private boolean running;

  /** Ticks counted before the gate stopped modes 0 and 4. */
  private long elapsedWhenStopped;

  PitCounter(boolean gate) {
    this.gate = gate;
  }

  int mode() {
    return mode;
  }

  boolean bcd() {
    return bcd;
  }

  /** Whether no count was written since the control word: status bit 6. */
  boolean nullCount() {
    return count == NEVER_LOADED;
  }

  /** A control word: the counter waits for a count. */
  void setMode(int newMode, boolean isBcd) {
    // 8254 figure 7: the top bit of modes 6 and 7 is "don't care".
    mode = newMode > 5 ? newMode - 4 : newMode;
    bcd = isBcd;
    stop();
    count = NEVER_LOADED;
  }

  /** The first byte of two stops mode 0 until the second; 8254, mode 0, note 1. */
  void stop() {
    running = false;
    elapsedWhenStopped = 0;
  }

  /** Loads a count as written: 0 means the maximum. */
  void load(int raw, long tick) {
    count = bcd ? fromBcd(raw) : raw;
    if (count == 0) {
      count = bcd ? 10_000 : 0x1_0000;
    }
    // 8254, modes 1 and 5: only the trigger starts; modes 2 and 3 would take a new count at the end
    // of the period, which here begins anew.
    if (!triggered()) {
      elapsedWhenStopped = 0;
      startTick = tick;
      running = gate;
    }
  }

  void setGate(boolean level, long tick) {
    if (level == gate) {
      return;
    }
    gate = level;
    if (count == NEVER_LOADED) {
      return;
    }
    if (level) {
      startTick = tick - (periodic() || triggered() ? 0 : elapsedWhenStopped);
      running = true;
    } else if (periodic()) {
      running = false;
    } else if (!triggered() && running) {
      elapsedWhenStopped = tick - startTick;
      running = false;
    }
  }

  boolean gate() {
    return gate;
  }

  /** What reading the counter gives, 16 bits, in BCD if so programmed. */
  int value(long tick) {
    if (count == NEVER_LOADED) {
      return 0;
    }
    long elapsed = elapsed(tick);
    long modulus = bcd ? 10_000 : 0x1_0000;
    long value =
        switch (mode) {
          case 2 -> count - elapsed % count;
          // Counts down by two, twice per period.
          case 3 -> count - 2 * elapsed % count;
          default -> Math.floorMod(count - elapsed, modulus);
        };
    int shown = (int) (value % modulus);
    return bcd ? toBcd(shown) : shown;
  }

  /** The output wire; 8254, "mode definitions". */
  boolean output(long tick) {
    if (count == NEVER_LOADED) {
      return mode != 0;
    }
    long elapsed = elapsed(tick);
    return switch (mode) {
      case 0 -> elapsed >= count;
      case 1 -> !running || elapsed >= count;
      case 2 -> !running || elapsed % count != count - 1;
      case 3 -> !running || elapsed % count < (count + 1) / 2;
      default -> !running || elapsed != count;
    };
  }

  /** The first tick after {@code tick} at which the output rises; NEVER if it will not. */
  long nextRise(long tick) {
    if (count == NEVER_LOADED || !running) {
      return TimedDevice.NEVER;
    }
    long elapsed = elapsed(tick);
    if (periodic()) {
      return startTick + (elapsed / count + 1) * count;
    }
    long rise = startTick + count + (mode >= 4 ? 1 : 0);
    return rise > tick ? rise : TimedDevice.NEVER;
  }

  private long elapsed(long tick) {
    return running ? tick - startTick : elapsedWhenStopped;
  }

  private boolean periodic() {
    return mode == 2 || mode == 3;
  }

  private boolean triggered() {
    return mode == 1 || mode == 5;
  }

  private static int fromBcd(int raw) {
    int value = 0;
    for (int shift = 12; shift >= 0; shift -= 4) {
      value = value * 10 + (raw >> shift & 0xF);
    }
    return value;
  }

  private static int toBcd(int value) {
    return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
  }
}
