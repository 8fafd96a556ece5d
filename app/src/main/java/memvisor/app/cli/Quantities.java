package memvisor.app.cli;

import java.time.Duration;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Sizes and times as users type them. */
public final class Quantities {
  private static final Pattern SIZE = Pattern.compile("(\\d{1,18})([KMGT]?)(i?B)?");
  private static final Pattern TIME = Pattern.compile("(\\d{1,9})(ms|s|m|h)?");

  private Quantities() {}

  /** Reads {@code 256M}, {@code 1G} or a number of bytes. */
  public static final class SizeConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      Matcher matcher = SIZE.matcher(text.toUpperCase(Locale.ROOT).replace("IB", "iB"));
      if (!matcher.matches()) {
        throw new TypeConversionException("give a size like 256M or 1G, not '" + text + "'");
      }
      int shift = "KMGT".indexOf(matcher.group(2).isEmpty() ? "?" : matcher.group(2)) + 1;
      long number = Long.parseLong(matcher.group(1));
      if (number == 0) {
        throw new TypeConversionException("a guest needs memory: give a size like 256M or 1G");
      }
      long bytes = number << 10 * shift;
      if (bytes >> 10 * shift != number || bytes < 0) {
        throw new TypeConversionException("'" + text + "' is larger than any memory");
      }
      return bytes;
    }
  }

  /** Reads {@code 120s}, {@code 2m}, {@code 500ms} or a number of seconds. */
  public static final class TimeConverter implements ITypeConverter<Duration> {
    @Override
    public Duration convert(String text) {
      Matcher matcher = TIME.matcher(text);
      if (!matcher.matches()) {
        throw new TypeConversionException("give a time like 120s or 2m, not '" + text + "'");
      }
      long number = Long.parseLong(matcher.group(1));
      if (number == 0) {
        throw new TypeConversionException("give a time longer than nothing, like 120s");
      }
      return switch (matcher.group(2) == null ? "s" : matcher.group(2)) {
        case "ms" -> Duration.ofMillis(number);
        case "m" -> Duration.ofMinutes(number);
        case "h" -> Duration.ofHours(number);
        default -> Duration.ofSeconds(number);
      };
    }
  }
}
