package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class PackedDecimalTest {
  @ParameterizedTest
  @CsvSource({
    "0, true",
    "999999999999999999, true",
    "-999999999999999999, true",
    "1000000000000000000, false",
    "-1000000000000000000, false",
    "9223372036854775807, false",
    "-9223372036854775808, false",
  })
  void holdsEighteenDigitsAndNoMore(long value, boolean holds) {
    assertThat(PackedDecimal.holds(value)).isEqualTo(holds);
  }
}
