package memvisor.bench;

import java.lang.foreign.Arena;
import memvisor.host.VmMemory;
import memvisor.host.compress.PageCodec;
import memvisor.memory.Backing;
import memvisor.memory.Hva;

/** The codec at work on all pages of a guest, with nothing around it: the peer of the pool. */
final class CodecAlone implements AutoCloseable {
  private final VmMemory vm;
  private final int pages;
  private final PageCodec codec = new PageCodec();
  private final Arena arena = Arena.ofConfined();
  private final long packed;
  private final long target;
  private final int[] lengths;
  private final int[] checksums;

  CodecAlone(VmMemory vm, int pages) {
    this.vm = vm;
    this.pages = pages;
    packed = arena.allocate((long) pages * PageCodec.PAGE_BYTES, 64).address();
    target = arena.allocate((long) pages * PageCodec.PAGE_BYTES, 64).address();
    lengths = new int[pages];
    checksums = new int[pages];
  }

  private long hva(int gfn) {
    return vm.machine().hva(Backing.hpa(vm.peek(gfn)));
  }

  void compress() {
    for (int gfn = 0; gfn < pages; gfn++) {
      codec.compress(hva(gfn));
    }
  }

  /** Compresses the pages to where {@link #decompress} finds them. */
  void pack() {
    long at = packed;
    for (int gfn = 0; gfn < pages; gfn++) {
      lengths[gfn] = codec.compress(hva(gfn));
      checksums[gfn] = Hva.crc32c(hva(gfn), PageCodec.PAGE_BYTES);
      Hva.copy(codec.bufferHva(), at, lengths[gfn]);
      at += lengths[gfn];
    }
  }

  void decompress() {
    long at = packed;
    for (int gfn = 0; gfn < pages; gfn++) {
      codec.decompress(
          at, lengths[gfn], checksums[gfn], target + (long) gfn * PageCodec.PAGE_BYTES);
      at += lengths[gfn];
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
