package memvisor.host.frames;

/**
 * How to build machine memory.
 *
 * @param sizeBytes size, a positive multiple of 4 KiB up to {@link #MAXIMUM_BYTES}
 * @param seed start of the sequence that scatters frames; equal seeds give equal layouts
 * @param junkOnFree whether a freed frame is filled with junk, and zeroed when it is taken again,
 *     so that whoever still reads it sees nonsense at once
 */
public record HostMemoryOptions(long sizeBytes, long seed, boolean junkOnFree) {
  /** The largest machine: 1 TiB, so that a frame number fits an {@code int} with room to spare. */
  public static final long MAXIMUM_BYTES = 1L << 40;

  /** Checks the size. */
  public HostMemoryOptions {
    if (sizeBytes <= 0) {
      throw new IllegalArgumentException(
          "machine memory must be more than 0 bytes, not " + sizeBytes);
    }
    if (sizeBytes > MAXIMUM_BYTES) {
      throw new IllegalArgumentException(
          "machine memory may be at most 1 TiB (%d bytes), not %s"
              .formatted(MAXIMUM_BYTES, Long.toUnsignedString(sizeBytes)));
    }
    if ((sizeBytes & 0xFFF) != 0) {
      throw new IllegalArgumentException(
          "machine memory must be a multiple of 4096 bytes, not " + sizeBytes);
    }
  }

  /** Machine memory of that size with seed 1 and no junk. */
  public static HostMemoryOptions ofSize(long sizeBytes) {
    return new HostMemoryOptions(sizeBytes, 1, false);
  }

  /** The number of 4 KiB frames. */
  int frameCount() {
    return (int) (sizeBytes >>> 12);
  }
}
