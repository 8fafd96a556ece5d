package memvisor.device.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import memvisor.device.FakeClock;
import memvisor.device.RecordingLine;
import memvisor.device.TimedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class Uart16550Test {
  private static final int DATA = 0x3F8;
  private static final int IER = 0x3F9;
  private static final int IIR = 0x3FA;
  private static final int FCR = 0x3FA;
  private static final int LCR = 0x3FB;
  private static final int MCR = 0x3FC;
  private static final int LSR = 0x3FD;
  private static final int MSR = 0x3FE;
  private static final int SCRATCH = 0x3FF;

  private final FakeClock clock = new FakeClock();
  private final RecordingLine line = new RecordingLine();
  private final StringBuilder sent = new StringBuilder();
  private int wakeups;
  private final Uart16550 uart =
      new Uart16550(
          Uart16550.COM1_PORT, clock, value -> sent.append((char) value), line, () -> wakeups++);

  private void out(int port, int value) {
    uart.writePort(port, 1, value);
  }

  private int in(int port) {
    return uart.readPort(port, 1);
  }

  private void receive(String text) {
    uart.receive(text.getBytes(StandardCharsets.ISO_8859_1));
    clock.runTo(clock.now, uart);
  }

  @Test
  void afterResetItIsIdleReadyAndConnected() {
    assertThat(in(IIR)).isEqualTo(0x01);
    assertThat(in(LSR)).isEqualTo(0x60);
    assertThat(in(MSR)).isEqualTo(0xB0);
    assertThat(line.asserted).isFalse();
  }

  /** The steps of Linux' 8250 autoconfig that decide for a 16550A. */
  @Test
  void linuxDetectsA16550A() {
    out(IER, 0);
    assertThat(in(IER)).isZero();
    out(IER, 0x0F);
    assertThat(in(IER) & 0x0F).isEqualTo(0x0F);
    out(IER, 0);
    out(MCR, 0x1A);
    assertThat(in(MSR) & 0xF0).as("loopback").isEqualTo(0x90);
    out(MCR, 0);
    out(FCR, 1);
    assertThat(in(IIR)).as("both FIFO bits").isEqualTo(0xC1);
    out(LCR, 0xE0);
    assertThat(in(IIR) & 0x10).as("no 16C950 bank").isZero();
    out(LCR, 0x80);
    out(FCR, 0x21);
    assertThat(in(IIR) & 0x20).as("no 64-byte FIFO").isZero();
    out(LCR, 0);
    out(IER, 0x40);
    assertThat(in(IER)).as("no XScale UUE").isZero();
    out(FCR, 0);
    assertThat(in(IIR)).isEqualTo(0x01);
  }

  /** Linux enables the transmitter interrupt twice and expects it both times. */
  @Test
  void enablingTransmitterInterruptRaisesItAgainEachTime() {
    out(IER, 2);
    assertThat(line.asserted).isTrue();
    assertThat(in(IIR)).isEqualTo(0x02);
    assertThat(line.asserted).as("reading the IIR resets it").isFalse();
    assertThat(in(IIR)).isEqualTo(0x01);
    out(IER, 2);
    assertThat(in(IIR)).as("it was enabled already").isEqualTo(0x01);
    out(IER, 0);
    out(IER, 2);
    assertThat(in(IIR)).isEqualTo(0x02);
  }

  @Test
  void writingDataSendsItAndRaisesTheTransmitterInterruptAnew() {
    out(IER, 2);
    in(IIR);
    out(DATA, 'a');
    assertThat(line.asserted).isTrue();
    assertThat(in(IIR)).isEqualTo(0x02);
    out(DATA, 'b');
    assertThat(in(LSR)).isEqualTo(0x60);
    assertThat(sent).hasToString("ab");
  }

  @Test
  void readingTheIirForAnotherSourceKeepsTheTransmitterPending() {
    out(IER, 3);
    receive("x");
    assertThat(in(IIR)).isEqualTo(0x04);
    assertThat(in(DATA)).isEqualTo('x');
    assertThat(in(IIR)).isEqualTo(0x02);
  }

  @Test
  void divisorLatchHidesDataAndInterruptEnable() {
    out(IER, 5);
    out(LCR, 0x83);
    out(DATA, 0x01);
    out(IER, 0x02);
    assertThat(in(DATA)).isEqualTo(0x01);
    assertThat(in(IER)).isEqualTo(0x02);
    out(LCR, 0x03);
    assertThat(in(IER)).isEqualTo(5);
    assertThat(in(LCR)).isEqualTo(3);
    assertThat(sent).isEmpty();
  }

  @Test
  void scratchKeepsWhatIsWrittenAndStatusDoesNot() {
    out(SCRATCH, 0xA5);
    out(LSR, 0xFF);
    out(MSR, 0xFF);
    assertThat(in(SCRATCH)).isEqualTo(0xA5);
    assertThat(in(LSR)).isEqualTo(0x60);
    assertThat(in(MSR)).isEqualTo(0xB0);
  }

  @ParameterizedTest
  @CsvSource({"0x11, 0x20", "0x12, 0x10", "0x14, 0x40", "0x18, 0x80", "0x1F, 0xF0", "0x10, 0x00"})
  void loopbackConnectsModemOutputsToInputs(String mcr, String inputs) {
    out(MCR, Integer.decode(mcr));
    assertThat(in(MSR) & 0xF0).isEqualTo(Integer.decode(inputs));
  }

  @Test
  void loopbackReturnsDataAndSendsNothing() {
    out(FCR, 1);
    out(MCR, 0x10);
    out(DATA, 'p');
    out(DATA, 'q');
    assertThat(in(LSR) & 1).isEqualTo(1);
    assertThat(in(DATA)).isEqualTo('p');
    assertThat(in(DATA)).isEqualTo('q');
    assertThat(in(LSR)).isEqualTo(0x60);
    assertThat(sent).isEmpty();
  }

  @Test
  void modemChangeInterruptsUntilTheStatusIsRead() {
    out(IER, 8);
    out(MCR, 0x10);
    assertThat(in(IIR)).isEqualTo(0x00);
    assertThat(in(MSR)).as("CTS, DSR and DCD fell").isEqualTo(0x0B);
    assertThat(in(IIR)).isEqualTo(0x01);
    assertThat(line.asserted).isFalse();
  }

  @Test
  void inputWithoutFifoInterruptsByteByByte() {
    out(IER, 1);
    receive("ab");
    assertThat(wakeups).isEqualTo(1);
    assertThat(line.asserted).isTrue();
    assertThat(in(LSR)).isEqualTo(0x61);
    assertThat(in(DATA)).isEqualTo('a');
    assertThat(line.asserted).as("the next byte follows").isTrue();
    assertThat(in(DATA)).isEqualTo('b');
    assertThat(line.asserted).isFalse();
    assertThat(in(LSR)).isEqualTo(0x60);
  }

  @Test
  void inputLongerThanTheFifoIsNeitherLostNorReordered() {
    out(FCR, 0xC1);
    out(IER, 1);
    String text = "The quick brown fox jumps over the lazy dog";
    receive(text.substring(0, 20));
    receive(text.substring(20));
    StringBuilder got = new StringBuilder();
    while ((in(LSR) & 1) != 0) {
      got.append((char) in(DATA));
    }
    assertThat(got).hasToString(text);
    assertThat(in(LSR)).as("no overrun").isEqualTo(0x60);
  }

  @ParameterizedTest
  @CsvSource({"0x01, 1", "0x41, 4", "0x81, 8", "0xC1, 14"})
  void receiveInterruptComesAtTheTriggerLevel(String fcr, int trigger) {
    out(FCR, Integer.decode(fcr));
    out(IER, 1);
    for (int i = 1; i < trigger; i++) {
      receive("x");
      assertThat(line.asserted).as("after %d bytes", i).isFalse();
    }
    receive("x");
    assertThat(in(IIR)).isEqualTo(0xC4);
  }

  @Test
  void bytesBelowTheTriggerInterruptAfterFourCharacterTimes() {
    out(LCR, 0x80);
    out(DATA, 1);
    out(LCR, 3);
    out(FCR, 0xC1);
    out(IER, 1);
    receive("x");
    // 40 bits at 115,200 baud.
    long timeout = 347_223;
    assertThat(uart.nextDeadlineNanos()).isEqualTo(timeout);
    clock.runTo(timeout - 1, uart);
    assertThat(line.asserted).isFalse();
    clock.runTo(timeout, uart);
    assertThat(in(IIR)).isEqualTo(0xCC);
    assertThat(in(DATA)).isEqualTo('x');
    assertThat(in(IIR)).isEqualTo(0xC1);
    assertThat(uart.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
  }

  @Test
  void clearingTheReceiveFifoDropsItsBytes() {
    out(FCR, 1);
    receive("abc");
    out(FCR, 3);
    assertThat(in(LSR)).isEqualTo(0x60);
    receive("d");
    assertThat(in(DATA)).isEqualTo('d');
  }

  @Test
  void waitingInputAsksToBeTakenAtOnce() {
    uart.receive(new byte[] {'k'});
    assertThat(uart.nextDeadlineNanos()).isZero();
    uart.advance(0);
    assertThat(uart.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
  }

  @Test
  void overrunInLoopbackIsReportedOnce() {
    out(MCR, 0x10);
    out(IER, 4);
    out(DATA, 1);
    out(DATA, 2);
    assertThat(in(IIR)).isEqualTo(0x06);
    assertThat(in(LSR)).isEqualTo(0x63);
    assertThat(in(LSR)).isEqualTo(0x61);
    assertThat(in(DATA)).isEqualTo(2);
  }
}
