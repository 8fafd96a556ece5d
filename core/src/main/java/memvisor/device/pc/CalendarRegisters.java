package memvisor.device.pc;

import java.time.LocalDateTime;
import java.time.YearMonth;

/**
 * The eight date registers of the real-time clock and their encodings: BCD or binary, 12 or 24
 * hours, as register B says; MC146818A, table 2.
 */
final class CalendarRegisters {
  static final int SECONDS = 0x00;
  static final int MINUTES = 0x02;
  static final int HOURS = 0x04;
  private static final int DAY_OF_WEEK = 0x06;
  private static final int DAY = 0x07;
  private static final int MONTH = 0x08;
  private static final int YEAR = 0x09;
  private static final int CENTURY = RealTimeClock.CENTURY_INDEX;

  private static final int B_BINARY = 4;
  private static final int B_24_HOURS = 2;
  private static final int PM = 0x80;

  private CalendarRegisters() {}

  static boolean contains(int index) {
    return switch (index) {
      case SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DAY, MONTH, YEAR, CENTURY -> true;
      default -> false;
    };
  }

  /** Writes a date into the registers. */
  static void store(LocalDateTime date, byte[] cmos, int registerB) {
    cmos[SECONDS] = number(date.getSecond(), registerB);
    cmos[MINUTES] = number(date.getMinute(), registerB);
    cmos[HOURS] = hour(date.getHour(), registerB);
    // Sunday is 1.
    cmos[DAY_OF_WEEK] = number(date.getDayOfWeek().getValue() % 7 + 1, registerB);
    cmos[DAY] = number(date.getDayOfMonth(), registerB);
    cmos[MONTH] = number(date.getMonthValue(), registerB);
    cmos[YEAR] = number(date.getYear() % 100, registerB);
    cmos[CENTURY] = number(date.getYear() / 100, registerB);
  }

  /** The date in the registers; a field out of range counts as its nearest value. */
  static LocalDateTime load(byte[] cmos, int registerB) {
    int year = value(cmos[CENTURY], registerB) * 100 + value(cmos[YEAR], registerB);
    int month = Math.clamp(value(cmos[MONTH], registerB), 1, 12);
    int lastDay = YearMonth.of(year, month).lengthOfMonth();
    return LocalDateTime.of(
        year,
        month,
        Math.clamp(value(cmos[DAY], registerB), 1, lastDay),
        Math.clamp(hourValue(cmos[HOURS], registerB), 0, 23),
        Math.clamp(value(cmos[MINUTES], registerB), 0, 59),
        Math.clamp(value(cmos[SECONDS], registerB), 0, 59));
  }

  private static byte hour(int hour, int registerB) {
    if ((registerB & B_24_HOURS) != 0) {
      return number(hour, registerB);
    }
    int shown = hour % 12 == 0 ? 12 : hour % 12;
    return (byte) (number(shown, registerB) | (hour >= 12 ? PM : 0));
  }

  private static int hourValue(byte raw, int registerB) {
    if ((registerB & B_24_HOURS) != 0) {
      return value(raw, registerB);
    }
    return value((byte) (raw & ~PM), registerB) % 12 + ((raw & PM) != 0 ? 12 : 0);
  }

  private static byte number(int value, int registerB) {
    return (byte) ((registerB & B_BINARY) != 0 ? value : value / 10 << 4 | value % 10);
  }

  private static int value(byte raw, int registerB) {
    int bits = raw & 0xFF;
    return (registerB & B_BINARY) != 0 ? bits : (bits >> 4) * 10 + (bits & 0xF);
  }
}
