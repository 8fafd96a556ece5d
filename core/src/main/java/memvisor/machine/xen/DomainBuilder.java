package memvisor.machine.xen;

import java.nio.charset.StandardCharsets;
import memvisor.boot.BootRequest;
import memvisor.boot.XenKernel;
import memvisor.host.VmMemory;
import memvisor.mmu.direct.DirectTechnique;

/**
 * Puts a PV kernel into a domain's memory as libxc does: segments, start_info, the
 * physical-to-machine list and the first page tables, which hold machine addresses.
 */
final class DomainBuilder {
  private static final int PAGE_BYTES = 4096;
  private static final int COMMAND_LINE_OFFSET = 128;
  private static final int COMMAND_LINE_BYTES = 1024;
  private static final int SIF_MOD_START_PFN = 1 << 3;
  private static final long LEAF = 0x23; // P, RW, A
  private static final long LEAF_READ_ONLY = 0x21;
  private static final long TABLE = 0x67; // P, RW, U, A, D

  private final VmMemory memory;
  private final DirectTechnique technique;
  private final XenKernel kernel;
  private final DomainLayout layout;

  /** First and one past the last of the frames that hold tables for the list. */
  private final long p2mTablesPfn;

  private long nextTable;

  /**
   * What the first vCPU starts with.
   *
   * @param rootMfn the L4
   * @param entry RIP
   * @param stackTop RSP
   * @param startInfo RSI
   * @param consoleMfn frame of the console ring
   */
  record Start(long rootMfn, long entry, long stackTop, long startInfo, long consoleMfn) {}

  private DomainBuilder(
      VmMemory memory, DirectTechnique technique, XenKernel kernel, DomainLayout layout) {
    this.memory = memory;
    this.technique = technique;
    this.kernel = kernel;
    this.layout = layout;
    p2mTablesPfn = layout.p2mPfn() + DomainLayout.pages(technique.pages() * 8);
  }

  static Start build(
      VmMemory memory, DirectTechnique technique, BootRequest request, int consolePort) {
    XenKernel kernel = XenKernel.parse(request.image());
    DomainLayout layout = DomainLayout.of(kernel, technique.pages(), request.initrd().length);
    return new DomainBuilder(memory, technique, kernel, layout).build(request, consolePort);
  }

  private Start build(BootRequest request, int consolePort) {
    kernel.load(memory);
    kernel.hypercallPage().ifPresent(this::writeHypercallPage);
    byte[] initrd = request.initrd();
    memory.load(layout.initrdPfn() * PAGE_BYTES, initrd, 0, initrd.length);
    for (long pfn = 0; pfn < technique.pages(); pfn++) {
      put(layout.p2mPfn() * PAGE_BYTES + 8 * pfn, technique.mfn(pfn));
    }
    nextTable = layout.tablesPfn() + 1;
    map(layout.virtBase(), 0, layout.mappedEnd());
    if (layout.p2mTables() != 0) {
      nextTable = p2mTablesPfn;
      map(layout.p2mVa(), layout.p2mPfn(), p2mTablesPfn);
    }
    writeStartInfo(request, consolePort);
    return new Start(
        technique.mfn(layout.tablesPfn()),
        kernel.entry(),
        layout.va(layout.stackPfn() + 1),
        layout.va(layout.startInfoPfn()),
        technique.mfn(layout.consolePfn()));
  }

  // ---- tables --------------------------------------------------------------------------------

