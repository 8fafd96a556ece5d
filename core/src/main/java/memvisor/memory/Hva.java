package memvisor.memory;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import sun.misc.Unsafe;

/**
 * Little-endian loads and stores at a host virtual address.
 *
 * <p>The one place that touches memory by raw address. Callers hold an address that machine memory
 * gave them; nothing here checks it. Single loads and stores are {@code sun.misc.Unsafe}'s, because
 * generated code has hundreds of them in a method and HotSpot gives up on inlining the foreign
 * memory API's after some twenty (docs/decisions/0009); all else uses that API.
 */
@SuppressWarnings("removal")
public final class Hva {
  private static final Unsafe UNSAFE = unsafe();
  private static final MemorySegment ALL = everything();
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final VarHandle ALIGNED_INT = ValueLayout.JAVA_INT.varHandle();
  private static final VarHandle ALIGNED_LONG = ValueLayout.JAVA_LONG.varHandle();

  private Hva() {}

  private static Unsafe unsafe() {
    try {
      Field field = Unsafe.class.getDeclaredField("theUnsafe");
      field.setAccessible(true);
      return (Unsafe) field.get(null);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  @SuppressWarnings("restricted")
  private static MemorySegment everything() {
    return MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
  }

  /** Reads one byte, zero-extended. */
  public static int readByte(long hva) {
    return UNSAFE.getByte(hva) & 0xFF;
  }

  /** Reads two bytes, zero-extended. */
  public static int readShort(long hva) {
    return UNSAFE.getShort(hva) & 0xFFFF;
  }

  /** Reads four bytes. */
  public static int readInt(long hva) {
    return UNSAFE.getInt(hva);
  }

  /** Reads eight bytes. */
  public static long readLong(long hva) {
    return UNSAFE.getLong(hva);
  }

  /** Writes the low byte of {@code value}. */
  public static void writeByte(long hva, int value) {
    UNSAFE.putByte(hva, (byte) value);
  }

  /** Writes the low two bytes of {@code value}. */
  public static void writeShort(long hva, int value) {
    UNSAFE.putShort(hva, (short) value);
  }

  /** Writes four bytes. */
  public static void writeInt(long hva, int value) {
    UNSAFE.putInt(hva, value);
  }

  /** Writes eight bytes. */
  public static void writeLong(long hva, long value) {
    UNSAFE.putLong(hva, value);
  }

  /** Atomically replaces {@code expected} by {@code value}; {@code hva} is 4-byte aligned. */
  public static boolean compareAndSetInt(long hva, int expected, int value) {
    return ALIGNED_INT.compareAndSet(ALL, hva, expected, value);
  }

  /** Atomically replaces {@code expected} by {@code value}; {@code hva} is 8-byte aligned. */
  public static boolean compareAndSetLong(long hva, long expected, long value) {
    return ALIGNED_LONG.compareAndSet(ALL, hva, expected, value);
  }

  /** Copies {@code lengthBytes} from one host address to another; overlap is as memmove. */
  public static void copy(long sourceHva, long targetHva, long lengthBytes) {
    MemorySegment.copy(ALL, sourceHva, ALL, targetHva, lengthBytes);
  }

  /** Whether two runs of {@code lengthBytes} hold the same bytes. */
  public static boolean isEqual(long hva, long otherHva, long lengthBytes) {
    return MemorySegment.mismatch(
            ALL, hva, hva + lengthBytes, ALL, otherHva, otherHva + lengthBytes)
        < 0;
  }

  /** CRC-32C (Castagnoli) of {@code lengthBytes}. */
  public static int crc32c(long hva, int lengthBytes) {
    CRC32C crc = new CRC32C();
    crc.update(ALL.asSlice(hva, lengthBytes).asByteBuffer());
    return (int) crc.getValue();
  }

  /** The bytes {@code [hva, hva + lengthBytes)} as a buffer, for reading and writing files. */
  public static ByteBuffer buffer(long hva, int lengthBytes) {
    return ALL.asSlice(hva, lengthBytes).asByteBuffer();
  }

  /** Fills {@code lengthBytes} with one byte value. */
  public static void fill(long hva, long lengthBytes, int value) {
    ALL.asSlice(hva, lengthBytes).fill((byte) value);
  }

  /** Copies out of memory into {@code target[offset, offset + lengthBytes)}. */
  public static void read(long hva, byte[] target, int offset, int lengthBytes) {
    MemorySegment.copy(ALL, BYTE, hva, target, offset, lengthBytes);
  }

  /** Copies {@code source[offset, offset + lengthBytes)} into memory. */
  public static void write(long hva, byte[] source, int offset, int lengthBytes) {
    MemorySegment.copy(source, offset, ALL, BYTE, hva, lengthBytes);
  }
}
