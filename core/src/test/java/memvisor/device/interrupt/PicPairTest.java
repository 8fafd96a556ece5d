package memvisor.device.interrupt;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.device.RecordingLine;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PicPairTest {
  private final InterruptFixture board = new InterruptFixture();
  private final PicPair pics = board.pics;
  private final RecordingLine request = new RecordingLine();

  @BeforeEach
  void initialize() {
    pics.connect(request);
    board.initializePics(false);
  }

  private void out(int port, int value) {
    pics.writePort(port, 1, value);
  }

  private int in(int port) {
    return pics.readPort(port, 1);
  }

  @Test
  void maskIsReadBackAsProbesExpect() {
    out(0x21, 0xFB);
    assertThat(in(0x21)).isEqualTo(0xFB);
    out(0xA1, 0x5A);
    assertThat(in(0xA1)).isEqualTo(0x5A);
  }

  @ParameterizedTest
  @CsvSource({"0, 0x20", "1, 0x21", "7, 0x27", "8, 0x28", "15, 0x2F"})
  void edgeIsDeliveredOnceWithItsVector(int irq, String vector) {
    pics.input(irq).raise();
    assertThat(request.asserted).isTrue();
    assertThat(pics.acknowledge()).isEqualTo(Integer.decode(vector));
    assertThat(request.asserted).isFalse();
    out(0xA0, 0x20);
    out(0x20, 0x20);
    assertThat(request.asserted).as("no second edge").isFalse();
    pics.input(irq).lower();
    pics.input(irq).raise();
    assertThat(request.asserted).isTrue();
  }

  @Test
  void lowerPriorityWaitsForEndOfInterruptAndHigherDoesNot() {
    pics.input(4).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x24);
    pics.input(5).raise();
    assertThat(request.asserted).isFalse();
    pics.input(1).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x21);
    out(0x20, 0x0B);
    assertThat(in(0x20)).as("ISR").isEqualTo(0x12);
    out(0x20, 0x0A);
    assertThat(in(0x20)).as("IRR").isEqualTo(0x20);
    out(0x20, 0x20);
    assertThat(request.asserted).isFalse();
    out(0x20, 0x64);
    assertThat(pics.acknowledge()).as("after the specific EOI of 4").isEqualTo(0x25);
  }

  @Test
  void cascadeRanksAboveTheMastersLaterInputs() {
    pics.input(3).raise();
    pics.input(8).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x28);
    assertThat(request.asserted).isFalse();
    out(0xA0, 0x20);
    out(0x20, 0x20);
    assertThat(pics.acknowledge()).isEqualTo(0x23);
  }

  @Test
  void nothingRequestedIsTheSpuriousVectorWithoutService() {
    assertThat(pics.acknowledge()).isEqualTo(0x27);
    out(0x20, 0x0B);
    assertThat(in(0x20)).isZero();
  }

  @Test
  void levelThatFallsBeforeAcknowledgeIsSpurious() {
    out(0x4D0, 0xFF);
    assertThat(in(0x4D0)).as("0 to 2 are always edges").isEqualTo(0xF8);
    pics.input(5).raise();
    pics.input(5).lower();
    assertThat(request.asserted).isFalse();
    assertThat(pics.acknowledge()).isEqualTo(0x27);
  }

  @Test
  void levelAsksAgainAfterEndOfInterrupt() {
    out(0x4D1, 0x02);
    pics.input(9).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x29);
    out(0xA0, 0x20);
    out(0x20, 0x20);
    assertThat(request.asserted).isTrue();
    assertThat(pics.acknowledge()).isEqualTo(0x29);
  }

  @Test
  void automaticEndOfInterruptLeavesNothingInService() {
    board.initializePics(true);
    pics.input(0).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x20);
    pics.input(6).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x26);
  }

  @Test
  void maskedInputIsRememberedUntilUnmasked() {
    out(0x21, 0x10);
    pics.input(4).raise();
    assertThat(request.asserted).isFalse();
    out(0x21, 0);
    assertThat(pics.acknowledge()).isEqualTo(0x24);
  }

  @Test
  void pollReturnsAndServesTheHighestRequest() {
    pics.input(6).raise();
    out(0x20, 0x0C);
    assertThat(in(0x20)).isEqualTo(0x86);
    out(0x20, 0x0C);
    assertThat(in(0x20)).isZero();
  }

  @Test
  void rotatingEndOfInterruptMakesTheServedInputLowest() {
    pics.input(3).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x23);
    out(0x20, 0xA0);
    pics.input(1).raise();
    pics.input(5).raise();
    assertThat(pics.acknowledge()).isEqualTo(0x25);
  }

  @Test
  void specialMaskModeLetsLowerPrioritiesThrough() {
    pics.input(1).raise();
    pics.acknowledge();
    pics.input(6).raise();
    assertThat(request.asserted).isFalse();
    out(0x21, 0x02);
    out(0x20, 0x68);
    assertThat(pics.acknowledge()).isEqualTo(0x26);
  }
}
