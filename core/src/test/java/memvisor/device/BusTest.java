package memvisor.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class BusTest {
  /** Answers with the low byte of each port and records writes as port/size=value. */
  private record Echo(int widthBytes, List<String> writes) implements PortDevice {
    @Override
    public int readPort(int port, int sizeBytes) {
      int value = 0;
      for (int i = 0; i < sizeBytes; i++) {
        value |= (port + i & 0xFF) << 8 * i;
      }
      return value;
    }

    @Override
    public void writePort(int port, int sizeBytes, int value) {
      writes.add("%x/%d=%x".formatted(port, sizeBytes, value));
    }
  }

  private final List<String> writes = new ArrayList<>();
  private final PortBus ports = new PortBus();

  private record Access(int port, int sizeBytes, int reads, String writes) {}

  static Stream<Access> portAccesses() {
    return Stream.of(
        new Access(0x10, 1, 0x10, "[10/1=44]"),
        new Access(0x10, 2, 0x1110, "[10/1=44, 11/1=33]"),
        new Access(0x13, 1, 0x13, "[13/1=44]"),
        // Half on the byte-wide device, half on nothing.
        new Access(0x13, 2, 0xFF13, "[13/1=44]"),
        new Access(0x0F, 2, 0x10FF, "[10/1=33]"),
        new Access(0x20, 4, 0x23222120, "[20/4=11223344]"),
        new Access(0x22, 2, 0x2322, "[22/2=3344]"),
        new Access(0x22, 4, 0xFFFF2322, "[22/1=44, 23/1=33]"),
        new Access(0x30, 1, 0xFF, "[]"),
        new Access(0x30, 2, 0xFFFF, "[]"),
        new Access(0xFFFE, 4, -1, "[]"));
  }

  @ParameterizedTest
  @MethodSource("portAccesses")
  void portAccessesReachWhoDecodesThem(Access access) {
    ports.add("wide", 0x20, 4, new Echo(4, writes));
    ports.add("byte", 0x10, 4, new Echo(1, writes));
    assertThat(ports.read(access.port, access.sizeBytes)).isEqualTo(access.reads);
    ports.write(access.port, access.sizeBytes, 0x11223344);
    assertThat(writes).hasToString(access.writes);
  }

  @Test
  void rangesAreListedInOrderAndNeverOverlap() {
    Echo device = new Echo(1, writes);
    ports.add("b", 0x20, 8, device);
    ports.add("a", 0x10, 0x10, device);
    ports.add("c", 0x28, 1, device);
    assertThat(ports.ranges())
        .containsExactly(
            new BusRange("a", 0x10, 0x20),
            new BusRange("b", 0x20, 0x28),
            new BusRange("c", 0x28, 0x29));
    for (int first : new int[] {0x1F, 0x20, 0x27, 0x0F}) {
      assertThatThrownBy(() -> ports.add("d", first, 2, device))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("overlaps");
    }
    assertThatThrownBy(() -> ports.add("end", 0xFFFF, 2, device))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> ports.add("empty", 0x50, 0, device))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void windowsSeeOffsetsAndUnclaimedMemoryReadsAsOnes() {
    MmioBus bus = new MmioBus();
    bus.add(
        "window",
        0xFEC0_0000L,
        0x1000,
        new MmioDevice() {
          @Override
          public long read(long offset, int sizeBytes) {
            return -offset;
          }

          @Override
          public void write(long offset, int sizeBytes, long value) {
            writes.add("%x/%d=%x".formatted(offset, sizeBytes, value));
          }
        });
    assertThat(bus.read(0xFEC0_0010L, 4)).isEqualTo(0xFFFF_FFF0L);
    assertThat(bus.read(0xFEC0_0010L, 8)).isEqualTo(-16);
    assertThat(bus.read(0xFEC0_0FFEL, 4)).isEqualTo(0xFFFF_FFFFL);
    assertThat(bus.read(0xFEBF_FFFFL, 1)).isEqualTo(0xFF);
    assertThat(bus.claims(0xFEC0_0FFFL)).isTrue();
    assertThat(bus.claims(0xFEC0_1000L)).isFalse();
    bus.write(0xFEC0_0020L, 2, 0x12345678);
    bus.write(0xFEC0_0FFFL, 2, 1);
    assertThat(writes).containsExactly("20/2=5678");
  }
}
