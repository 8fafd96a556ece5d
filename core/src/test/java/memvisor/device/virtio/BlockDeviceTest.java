package memvisor.device.virtio;

import static memvisor.device.virtio.Driver.BUFFERS;
import static memvisor.device.virtio.Driver.NEXT;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The disk, with requests good and bad. */
final class BlockDeviceTest {
  private static final int SECTORS = 16;
  private static final long DATA = BUFFERS + 0x1000;
  private static final long STATUS = BUFFERS + 0x100;

  /** A disk in memory that may fail. */
  private static final class Storage implements BlockStorage {
    final byte[] bytes = new byte[SECTORS * 512 + 100];
    boolean readOnly;
    boolean broken;
    int flushes;

    @Override
    public long sizeBytes() {
      return bytes.length;
    }

    @Override
    public boolean isReadOnly() {
      return readOnly;
    }

    private void check() throws IOException {
      if (broken) {
        throw new IOException("broken");
      }
    }

    @Override
    public void read(long offset, byte[] target) throws IOException {
      check();
      System.arraycopy(bytes, (int) offset, target, 0, target.length);
    }

    @Override
    public void write(long offset, byte[] source) throws IOException {
      check();
      System.arraycopy(source, 0, bytes, (int) offset, source.length);
    }

    @Override
    public void flush() throws IOException {
      check();
      flushes++;
    }
  }

  private final Storage storage = new Storage();
  private final Driver driver = new Driver(new BlockDevice(storage, "serial"));

  /** Sends a request with data to write or room to read and returns its status. */
  private int request(int type, long sector, long dataBytes, boolean write) {
    driver.memory.writeValue(BUFFERS, 4, type);
    driver.memory.writeValue(BUFFERS + 8, 8, sector);
    driver.memory.writeValue(STATUS, 1, 0xEE);
    driver.descriptor(0, 0, BUFFERS, 16, NEXT, dataBytes > 0 ? 1 : 2);
    if (dataBytes > 0) {
      driver.descriptor(0, 1, DATA, dataBytes, NEXT | (write ? 0 : Driver.WRITE), 2);
    }
    driver.descriptor(0, 2, STATUS, 1, Driver.WRITE, 0).offer(0, 0).kick(0);
    return (int) driver.memory.readValue(STATUS, 1);
  }

  @Test
  void sectorsComeBackAsTheyWereWritten() {
    driver.start(Driver.ALL_FEATURES, 1);
    driver.memory.writeValue(DATA + 512, 8, 0x1122334455667788L);
    assertThat(request(BlockDevice.WRITE, 3, 1024, true)).isEqualTo(BlockDevice.OK);
    assertThat(storage.bytes[4 * 512 + 7]).isEqualTo((byte) 0x11);
    driver.memory.writeValue(DATA, 8, 0);
    assertThat(request(BlockDevice.READ, 4, 512, false)).isEqualTo(BlockDevice.OK);
    assertThat(driver.memory.readValue(DATA, 8)).isEqualTo(0x1122334455667788L);
    assertThat(driver.usedBytes(0, 1)).isEqualTo(513);
  }

