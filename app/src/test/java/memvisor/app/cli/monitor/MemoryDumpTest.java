package memvisor.app.cli.monitor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HexFormat;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Memory dumps, as QEMU 7.2 printed the first bytes of Debian's kernel text. */
final class MemoryDumpTest {
  private static final long TEXT = 0xffffffff81000000L;
  private static final byte[] BYTES =
      HexFormat.of()
          .parseHex(
              "488d25513fa00148"
                  + "8d3df2ffffffb901"
                  + "0100c0488b05fe9c"
                  + "bf0148c7c2000000"
                  + "814829d04889c248"
                  + "c1ea200f30565548"
                  + "1020305041c00000"
                  + "b48944123051a0e8");

  static Stream<Arguments> dumps() {
    return Stream.of(
        Arguments.of("8xb", "ffffffff81000000: 0x48 0x8d 0x25 0x51 0x3f 0xa0 0x01 0x48\n"),
        Arguments.of("2xg", "ffffffff81000000: 0x4801a03f51258d48 0x01b9fffffff23d8d\n"),
        Arguments.of(
            "6xw",
            """
            ffffffff81000000: 0x51258d48 0x4801a03f 0xfff23d8d 0x01b9ffff
            ffffffff81000010: 0x48c00001 0x9cfe058b
            """),
        Arguments.of("3dw", "ffffffff81000000: 1361415496 1208066111 4294065549\n"),
        Arguments.of("3db", "ffffffff81000000:  72 141  37\n"),
        Arguments.of("2ub", "ffffffff81000000:  72 141\n"),
        Arguments.of("2dg", "ffffffff81000000:  5188604439512321352   124411939705208205\n"),
        Arguments.of(
            "9dh",
            """
            ffffffff81000000: 36168 20773 41023 18433 15757 65522 65535   441
            ffffffff81000010:     1
            """),
        Arguments.of(
            "9oh",
            """
            ffffffff81000000: 0106510 050445 0120077 044001 036615 0177762 0177777   0671
            ffffffff81000010:     01
            """),
        Arguments.of(
            "4ow", "ffffffff81000000: 012111306510 011000320077 037774436615  0156377777\n"),
        Arguments.of("2og", "ffffffff81000000: 0440015003752111306510   06717777777774436615\n"),
        Arguments.of("4c", "ffffffff81000000: 'H' '\\x8d' '%' 'Q'\n"),
        Arguments.of("0xb", ""),
        Arguments.of("", "ffffffff81000000: 0x51258d48\n"));
  }

  @ParameterizedTest
  @MethodSource("dumps")
  void dumpsLookLikeQemus(String format, String expected) {
    assertThat(MemoryDump.parse(format).print(TEXT, BYTES, BYTES.length)).isEqualTo(expected);
  }

  @Test
  void whatCannotBeReadIsSaidWhereItBegins() {
    MemoryDump dump = MemoryDump.parse("4xg");
    assertThat(dump.print(0, BYTES, 0)).isEqualTo("0000000000000000: Cannot access memory\n");
    assertThat(dump.print(TEXT, BYTES, 9))
        .isEqualTo("ffffffff81000000: 0x4801a03f51258d48 Cannot access memory\n");
  }

  @ParameterizedTest
  @CsvSource({
    "zz, invalid char in format: 'z'",
    "3i, there is no disassembler: use one of the formats x; d; u; o; c",
    "5000xb, at most 4096 items can be shown at once",
    "99999999999xb, at most 4096 items can be shown at once",
    "/x, invalid char in format: '/'",
  })
  void badFormatsAreRefused(String format, String message) {
    assertThatThrownBy(() -> MemoryDump.parse(format))
        .isInstanceOf(MonitorError.class)
        .hasMessage(message.replace(';', ','));
  }
}
