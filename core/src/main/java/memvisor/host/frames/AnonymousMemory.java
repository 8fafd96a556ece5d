package memvisor.host.frames;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.Locale;

/**
 * Zeroed memory of this process, 2 MiB aligned, that costs nothing until it is touched.
 *
 * <p>It is an anonymous, private {@code mmap} without swap reservation. {@code Arena.allocate}
 * would write zeroes into all of it at once; mapping a sparse file would write dirty guest pages
 * back to a disk, and needs a place for that file. Where there is no {@code mmap} (Windows) the
 * eager arena serves.
 */
final class AnonymousMemory implements AutoCloseable {
  private static final long ALIGNMENT = 1L << 21;

  private final Runnable release;
  private final long baseHva;
  private boolean closed;

  private AnonymousMemory(Runnable release, long address) {
    this.release = release;
    this.baseHva = (address + ALIGNMENT - 1) & -ALIGNMENT;
  }

  /**
   * Maps {@code sizeBytes} of zeroes.
   *
   * @throws HostMemoryException if the host refuses
   */
  static AnonymousMemory map(long sizeBytes) {
    long mappedBytes = sizeBytes + ALIGNMENT;
    if (Mmap.AVAILABLE) {
      long address = Mmap.map(mappedBytes);
      Mmap.preferLargePages(address, mappedBytes);
      return new AnonymousMemory(() -> Mmap.unmap(address, mappedBytes), address);
    }
    Arena arena = Arena.ofShared();
    try {
      long address = arena.allocate(mappedBytes, 4096).address();
      return new AnonymousMemory(arena::close, address);
    } catch (OutOfMemoryError e) {
      arena.close();
      throw new HostMemoryException("allocating %d bytes failed".formatted(mappedBytes), e);
    }
  }

  /** First address, 2 MiB aligned. */
  long baseHva() {
    return baseHva;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      release.run();
    }
  }

  /** The two calls of the C library. */
  @SuppressWarnings("restricted")
  private static final class Mmap {
    private static final String OS = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    private static final boolean LINUX = OS.contains("linux");
    static final boolean AVAILABLE = LINUX || OS.contains("mac");

    private static final int PROT_READ_WRITE = 1 | 2;
    // MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE as the two systems number them.
    private static final int FLAGS = LINUX ? 0x02 | 0x20 | 0x4000 : 0x02 | 0x1000 | 0x40;
    private static final long MAP_FAILED = -1;

    private static final AddressLayout ADDRESS = ValueLayout.ADDRESS;
    private static final MemoryLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO =
        STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final MethodHandle MMAP =
        function(
            "mmap",
            FunctionDescriptor.of(
                ADDRESS,
                ADDRESS,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG));
    private static final MethodHandle MUNMAP =
        function(
            "munmap", FunctionDescriptor.of(ValueLayout.JAVA_INT, ADDRESS, ValueLayout.JAVA_LONG));

    private static final int MADV_HUGEPAGE = 14;
    private static final MethodHandle MADVISE =
        function(
            "madvise",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT, ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));

    private static MethodHandle function(String name, FunctionDescriptor descriptor) {
      Linker linker = Linker.nativeLinker();
      MemorySegment symbol =
          linker
              .defaultLookup()
              .find(name)
              .orElseThrow(() -> new HostMemoryException("the C library has no " + name));
      return linker.downcallHandle(symbol, descriptor, Linker.Option.captureCallState("errno"));
    }

    static long map(long sizeBytes) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        MemorySegment result =
            (MemorySegment)
                MMAP.invokeExact(
                    state, MemorySegment.NULL, sizeBytes, PROT_READ_WRITE, FLAGS, -1, 0L);
        if (result.address() == MAP_FAILED) {
          throw HostMemoryException.ofCall(
              "mmap of %d bytes".formatted(sizeBytes), (int) ERRNO.get(state, 0L));
        }
        return result.address();
      } catch (Throwable e) {
        throw rethrow("mmap", e);
      }
    }

    /** Asks Linux for pages of 2 MiB; it is as well if there are none. */
    static void preferLargePages(long address, long sizeBytes) {
      if (!LINUX) {
        return;
      }
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        int unused =
            (int)
                MADVISE.invokeExact(
                    state, MemorySegment.ofAddress(address), sizeBytes, MADV_HUGEPAGE);
      } catch (Throwable e) {
        throw rethrow("madvise", e);
      }
    }

    static void unmap(long address, long sizeBytes) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment state = arena.allocate(STATE);
        int result = (int) MUNMAP.invokeExact(state, MemorySegment.ofAddress(address), sizeBytes);
        if (result != 0) {
          throw HostMemoryException.ofCall(
              "munmap of %d bytes".formatted(sizeBytes), (int) ERRNO.get(state, 0L));
        }
      } catch (Throwable e) {
        throw rethrow("munmap", e);
      }
    }

    private static RuntimeException rethrow(String call, Throwable e) {
      if (e instanceof RuntimeException unchecked) {
        return unchecked;
      }
      if (e instanceof Error error) {
        throw error;
      }
      return new HostMemoryException(call + " failed", e);
    }
  }
}