  /** Maps guest frames {@code [pfn, end)} from {@code va} on, level by level from the L4 down. */
  private void map(long va, long pfn, long end) {
    long vaEnd = va + (end - pfn) * PAGE_BYTES;
    long[] first = new long[5];
    first[4] = layout.tablesPfn();
    for (int level = 3; level >= 1; level--) {
      first[level] = nextTable;
      nextTable += DomainLayout.spans(va, vaEnd, level);
    }
    for (int level = 3; level >= 1; level--) {
      int shift = 12 + 9 * level;
      long tables = DomainLayout.spans(va, vaEnd, level);
      for (long i = 0; i < tables; i++) {
        long at = (va >>> shift) + i;
        putEntry(parent(first, level + 1, va, at << shift), at, first[level] + i, TABLE);
      }
    }
    for (long page = pfn; page < end; page++) {
      long at = va + (page - pfn) * PAGE_BYTES;
      putEntry(parent(first, 1, va, at), at >>> 12, page, isTable(page) ? LEAF_READ_ONLY : LEAF);
    }
  }

  private static long parent(long[] first, int level, long start, long at) {
    int shift = 12 + 9 * level;
    return level == 4
        ? first[4]
        : first[level] + (at << 16 >>> 16 >>> shift) - (start << 16 >>> 16 >>> shift);
  }

  private void putEntry(long tablePfn, long index, long pfn, long flags) {
    put(tablePfn * PAGE_BYTES + 8 * (index & 511), technique.mfn(pfn) << 12 | flags);
  }

  private boolean isTable(long pfn) {
    return pfn >= layout.tablesPfn() && pfn < layout.stackPfn()
        || pfn >= p2mTablesPfn && pfn < p2mTablesPfn + layout.p2mTables();
  }

  private void put(long gpa, long value) {
    memory.writeValue(gpa, 8, value);
  }

  // ---- pages ---------------------------------------------------------------------------------

  private void writeStartInfo(BootRequest request, int consolePort) {
    long at = layout.startInfoPfn() * PAGE_BYTES;
    byte[] magic = "xen-3.0-x86_64".getBytes(StandardCharsets.US_ASCII);
    memory.load(at, magic, 0, magic.length);
    put(at + 32, technique.pages());
    put(at + 40, technique.sharedInfoMfn() << 12);
    memory.writeValue(at + 48, 4, layout.initrdMapped() ? 0 : SIF_MOD_START_PFN);
    put(at + 56, technique.mfn(layout.startInfoPfn() + 1));
    put(at + 72, technique.mfn(layout.consolePfn()));
    memory.writeValue(at + 80, 4, consolePort);
    put(at + 88, layout.va(layout.tablesPfn()));
    put(at + 96, layout.tables());
    put(at + 104, layout.p2mVa());
    if (request.initrd().length != 0) {
      long initrd = layout.initrdPfn();
      put(at + 112, layout.initrdMapped() ? layout.va(initrd) : initrd);
      put(at + 120, request.initrd().length);
    }
    byte[] line = request.commandLine().getBytes(StandardCharsets.ISO_8859_1);
    memory.load(at + COMMAND_LINE_OFFSET, line, 0, Math.min(line.length, COMMAND_LINE_BYTES - 1));
    if (layout.p2mTables() != 0) {
      put(at + 1152, layout.p2mPfn());
      put(at + 1160, p2mTablesPfn + layout.p2mTables() - layout.p2mPfn());
    }
  }

  /** 128 entries of 32 bytes: push rcx, r11; mov eax, nr; syscall; pop r11, rcx; ret. */
  private void writeHypercallPage(long va) {
    byte[] page = new byte[PAGE_BYTES];
    for (int nr = 0; nr < PAGE_BYTES / 32; nr++) {
      boolean iret = nr == Hypercalls.IRET;
      byte[] code =
          iret
              ? bytes(0x51, 0x41, 0x53, 0x50, 0xB8, nr, 0, 0, 0, 0x0F, 0x05)
              : bytes(0x51, 0x41, 0x53, 0xB8, nr, 0, 0, 0, 0x0F, 0x05, 0x41, 0x5B, 0x59, 0xC3);
      System.arraycopy(code, 0, page, nr * 32, code.length);
    }
    memory.load(va - layout.virtBase(), page, 0, page.length);
  }

  private static byte[] bytes(int... values) {
    byte[] result = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = (byte) values[i];
    }
    return result;
  }
}
