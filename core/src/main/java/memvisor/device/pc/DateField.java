package memvisor.device.pc;

import java.time.LocalDateTime;

/** The date registers of the real-time clock, as plain numbers. */
enum DateField {
  SECOND {
    @Override
    int get(LocalDateTime date) {
      return date.getSecond();
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date.withSecond(Math.clamp(value, 0, 59));
    }
  },
  MINUTE {
    @Override
    int get(LocalDateTime date) {
      return date.getMinute();
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date.withMinute(Math.clamp(value, 0, 59));
    }
  },
  HOUR {
    @Override
    int get(LocalDateTime date) {
      return date.getHour();
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date.withHour(Math.clamp(value, 0, 23));
    }
  },
  /** Sunday is 1. The date decides it: writes are ignored. */
  DAY_OF_WEEK {
    @Override
    int get(LocalDateTime date) {
      return date.getDayOfWeek().getValue() % 7 + 1;
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date;
    }
  },
  DAY {
    @Override
    int get(LocalDateTime date) {
      return date.getDayOfMonth();
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date.withDayOfMonth(Math.clamp(value, 1, date.toLocalDate().lengthOfMonth()));
    }
  },
  MONTH {
    @Override
    int get(LocalDateTime date) {
      return date.getMonthValue();
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date.withMonth(Math.clamp(value, 1, 12));
    }
  },
  YEAR_OF_CENTURY {
    @Override
    int get(LocalDateTime date) {
      return date.getYear() % 100;
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date.withYear(date.getYear() / 100 * 100 + Math.clamp(value, 0, 99));
    }
  },
  CENTURY {
    @Override
    int get(LocalDateTime date) {
      return date.getYear() / 100;
    }

    @Override
    LocalDateTime with(LocalDateTime date, int value) {
      return date.withYear(Math.clamp(value, 0, 99) * 100 + date.getYear() % 100);
    }
  };

  abstract int get(LocalDateTime date);

  abstract LocalDateTime with(LocalDateTime date, int value);
}
