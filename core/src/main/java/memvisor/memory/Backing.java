package memvisor.memory;

/**
 * The answer of host memory to "what is behind this guest frame", packed into a {@code long} so
 * that asking allocates nothing.
 *
 * <pre>
 *   bits 63..12  HPA of the 4 KiB frame
 *   bit  1       WRITABLE: a write may go to that frame (else copy on write, ROM or dirty tracking)
 *   bit  0       PRESENT
 * </pre>
 *
 * Without PRESENT the other bits hold one of the negative reasons below.
 */
public final class Backing {
  /** The frame is there. */
  public static final long PRESENT = 1;

  /** Writes may reach the frame. */
  public static final long WRITABLE = 1 << 1;

  /** No RAM or ROM at this guest address: the access goes to a device. */
  public static final long NOT_MEMORY = 0x1000;

  /** ROM was written: the write is discarded. */
  public static final long READ_ONLY = 0x2000;

  /** Host memory could not provide a frame: the VM must stop. */
  public static final long NO_FRAME = 0x3000;

  private Backing() {}

  /** Whether a frame is there. */
  public static boolean isPresent(long backing) {
    return (backing & PRESENT) != 0;
  }

  /** Whether writes may reach the frame. */
  public static boolean isWritable(long backing) {
    return (backing & WRITABLE) != 0;
  }

  /** HPA of the frame of a present backing. */
  public static long hpa(long backing) {
    return backing & ~0xFFFL;
  }

  /** Packs a present backing. */
  public static long of(long hpa, boolean writable) {
    return hpa | PRESENT | (writable ? WRITABLE : 0);
  }
}
