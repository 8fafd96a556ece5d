package memvisor.app.cli.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Lines from keys on a raw terminal. */
final class LineEditorTest {
  static Stream<Arguments> cases() {
    return Stream.of(
        Arguments.of("plain", "help\r", List.of("help")),
        Arguments.of("line feed ends a line too", "a\nb\r", List.of("a", "b")),
        Arguments.of("backspace", "hexl\b\blp\r", List.of("help")),
        Arguments.of("delete", "ab\u007fc\r", List.of("ac")),
        Arguments.of("backspace at the start", "\b\ba\r", List.of("a")),
        Arguments.of("Ctrl-U begins again", "junk\u0015info\r", List.of("info")),
        Arguments.of("Ctrl-C begins again", "junk\u0003info\r", List.of("info")),
        Arguments.of("arrow keys are ignored", "a\u001b[Ab\u001b[3~c\r", List.of("abc")),
        Arguments.of(
            "controls and other bytes are ignored", "a\u0000\u0007\u00e9b\r", List.of("ab")),
        Arguments.of("an empty line is one", "\r", List.of("")));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void keysBecomeLines(String name, String keys, List<String> expected) {
    LineEditor editor = new LineEditor();
    List<String> lines = new ArrayList<>();
    keys.chars().forEach(key -> editor.key(key).ifPresent(lines::add));
    assertThat(lines).isEqualTo(expected);
  }

  @Test
  void theTerminalShowsWhatTheLineHolds() {
    LineEditor editor = new LineEditor();
    "ab\bc\r".chars().forEach(key -> assertThat(editor.key(key)).isNotNull());
    assertThat(editor.takeEcho()).isEqualTo("ab\b \bc\r\n");
    assertThat(editor.takeEcho()).isEmpty();
  }

  @Test
  void anEndlessLineStopsGrowing() {
    LineEditor editor = new LineEditor();
    for (int i = 0; i < 100_000; i++) {
      assertThat(editor.key('a')).isEmpty();
    }
    assertThat(editor.key('\r').orElseThrow()).hasSize(4096);
  }
}