  static Stream<Arguments> refused() {
    return Stream.of(
        Arguments.of("a sector beyond the end", BlockDevice.READ, SECTORS, 512L, false),
        Arguments.of("the incomplete last sector", BlockDevice.WRITE, SECTORS, 512L, true),
        Arguments.of("a request across the end", BlockDevice.READ, SECTORS - 1, 1024L, false),
        Arguments.of("a negative sector", BlockDevice.READ, -1, 512L, false),
        Arguments.of("a sector that overflows", BlockDevice.WRITE, Long.MAX_VALUE, 512L, true),
        Arguments.of("half a sector", BlockDevice.WRITE, 0, 256L, true));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("refused")
  void whatIsNotOnTheDiskIsAnInputOutputError(
      String name, int type, long sector, long bytes, boolean write) {
    driver.start(Driver.ALL_FEATURES, 1);
    driver.memory.writeValue(DATA, 8, -1);
    assertThat(request(type, sector, bytes, write)).as(name).isEqualTo(BlockDevice.IO_ERROR);
    assertThat(driver.usedBytes(0, 0)).isEqualTo(1);
    assertThat(storage.bytes).containsOnly(0);
    assertThat(driver.needsReset()).isFalse();
  }

  @Test
  void anUnknownRequestIsUnsupported() {
    driver.start(Driver.ALL_FEATURES, 1);
    assertThat(request(99, 0, 0, false)).isEqualTo(BlockDevice.UNSUPPORTED);
  }

  @Test
  void aFlushReachesTheStorage() {
    driver.start(Driver.ALL_FEATURES, 1);
    assertThat(request(BlockDevice.FLUSH_REQUEST, 0, 0, false)).isEqualTo(BlockDevice.OK);
    assertThat(storage.flushes).isEqualTo(1);
  }

  @Test
  void zeroesAreWrittenToOneRange() {
    driver.start(Driver.ALL_FEATURES, 1);
    java.util.Arrays.fill(storage.bytes, (byte) 1);
    driver.memory.writeValue(DATA, 8, 2);
    driver.memory.writeValue(DATA + 8, 4, 3);
    assertThat(request(BlockDevice.WRITE_ZEROES_REQUEST, 0, 16, true)).isEqualTo(BlockDevice.OK);
    assertThat(storage.bytes[2 * 512 - 1]).isEqualTo((byte) 1);
    assertThat(storage.bytes[2 * 512]).isZero();
    assertThat(storage.bytes[5 * 512 - 1]).isZero();
    assertThat(storage.bytes[5 * 512]).isEqualTo((byte) 1);
    driver.memory.writeValue(DATA + 8, 4, 0xFFFF_FFFFL);
    assertThat(request(BlockDevice.WRITE_ZEROES_REQUEST, 0, 16, true))
        .isEqualTo(BlockDevice.IO_ERROR);
  }

  @Test
  void aReadOnlyDiskSaysSoAndIsNotWritten() {
    storage.readOnly = true;
    driver.start(Driver.ALL_FEATURES, 1);
    assertThat(driver.offeredFeatures() & BlockDevice.READ_ONLY).isNotZero();
    assertThat(request(BlockDevice.WRITE, 0, 512, true)).isEqualTo(BlockDevice.IO_ERROR);
    assertThat(request(BlockDevice.READ, 0, 512, false)).isEqualTo(BlockDevice.OK);
  }

  @Test
  void aStorageThatFailsIsAnInputOutputError() {
    storage.broken = true;
    driver.start(Driver.ALL_FEATURES, 1);
    assertThat(request(BlockDevice.READ, 0, 512, false)).isEqualTo(BlockDevice.IO_ERROR);
    assertThat(request(BlockDevice.FLUSH_REQUEST, 0, 0, false)).isEqualTo(BlockDevice.IO_ERROR);
    assertThat(driver.needsReset()).isFalse();
  }

  @Test
  void aRequestWithoutAHeaderOrRoomForAStatusNeedsAReset() {
    driver.start(Driver.ALL_FEATURES, 1);
    driver.descriptor(0, 0, BUFFERS, 16, 0, 0).offer(0, 0).kick(0);
    assertThat(driver.transport.failure()).contains("a block request without header or status");
  }

  @Test
  void anImageIsAFile(@TempDir Path directory) throws IOException {
    Path image = Files.write(directory.resolve("disk"), new byte[2048]);
    try (FileStorage file = new FileStorage(image, false)) {
      file.write(512, new byte[] {7});
      file.flush();
    }
    try (FileStorage file = new FileStorage(image, true)) {
      byte[] back = new byte[1];
      file.read(512, back);
      assertThat(back).containsExactly(7);
      assertThat(file.isReadOnly()).isTrue();
      assertThat(file.sizeBytes()).isEqualTo(2048);
    }
  }
}
