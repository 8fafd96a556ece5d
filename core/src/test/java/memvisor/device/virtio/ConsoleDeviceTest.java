package memvisor.device.virtio;

import static memvisor.device.virtio.Driver.BUFFERS;
import static memvisor.device.virtio.Driver.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** The console. */
final class ConsoleDeviceTest {
  private static final int RECEIVE = 0;
  private static final int TRANSMIT = 1;

  private final StringBuilder sent = new StringBuilder();
  private final ConsoleDevice device = new ConsoleDevice(value -> sent.append((char) value));
  private final Driver driver = new Driver(device);

  @Test
  void whatTheGuestSendsComesOut() {
    driver.start(Driver.ALL_FEATURES, 2);
    driver.memory.write(BUFFERS, "hello".getBytes(StandardCharsets.US_ASCII), 0, 5);
    driver.descriptor(TRANSMIT, 0, BUFFERS, 5, 0, 0).offer(TRANSMIT, 0).kick(TRANSMIT);
    assertThat(sent).hasToString("hello");
    assertThat(driver.usedIndex(TRANSMIT)).isEqualTo(1);
  }

  @Test
  void inputWaitsForBuffersAndIsSplitByTheirSizes() {
    device.receive("abc".getBytes(StandardCharsets.US_ASCII));
    driver.start(Driver.ALL_FEATURES, 2);
    assertThat(driver.transport.nextDeadlineNanos()).as("nothing to do").isPositive();
    driver.descriptor(RECEIVE, 0, BUFFERS, 2, WRITE, 0).offer(RECEIVE, 0).kick(RECEIVE);
    driver.descriptor(RECEIVE, 1, BUFFERS + 2, 2, WRITE, 0).offer(RECEIVE, 1).kick(RECEIVE);
    assertThat(driver.memory.readValue(BUFFERS, 4)).isEqualTo(0x636261L);
    assertThat(driver.usedBytes(RECEIVE, 0)).isEqualTo(2);
    assertThat(driver.usedBytes(RECEIVE, 1)).isEqualTo(1);
  }

  @Test
  void aBufferWaitsForInput() {
    driver.start(Driver.ALL_FEATURES, 2);
    driver.descriptor(RECEIVE, 0, BUFFERS, 8, WRITE, 0).offer(RECEIVE, 0).kick(RECEIVE);
    assertThat(driver.usedIndex(RECEIVE)).isZero();
    device.receive(new byte[] {'x'});
    assertThat(driver.wakes).isEqualTo(1);
    driver.transport.advance(0);
    assertThat(driver.usedIndex(RECEIVE)).isEqualTo(1);
    assertThat(driver.line.asserted).isTrue();
  }

  @Test
  void aFloodNeedsAReset() {
    driver.start(Driver.ALL_FEATURES, 2);
    driver.descriptor(TRANSMIT, 0, 0, 1 << 17, 0, 0).offer(TRANSMIT, 0).kick(TRANSMIT);
    assertThat(driver.transport.failure()).contains("131072 bytes for the console at once");
    assertThat(sent).isEmpty();
  }
}
