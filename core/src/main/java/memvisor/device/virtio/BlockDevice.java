package memvisor.device.virtio;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The block device (virtio 1.2, 5.2): reads, writes, flushes, and writes zeroes.
 *
 * <p>What the storage refuses is the guest's I/O error, and nothing else.
 */
public final class BlockDevice implements VirtioDevice {
  static final long SEG_MAX = 1 << 2;
  static final long READ_ONLY = 1 << 5;
  static final long BLOCK_SIZE = 1 << 6;
  static final long FLUSH = 1 << 9;
  static final long WRITE_ZEROES = 1 << 14;

  static final int OK = 0;
  static final int IO_ERROR = 1;
  static final int UNSUPPORTED = 2;

  /** Request types (5.2.6). */
  static final int READ = 0;

  static final int WRITE = 1;
  static final int FLUSH_REQUEST = 4;
  static final int GET_ID = 8;
  static final int WRITE_ZEROES_REQUEST = 13;

  private static final int ID = 2;
  private static final int SECTOR_BYTES = 512;
  private static final int HEADER_BYTES = 16;
  private static final int ID_BYTES = 20;
  private static final int RANGE_BYTES = 16;
  private static final int CONFIGURATION_BYTES = 60;

  /** Linux asks for 1.25 MiB at most unless told otherwise; more is refused, not split. */
  static final int MAXIMUM_BYTES = 8 << 20;

  private final BlockStorage storage;
  private final String serialNumber;
  private final long sectors;

  /**
   * A disk; what is left of an incomplete last sector does not exist.
   *
   * @param serialNumber up to 20 ASCII characters
   */
  public BlockDevice(BlockStorage storage, String serialNumber) {
    this.storage = storage;
    this.serialNumber = serialNumber;
    sectors = storage.sizeBytes() / SECTOR_BYTES;
  }

  @Override
  public int id() {
    return ID;
  }

  @Override
  public String name() {
    return "virtio-blk";
  }

  @Override
  public long features() {
    return SEG_MAX | BLOCK_SIZE | FLUSH | (storage.isReadOnly() ? READ_ONLY : WRITE_ZEROES);
  }

  @Override
  public int queueCount() {
    return 1;
  }

  @Override
  public void serve(int queue, DescriptorChain chain) {
    if (chain.readableBytes() < HEADER_BYTES || chain.writableBytes() < 1) {
      chain.reject("a block request without header or status");
      return;
    }
    byte[] bytes = new byte[HEADER_BYTES];
    chain.read(0, bytes);
    ByteBuffer header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int status;
    try {
      status = perform(header.getInt(0), header.getLong(8), chain);
    } catch (IOException e) {
      status = IO_ERROR;
    }
    long last = chain.writableBytes() - 1;
    chain.write(last, new byte[] {(byte) status}, 1);
    // 5.2.6: nothing before the status counts as written if the request failed.
    chain.complete(status == OK ? last + 1 : 1);
  }

  private int perform(int type, long sector, DescriptorChain chain) throws IOException {
    return switch (type) {
      case READ -> read(sector, chain);
      case WRITE -> write(sector, chain);
      case FLUSH_REQUEST -> flush();
      case GET_ID -> identify(chain);
      case WRITE_ZEROES_REQUEST -> writeZeroes(chain);
      default -> UNSUPPORTED;
    };
  }

  private int read(long sector, DescriptorChain chain) throws IOException {
    long length = chain.writableBytes() - 1;
    if (!isOnDisk(sector, length)) {
      return IO_ERROR;
    }
    byte[] data = new byte[(int) length];
    storage.read(sector * SECTOR_BYTES, data);
    chain.write(0, data, data.length);
    return OK;
  }

  private int write(long sector, DescriptorChain chain) throws IOException {
    long length = chain.readableBytes() - HEADER_BYTES;
    if (storage.isReadOnly() || !isOnDisk(sector, length)) {
      return IO_ERROR;
    }
    byte[] data = new byte[(int) length];
    chain.read(HEADER_BYTES, data);
    storage.write(sector * SECTOR_BYTES, data);
    return OK;
  }

  private int flush() throws IOException {
    if (!storage.isReadOnly()) {
      storage.flush();
    }
    return OK;
  }

  private int identify(DescriptorChain chain) {
    byte[] id = Arrays.copyOf(serialNumber.getBytes(StandardCharsets.US_ASCII), ID_BYTES);
    chain.write(0, id, (int) Math.min(ID_BYTES, chain.writableBytes() - 1));
    return OK;
  }

  /** 5.2.6: one range, as the configuration says: sector, number of sectors, flags. */
  private int writeZeroes(DescriptorChain chain) throws IOException {
    if (storage.isReadOnly() || chain.readableBytes() != HEADER_BYTES + RANGE_BYTES) {
      return storage.isReadOnly() ? IO_ERROR : UNSUPPORTED;
    }
    byte[] bytes = new byte[RANGE_BYTES];
    chain.read(HEADER_BYTES, bytes);
    ByteBuffer range = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long length = Integer.toUnsignedLong(range.getInt(8)) * SECTOR_BYTES;
    if (!isOnDisk(range.getLong(0), length)) {
      return IO_ERROR;
    }
    storage.write(range.getLong(0) * SECTOR_BYTES, new byte[(int) length]);
    return OK;
  }

  private boolean isOnDisk(long sector, long lengthBytes) {
    return lengthBytes <= MAXIMUM_BYTES
        && lengthBytes % SECTOR_BYTES == 0
        && sector >= 0
        && sector <= sectors - lengthBytes / SECTOR_BYTES;
  }

  /** 5.2.4, up to the fields for writing zeroes. */
  @Override
  public byte[] configuration() {
    ByteBuffer bytes = ByteBuffer.allocate(CONFIGURATION_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(0, sectors);
    bytes.putInt(12, VirtQueue.MAXIMUM_SIZE - 2);
    bytes.putInt(20, SECTOR_BYTES);
    bytes.putInt(48, MAXIMUM_BYTES / SECTOR_BYTES);
    bytes.putInt(52, 1);
    return bytes.array();
  }
}
