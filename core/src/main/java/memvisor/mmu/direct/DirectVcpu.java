package memvisor.mmu.direct;

import java.util.List;
import memvisor.address.Access;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.mmu.DerivedEntry;
import memvisor.mmu.VcpuMmu;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * One vCPU under direct paging: its two roots (of the guest's kernel and of its user), switching
 * between them, and the writes to page tables that are emulated.
 */
public final class DirectVcpu implements VcpuMmu {
  private static final int PRESENT_WRITE = 3;
  private static final long TABLE_INDEX_MASK = 0x1FF;

  /** Loads a page of the LDT when it is first used. */
  public interface LdtLoader {
    /** Tries to load page {@code page} of the LDT's window; false if there is no such page. */
    boolean load(int page);
  }

  private final PageTypes types;
  private final MonitorSlots slots;
  private final DirectCounters counters;
  private final MachineMemory machine;
  private final TranslationUnit unit;
  private final PagingState registers;
  private LdtLoader ldt = page -> false;
  private long kernelRoot = -1;
  private long userRoot = -1;
  private boolean kernelMode = true;

  DirectVcpu(
      DirectTechnique technique, MachineMemory machine, TranslationUnit unit, PagingState guest) {
    types = technique.types();
    slots = technique.slots();
    counters = technique.counters();
    this.machine = machine;
    this.unit = unit;
    registers = guest;
  }

  /** Names who loads LDT pages. */
  public void setLdtLoader(LdtLoader loader) {
    ldt = loader;
  }

  // ---- roots ---------------------------------------------------------------------------------

  /** The kernel's L4. */
  public long kernelRoot() {
    return kernelRoot;
  }

  /** The user's L4, -1 if there is none. */
  public long userRoot() {
    return userRoot;
  }

  /** Whether the guest's kernel runs, and not its user. */
  public boolean inKernel() {
    return kernelMode;
  }

  /**
   * Lets the hardware walk the guest's tables; once the processor's registers have paging on and
   * {@code rootMfn} is a valid L4.
   */
  public int start(long rootMfn) {
    int error = types.hold(rootMfn, FrameType.L4);
    if (error == 0) {
      kernelRoot = rootMfn;
      registers.setCr3(rootMfn << 12);
      unit.hostTables(registers, 0);
    }
    return error;
  }

  /** MMUEXT_NEW_BASEPTR: another L4 for the kernel, and everything cached dropped. */
  public int newBasePointer(long mfn) {
    if (mfn != kernelRoot) {
      int error = types.hold(mfn, FrameType.L4);
      if (error != 0) {
        return error;
      }
      slots.showM2p(mfn, true);
      types.drop(kernelRoot);
      kernelRoot = mfn;
    }
    counters.rootLoads++;
    registers.setCr3(mfn << 12);
    unit.cr3Loaded(false);
    flushAll();
    return 0;
  }

  /** MMUEXT_NEW_USER_BASEPTR: another L4 for user mode, or none (0). */
  public int newUserBasePointer(long mfn) {
    if (mfn == 0) {
      dropUser();
      return 0;
    }
    if (mfn != userRoot) {
      int error = types.hold(mfn, FrameType.L4);
      if (error != 0) {
        return error;
      }
      if (mfn != kernelRoot) {
        slots.showM2p(mfn, false);
      }
      dropUser();
      userRoot = mfn;
    }
    return 0;
  }

  private void dropUser() {
    if (userRoot >= 0) {
      types.drop(userRoot);
      userRoot = -1;
    }
  }

  /**
   * Goes from kernel to user mode or back.
   *
   * @return whether there is a table to run on
   */
  public boolean switchTo(boolean kernel) {
    if (kernel == kernelMode) {
      return true;
    }
    long root = kernel ? kernelRoot : userRoot;
    if (root < 0) {
      return false;
    }
    counters.modeSwitches++;
    kernelMode = kernel;
    registers.setCr3(root << 12);
    unit.cr3Loaded(false);
    return true;
  }

  // ---- flushing ------------------------------------------------------------------------------

  /** Drops everything cached. */
  public void flushAll() {
    unit.invalidateAll();
    types.flushed();
  }

  /** INVLPG. */
  public void flushPage(long gva) {
    unit.invalidatePage(gva);
  }

  // ---- tables --------------------------------------------------------------------------------

  /** HPA of the L1 entry that the kernel's tables have for {@code gva}, or -1. */
  private long leafEntry(long rootMfn, long gva) {
    long table = rootMfn << 12;
    for (int shift = 39; ; shift -= 9) {
      long hpa = table + (gva >>> shift & TABLE_INDEX_MASK) * 8;
      if (shift == 12) {
        return hpa;
      }
      long entry = Hva.readLong(machine.hva(hpa));
      if (!Pte.present(entry)) {
        return -1;
      }
      table = Pte.mfn(entry) << 12;
    }
  }

  private static boolean isMonitors(long gva) {
    int slot = (int) (gva >>> 39 & TABLE_INDEX_MASK);
    return slot >= PageTypes.FIRST_RESERVED_SLOT && slot < PageTypes.END_RESERVED_SLOT;
  }

  /** Changes the L1 entry of one address of the current table. */
  public int updateMapping(long gva, long value) {
    long entry = isMonitors(gva) ? -1 : leafEntry(kernelRoot, gva);
    return entry < 0
        ? -Errno.EINVAL
        : types.update(entry >>> 12, (int) (entry >>> 3 & TABLE_INDEX_MASK), value, false);
  }

  /** The L1 entry for an address of the kernel's, 0 if some upper entry is not present. */
  public long leaf(long gva) {
    long entry = leafEntry(kernelRoot, gva);
    return entry < 0 ? 0 : Hva.readLong(machine.hva(entry));
  }

  /** The machine frame that an address of the kernel's leads to, or -1. */
  public long mappedFrame(long gva) {
    long leaf = isMonitors(gva) ? 0 : leaf(gva);
    return Pte.present(leaf) ? Pte.mfn(leaf) : -1;
  }

  // ---- exits ---------------------------------------------------------------------------------

  /**
   * A page fault: a store to a page table is offered, a missing page of the LDT is loaded, and all
   * else is the guest's own.
   */
  @Override
  public void resolve(long gva, int access, TranslationResult result) {
    if (result.kind != TranslationResult.PAGE_FAULT) {
      result.kind = TranslationResult.FAILED;
      return;
    }
    if (isLdt(gva) && (access & Access.IMPLICIT) != 0) {
      if (ldt.load((int) (gva - MonitorSlots.LDT_GVA >>> 12))) {
        result.kind = TranslationResult.RETRY;
        return;
      }
    } else if (kernelMode && (result.errorCode & 0x1B) == PRESENT_WRITE && !isMonitors(gva)) {
      long entry = leafEntry(kernelRoot, gva);
      long leaf = entry < 0 ? 0 : Hva.readLong(machine.hva(entry));
      if (Pte.present(leaf) && !Pte.writable(leaf) && types.tableLevel(Pte.mfn(leaf)) == 1) {
        result.offered(Pte.mfn(leaf) << 12 | gva & 0xFFF);
        return;
      }
    }
    counters.pageFaults++;
  }

  private static boolean isLdt(long gva) {
    return gva >= MonitorSlots.LDT_GVA
        && gva < MonitorSlots.LDT_GVA + MonitorSlots.LDT_PAGES * 4096L;
  }

  /** A store to an L1 table: the whole entry that it would leave is validated first. */
  public boolean offeredWrite(long hpa, int sizeBytes, long value) {
    int shift = (int) (hpa & 7) * 8;
    if ((hpa & 7) + sizeBytes > 8) {
      return false;
    }
    long mask = sizeBytes == 8 ? -1L : (1L << 8 * sizeBytes) - 1 << shift;
    long old = Hva.readLong(machine.hva(hpa & ~7L));
    long entry = old & ~mask | value << shift & mask;
    int error = types.update(hpa >>> 12, (int) (hpa >>> 3 & TABLE_INDEX_MASK), entry, false);
    if (error == 0) {
      counters.emulatedWrites++;
    } else {
      counters.refusedWrites++;
    }
    return error == 0;
  }

  @Override
  public void cr3Written(boolean keepTranslations) {
    throw new IllegalStateException("a guest at CPL 3 cannot load CR3");
  }

  @Override
  public void pagingControlsWritten() {
    throw new IllegalStateException("a guest at CPL 3 cannot change paging controls");
  }

  @Override
  public void invlpg(long gva) {
    throw new IllegalStateException("a guest at CPL 3 cannot invalidate");
  }

  @Override
  public void invpcid(int type, int pcid, long gva) {
    throw new IllegalStateException("a guest at CPL 3 cannot invalidate");
  }

  @Override
  public void trackedWrite(long gpa, int sizeBytes) {
    throw new IllegalStateException("direct paging tracks no writes");
  }

  @Override
  public List<DerivedEntry> derivedPath(long gva, long gpa) {
    return List.of();
  }
}
