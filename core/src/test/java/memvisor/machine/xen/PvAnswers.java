package memvisor.machine.xen;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Lines of results, and those that Xen gave. */
final class PvAnswers {
  /** Answers of Debian's Xen 4.17.7; bench/against-xen asks it again. */
  private static final String RECORDED = "xen-4.17.7.txt";

  private PvAnswers() {}

  /** The lines {@code @name value …} of a console, without leading zeros. */
  static Map<String, String> parse(String console) {
    return console
        .lines()
        .map(line -> line.substring(Math.max(line.indexOf('@'), 0)).strip())
        .filter(line -> line.matches("@[-0-9a-z]+( [0-9a-f]{16})*"))
        .map(line -> List.of(line.substring(1).split(" ", -1)))
        .collect(
            Collectors.toMap(
                List::getFirst,
                words ->
                    words.stream()
                        .skip(1)
                        .map(word -> Long.toHexString(Long.parseUnsignedLong(word, 16)))
                        .collect(Collectors.joining(" ")),
                (first, second) -> {
                  throw new IllegalStateException("answered twice: " + first + " / " + second);
                },
                LinkedHashMap::new));
  }

  /** What Xen answered. */
  static Map<String, String> recorded() {
    try (InputStream in = PvAnswers.class.getResourceAsStream(RECORDED)) {
      String text =
          new String(
              Objects.requireNonNull(in, RECORDED).readAllBytes(), StandardCharsets.US_ASCII);
      return lines(text)
          .collect(
              Collectors.toMap(
                  line -> line.split(" ", 2)[0],
                  line -> line.contains(" ") ? line.split(" ", 2)[1] : "",
                  (a, b) -> a,
                  LinkedHashMap::new));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Stream<String> lines(String text) {
    return text.lines().filter(line -> !line.startsWith("#") && !line.isBlank());
  }
}
