package memvisor.device.virtio;

import static memvisor.device.virtio.Driver.BUFFERS;
import static memvisor.device.virtio.Driver.INDIRECT;
import static memvisor.device.virtio.Driver.NEXT;
import static memvisor.device.virtio.Driver.SIZE;
import static memvisor.device.virtio.Driver.WRITE;
import static memvisor.device.virtio.Driver.available;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import memvisor.device.virtio.Driver.Register;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The transport and its rings, with a driver that keeps the rules. */
final class VirtioMmioTest {
  private static final int NO_INTERRUPT = 1;

  private final Driver driver = new Driver(new EntropyDevice(b -> Arrays.fill(b, (byte) 0x5A)));

  @Test
  void theRegistersIdentifyTheDevice() {
    assertThat(driver.read(Register.MAGIC)).isEqualTo(0x74726976);
    assertThat(driver.read(Register.VERSION)).isEqualTo(2);
    assertThat(driver.read(Register.DEVICE_ID)).isEqualTo(4);
    assertThat(driver.offeredFeatures())
        .isEqualTo(VirtioMmio.VERSION_1 | VirtioMmio.INDIRECT_DESC | VirtioMmio.EVENT_IDX);
    assertThat(driver.read(Register.QUEUE_SIZE_MAXIMUM)).isEqualTo(VirtQueue.MAXIMUM_SIZE);
    driver.write(Register.QUEUE_SELECT, 1);
    assertThat(driver.read(Register.QUEUE_SIZE_MAXIMUM)).isZero();
  }

  @ParameterizedTest
  @ValueSource(longs = {0, VirtioMmio.VERSION_1 | 1L << 40, VirtioMmio.VERSION_1 | 1, 1L << 29})
  void featuresThatWereNotOfferedOrALegacyDriverAreRefused(long features) {
    driver.write(Register.STATUS, 1);
    driver.accept(features);
    assertThat(driver.read(Register.STATUS) & VirtioMmio.STATUS_FEATURES_OK).isZero();
    driver.write(Register.STATUS, 0xF);
    assertThat(driver.read(Register.STATUS) & VirtioMmio.STATUS_DRIVER_OK).isZero();
  }

  @Test
  void aBufferIsFilledAndReturnedWithAnInterrupt() {
    driver.start(0, 1);
    driver.descriptor(0, 3, BUFFERS, 10, WRITE, 0).offer(0, 3);
    driver.write(Register.QUEUE_NOTIFY, 0);
    assertThat(driver.usedIndex(0)).as("work waits for the block boundary").isZero();
    driver.transport.advance(0);
    assertThat(driver.usedIndex(0)).isEqualTo(1);
    assertThat(driver.usedHead(0, 0)).isEqualTo(3);
    assertThat(driver.usedBytes(0, 0)).isEqualTo(10);
    assertThat(driver.memory.readValue(BUFFERS + 2, 8)).isEqualTo(0x5A5A5A5A5A5A5A5AL);
    assertThat(driver.memory.readValue(BUFFERS + 10, 1)).isZero();
    assertThat(driver.line.asserted).isTrue();
    assertThat(driver.read(Register.INTERRUPT_STATUS)).isEqualTo(1);
    driver.write(Register.INTERRUPT_ACKNOWLEDGE, 1);
    assertThat(driver.line.asserted).isFalse();
  }

  @Test
  void scatteredAndIndirectBuffersAreOneRoom() {
    driver.start(Driver.ALL_FEATURES, 1);
    driver
        .descriptor(0, 0, BUFFERS, 3, WRITE | NEXT, 1)
        .descriptor(0, 1, BUFFERS + 100, 48, INDIRECT, 0);
    driver
        .rawDescriptor(BUFFERS + 100, BUFFERS + 200, 2, WRITE | NEXT, 2)
        .rawDescriptor(BUFFERS + 132, BUFFERS + 300, 5, WRITE, 0)
        .offer(0, 0)
        .kick(0);
    assertThat(driver.usedBytes(0, 0)).isEqualTo(10);
    assertThat(driver.memory.readValue(BUFFERS, 4)).isEqualTo(0x5A5A5AL);
    assertThat(driver.memory.readValue(BUFFERS + 200, 4)).isEqualTo(0x5A5AL);
    assertThat(driver.memory.readValue(BUFFERS + 300, 8)).isEqualTo(0x5A5A5A5A5AL);
  }

  @Test
  void indexesWrapAround() {
    driver.start(Driver.ALL_FEATURES, 1);
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0);
    for (int i = 0; i < 0x1_0000 + SIZE; i++) {
      driver.offer(0, 0).kick(0);
    }
    assertThat(driver.usedIndex(0)).isEqualTo(SIZE);
    assertThat(driver.needsReset()).isFalse();
  }

  @Test
  void aDriverThatWantsNoInterruptsGetsNone() {
    driver.start(0, 1);
    driver.memory.writeValue(available(0), 2, NO_INTERRUPT);
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0).offer(0, 0).kick(0);
    assertThat(driver.usedIndex(0)).isEqualTo(1);
    assertThat(driver.line.risingEdges).isZero();
  }

  @Test
  void anEventIndexPutsTheInterruptOff() {
    driver.start(Driver.ALL_FEATURES, 1);
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0);
    long usedEvent = available(0) + 4 + 2 * SIZE;
    driver.memory.writeValue(usedEvent, 2, 2);
    driver.offer(0, 0).kick(0).offer(0, 0).kick(0);
    assertThat(driver.line.risingEdges).as("after two of three").isZero();
    driver.offer(0, 0).kick(0);
    assertThat(driver.line.risingEdges).as("after the third").isEqualTo(1);
  }

  @Test
  void theDeviceSaysFromWhichIndexOnItWantsToBeNotified() {
    driver.start(Driver.ALL_FEATURES, 1);
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0).offer(0, 0).offer(0, 0).kick(0);
    long availableEvent = Driver.used(0) + 4 + 8 * SIZE;
    assertThat(driver.memory.readValue(availableEvent, 2)).isEqualTo(2);
  }

  @Test
  void nothingIsServedBeforeDriverOk() {
    driver.write(Register.STATUS, 1);
    driver.accept(VirtioMmio.VERSION_1);
    driver.placeQueue(0, SIZE, Driver.table(0), available(0), Driver.used(0));
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0).offer(0, 0).kick(0);
    assertThat(driver.usedIndex(0)).isZero();
    driver.write(Register.STATUS, 0xF);
    driver.transport.advance(0);
    assertThat(driver.usedIndex(0)).as("buffers offered before").isEqualTo(1);
  }

  @Test
  void aReadyQueueStaysWhereItIs() {
    driver.start(0, 1);
    driver.write(Register.QUEUE_SELECT, 0);
    driver.write(Register.QUEUE_DEVICE, 0x70000);
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0).offer(0, 0).kick(0);
    assertThat(driver.usedIndex(0)).isEqualTo(1);
  }

  @Test
  void aResetReleasesTheInterrupt() {
    driver.start(0, 1);
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0).offer(0, 0).kick(0);
    driver.write(Register.STATUS, 0);
    assertThat(driver.line.asserted).isFalse();
    assertThat(driver.read(Register.STATUS)).isZero();
    assertThat(driver.read(Register.QUEUE_READY)).isZero();
  }
}
