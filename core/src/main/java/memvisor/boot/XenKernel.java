package memvisor.boot;

import java.util.OptionalLong;
import memvisor.memory.GuestMemory;

/**
 * A kernel for Xen's paravirtual 64-bit interface: an ELF64 image with notes of owner "Xen"
 * (public/elfnote.h).
 *
 * <p>Segments are loaded by p_paddr: virtual address = VIRT_BASE − PADDR_OFFSET + p_paddr, and the
 * guest frame number counts from VIRT_BASE.
 */
public final class XenKernel {
  private static final int NOTE_ENTRY = 1;
  private static final int NOTE_HYPERCALL_PAGE = 2;
  private static final int NOTE_VIRT_BASE = 3;
  private static final int NOTE_PADDR_OFFSET = 4;
  private static final int NOTE_XEN_VERSION = 5;
  private static final int NOTE_INIT_P2M = 15;
  private static final int NOTE_MOD_START_PFN = 16;
  private static final int PAGE_BYTES = 4096;
  private static final byte[] ZEROES = new byte[1 << 16];

  private final ElfImage elf;
  private final long virtBase;
  private final long paddrOffset;
  private long startVa = -1;
  private long endVa;

  private XenKernel(ElfImage elf) {
    this.elf = elf;
    String version = elf.xenText(NOTE_XEN_VERSION).orElse("");
    if (!elf.is64() || !version.equals("xen-3.0")) {
      throw new ImageFormatException(
          "the ELF image is no 64-bit Xen PV kernel: it has no note XEN_VERSION \"xen-3.0\";"
              + " a Linux kernel needs CONFIG_XEN_PV");
    }
    virtBase = elf.xenNumber(NOTE_VIRT_BASE).orElse(0);
    paddrOffset = elf.xenNumber(NOTE_PADDR_OFFSET).orElse(0);
    for (ElfImage.Segment segment : elf.segments()) {
      long va = va(segment);
      if (Long.compareUnsigned(va, virtBase) < 0 || va + segment.memoryBytes() < va) {
        throw new ImageFormatException(
            "the ELF image has a segment below its VIRT_BASE: va=0x%x virtBase=0x%x"
                .formatted(va, virtBase));
      }
      startVa = Long.compareUnsigned(va, startVa) < 0 ? va : startVa;
      long end = va + segment.memoryBytes();
      endVa = Long.compareUnsigned(end, endVa) > 0 ? end : endVa;
    }
  }

  /**
   * Reads an unpacked kernel.
   *
   * @throws ImageFormatException if it is damaged or not for Xen PV
   */
  public static XenKernel parse(byte[] vmlinux) {
    return new XenKernel(ElfImage.parse(vmlinux));
  }

  private long va(ElfImage.Segment segment) {
    return virtBase - paddrOffset + segment.gpa();
  }

  /** Where it is entered. */
  public long entry() {
    return elf.xenNumber(NOTE_ENTRY).orElse(elf.entry());
  }

  /** Virtual address of guest-physical 0 in the first tables. */
  public long virtBase() {
    return virtBase;
  }

  /** First address past its last segment, page-aligned. */
  public long endVa() {
    return endVa + PAGE_BYTES - 1 & -PAGE_BYTES;
  }

  /** The page that the hypercall entries are to be written to, in older kernels. */
  public OptionalLong hypercallPage() {
    return elf.xenNumber(NOTE_HYPERCALL_PAGE);
  }

  /** Where the kernel wants its physical-to-machine list; empty: in the first mapping. */
  public OptionalLong initialP2m() {
    return elf.xenNumber(NOTE_INIT_P2M);
  }

  /** Whether the initial RAM disk may lie outside the first mapping. */
  public boolean takesInitrdByFrame() {
    return elf.xenNumber(NOTE_MOD_START_PFN).orElse(0) != 0;
  }

  /**
   * Copies the segments to where they belong in guest-physical memory.
   *
   * @throws BootException if they do not fit
   */
  public void load(GuestMemory memory) {
    for (ElfImage.Segment segment : elf.segments()) {
      long gpa = va(segment) - virtBase;
      long end = gpa + segment.memoryBytes();
      if (gpa < 0 || Long.compareUnsigned(end, memory.map().end()) > 0) {
        throw new BootException(
            "a segment of the kernel ends at 0x%x, past guest memory; give the guest more memory"
                .formatted(end));
      }
      memory.load(gpa, elf.bytes(), (int) segment.offset(), (int) segment.fileBytes());
      for (long at = gpa + segment.fileBytes(); at < end; at += ZEROES.length) {
        memory.load(at, ZEROES, 0, (int) Math.min(ZEROES.length, end - at));
      }
    }
  }
}
