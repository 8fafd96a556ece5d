package memvisor.app.cli.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The escape among typed keys; {@code ^} stands for Ctrl-A. */
final class EscapeKeysTest {
  private static List<String> events(String... pieces) {
    EscapeKeys escapes = new EscapeKeys();
    List<String> events = new ArrayList<>();
    for (String piece : pieces) {
      escapes.accept(
          piece.replace('^', '\u0001').getBytes(StandardCharsets.ISO_8859_1),
          keys -> events.add(new String(keys, StandardCharsets.ISO_8859_1).replace('\u0001', '^')),
          request -> events.add("<" + request + ">"));
    }
    return events;
  }

  @ParameterizedTest
  @CsvSource({
    "ls -l, ls -l",
    "^c, <TOGGLE>",
    "^x, <QUIT>",
    "^h, <HELP>",
    "^?, <HELP>",
    "^a, ^",
    "^^, ^",
    "ab^ccd, ab <TOGGLE> cd",
    "^c^c, <TOGGLE> <TOGGLE>",
    "a^ab^^c, a^b^c",
    "a^zb, a b",
    "^, ''",
  })
  void eachKeyAfterTheEscapeHasItsMeaning(String typed, String expected) {
    assertThat(String.join(" ", events(typed))).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({"ab^ccd", "^x", "^^a", "a^zb^c"})
  void itDoesNotMatterHowTheKeysArrive(String typed) {
    List<String> oneByOne = events(typed.split(""));
    List<String> atOnce = events(typed);
    assertThat(String.join("", oneByOne)).isEqualTo(String.join("", atOnce));
  }
}
