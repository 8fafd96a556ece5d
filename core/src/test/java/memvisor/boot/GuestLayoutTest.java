package memvisor.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.Collectors;
import memvisor.memory.GuestMemoryMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GuestLayoutTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          200000    | 0-a0000 RAM, e0000-100000 ACPI, 100000-200000 RAM
          10000000  | 0-a0000 RAM, e0000-100000 ACPI, 100000-10000000 RAM
          c0000000  | 0-a0000 RAM, e0000-100000 ACPI, 100000-c0000000 RAM
          c0001000  | 0-a0000 RAM, e0000-100000 ACPI, 100000-c0000000 RAM, 100000000-100001000 RAM
          200000000 | 0-a0000 RAM, e0000-100000 ACPI, 100000-c0000000 RAM, 100000000-240000000 RAM
          """)
  void memoryBeyondThreeGibibytesGoesAboveTheDevices(String sizeHex, String expected) {
    GuestMemoryMap map = GuestLayout.of(Long.parseLong(sizeHex, 16));
    assertThat(
            map.regions().stream()
                .map(r -> "%x-%x %s".formatted(r.gpa(), r.end(), r.kind()))
                .collect(Collectors.joining(", ")))
        .isEqualTo(expected);
  }

  @ParameterizedTest
  @ValueSource(
      longs = {0, -1, 1, 1 << 20, (2 << 20) + 1, (1L << 40) + 4096, Long.MAX_VALUE, Long.MIN_VALUE})
  void aSenselessSizeIsRefusedInOneSentence(long memoryBytes) {
    assertThatThrownBy(() -> GuestLayout.of(memoryBytes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("guest memory must be ");
  }
}
