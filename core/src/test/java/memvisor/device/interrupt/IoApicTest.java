package memvisor.device.interrupt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class IoApicTest {
  private static final long LEVEL = 1 << 15;
  private static final long REMOTE_IRR = 1 << 14;
  private static final long MASKED = 1 << 16;
  private static final long TO_CPU1 = 1L << 56;

  private final InterruptFixture board = InterruptFixture.enabled();

  @Test
  void identifiesItselfAsVersion20hWith24Pins() {
    board.ioApic.write(0, 4, 1);
    assertThat(board.ioApic.read(0x10, 4)).isEqualTo(0x170020);
    board.ioApic.write(0, 4, 0);
    assertThat(board.ioApic.read(0x10, 4)).isEqualTo(0x0200_0000);
    board.ioApic.write(0x10, 4, 0x0500_0000);
    assertThat(board.ioApic.read(0x10, 4)).isEqualTo(0x0500_0000);
    assertThat(board.redirection(23)).isEqualTo(MASKED);
    board.ioApic.write(0, 4, 0x10 + 48);
    assertThat(board.ioApic.read(0x10, 4)).as("no pin 24").isZero();
  }

  @Test
  void readOnlyBitsOfAnEntryStay() {
    board.redirect(5, -1);
    assertThat(board.redirection(5)).isEqualTo(0xFF00_0000_0001_AFFFL);
  }

  private record Destination(String name, long entry, int cpu0, int cpu1) {}

  static Stream<Destination> destinations() {
    return Stream.of(
        new Destination("physical 0", 0x41, 0x41, -1),
        new Destination("physical 1", TO_CPU1 | 0x41, -1, 0x41),
        new Destination("physical broadcast", 0xFFL << 56 | 0x41, 0x41, 0x41),
        new Destination("logical, both", 3L << 56 | 0x841, 0x41, 0x41),
        new Destination("logical, second", 2L << 56 | 0x841, -1, 0x41),
        new Destination("logical, lowest priority", 3L << 56 | 0x941, 0x41, -1));
  }

  @ParameterizedTest
  @MethodSource("destinations")
  void edgeIsDeliveredOnceToItsDestinations(Destination destination) {
    board.cpu0.write(ApicRegister.LOGICAL_DESTINATION, 4, 1L << 24);
    board.cpu1.write(ApicRegister.LOGICAL_DESTINATION, 4, 2L << 24);
    board.redirect(4, destination.entry);
    board.ioApic.pin(4).raise();
    board.ioApic.pin(4).raise();
    assertThat(board.cpu0.acknowledge()).isEqualTo(destination.cpu0);
    assertThat(board.cpu1.acknowledge()).isEqualTo(destination.cpu1);
    InterruptFixture.endOfInterrupt(board.cpu0);
    InterruptFixture.endOfInterrupt(board.cpu1);
    assertThat(board.cpu0.interruptPending() || board.cpu1.interruptPending()).isFalse();
  }

  @Test
  void edgeOnMaskedPinIsLostButLevelIsNot() {
    board.redirect(4, MASKED | 0x41);
    board.redirect(16, MASKED | LEVEL | 0x51);
    board.ioApic.pin(4).raise();
    board.ioApic.pin(16).raise();
    assertThat(board.cpu0.interruptPending()).isFalse();
    board.redirect(4, 0x41);
    assertThat(board.cpu0.interruptPending()).isFalse();
    board.redirect(16, LEVEL | 0x51);
    assertThat(board.cpu0.acknowledge()).isEqualTo(0x51);
  }

  @Test
  void levelIsDeliveredAgainAfterEndOfInterruptWhileItPersists() {
    board.redirect(16, LEVEL | 0x51);
    board.ioApic.pin(16).raise();
    assertThat(board.redirection(16) & REMOTE_IRR).isEqualTo(REMOTE_IRR);
    assertThat(board.cpu0.acknowledge()).isEqualTo(0x51);
    assertThat(board.cpu0.read(ApicRegister.TMR + 0x20, 4)).isEqualTo(1 << 0x11);
    assertThat(board.cpu0.interruptPending()).isFalse();
    InterruptFixture.endOfInterrupt(board.cpu0);
    assertThat(board.cpu0.acknowledge()).as("still asserted").isEqualTo(0x51);
    board.ioApic.pin(16).lower();
    assertThat(board.redirection(16) & REMOTE_IRR).isEqualTo(REMOTE_IRR);
    InterruptFixture.endOfInterrupt(board.cpu0);
    assertThat(board.redirection(16) & REMOTE_IRR).isZero();
    assertThat(board.cpu0.interruptPending()).isFalse();
  }

  @Test
  void endOfEdgeInterruptIsNotBroadcast() {
    board.redirect(16, LEVEL | 0x51);
    board.ioApic.pin(16).raise();
    board.cpu0.acknowledge();
    // The same vector arrives as an edge: its trigger mode is what EOI goes by.
    board.bus.deliver(0, false, DeliveryMode.FIXED, 0x51, false);
    InterruptFixture.endOfInterrupt(board.cpu0);
    assertThat(board.redirection(16) & REMOTE_IRR).isEqualTo(REMOTE_IRR);
  }

  @Test
  void maskedDuringServiceStaysQuietUntilUnmasked() {
    board.redirect(16, LEVEL | 0x51);
    board.ioApic.pin(16).raise();
    board.cpu0.acknowledge();
    board.redirect(16, LEVEL | MASKED | 0x51);
    InterruptFixture.endOfInterrupt(board.cpu0);
    assertThat(board.cpu0.interruptPending()).isFalse();
    board.redirect(16, LEVEL | 0x51);
    assertThat(board.cpu0.acknowledge()).isEqualTo(0x51);
  }

  @ParameterizedTest
  @ValueSource(strings = {"EOI register", "edge and back"})
  void remoteIrrCanBeClearedWithoutTheLocalApic(String way) {
    board.redirect(16, LEVEL | 0x51);
    board.ioApic.pin(16).raise();
    board.ioApic.pin(16).lower();
    if (way.equals("EOI register")) {
      board.ioApic.write(0x40, 4, 0x51);
    } else {
      board.redirect(16, MASKED | 0x51);
      board.redirect(16, LEVEL | MASKED | 0x51);
    }
    assertThat(board.redirection(16) & REMOTE_IRR).isZero();
  }

  @Test
  void undeliverableLevelDoesNotHangThePin() {
    board.redirect(16, LEVEL | 7L << 56 | 0x51);
    board.ioApic.pin(16).raise();
    assertThat(board.redirection(16) & REMOTE_IRR).isZero();
    board.redirect(16, LEVEL | 0x51);
    assertThat(board.cpu0.acknowledge()).isEqualTo(0x51);
  }

  @Test
  void timerInterruptOfTheIsaBusArrivesAtPin2() {
    board.redirect(2, 0x30);
    board.isa.line(0).raise();
    assertThat(board.cpu0.acknowledge()).isEqualTo(0x30);
  }

  @Test
  void nonMaskableDeliveryModeRaisesNmi() {
    board.redirect(4, TO_CPU1 | 0x400);
    board.ioApic.pin(4).raise();
    assertThat(board.events).containsExactly("1 nmi");
  }
}
