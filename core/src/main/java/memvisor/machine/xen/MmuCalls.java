package memvisor.machine.xen;

import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.SegmentName;
import memvisor.cpu.x86.SegmentState;
import memvisor.machine.ExitReason;
import memvisor.mmu.direct.DirectVcpu;
import memvisor.mmu.direct.Errno;
import memvisor.mmu.direct.FrameType;
import memvisor.mmu.direct.MonitorSlots;
import memvisor.mmu.direct.PageTypes;

/** Hypercalls about page tables and descriptor tables (public/xen.h). */
final class MmuCalls {
  static final int DOMID_SELF = 0x7FF0;

  private static final int REQUEST_BYTES = 16;
  private static final int OPERATION_BYTES = 24;
  private static final int GDT_ENTRIES_PER_PAGE = 512;
  private static final int LDT_ENTRIES = 8192;
  private static final int LDT_TYPE = 0x82;
  private static final long INTERRUPTED = 1L << 31;

  private final Domain domain;
  private final boolean batching;
  private final RegisterFile r;
  private final DirectVcpu mmu;
  private final PageTypes types;
  private final MonitorSlots slots;
  private final GuestPointers memory;
  private final long[] gdt = new long[MonitorSlots.GUEST_GDT_PAGES];
  private final long[] ldtPages = new long[MonitorSlots.LDT_PAGES];
  private long ldtBase;
  private int ldtEntries;
  private long updateRequests;
  private long extendedRequests;
  private long mappingUpdates;

  MmuCalls(Domain domain, boolean batching) {
    this.domain = domain;
    this.batching = batching;
    r = domain.registers();
    mmu = domain.mmu();
    types = domain.technique().types();
    slots = domain.technique().slots();
    memory = domain.memory();
    java.util.Arrays.fill(gdt, -1);
    java.util.Arrays.fill(ldtPages, -1);
    mmu.setLdtLoader(this::loadLdtPage);
  }

  long updateRequests() {
    return updateRequests;
  }

  long extendedRequests() {
    return extendedRequests;
  }

  /** Entries of tables that hypercalls asked to change. */
  long tableUpdates() {
    return updateRequests + mappingUpdates;
  }

  /** Without batching each request of a list after the first is an exit of its own. */
  private void countRequest(long index, int call) {
    if (!batching && index > 0) {
      domain.count(ExitReason.HYPERCALL, call);
    }
  }

  // ---- mmu_update ----------------------------------------------------------------------------

  long update(long requests, long countAndFlags, long done, long domid) {
    if ((domid & 0xFFFF_FFFFL) != DOMID_SELF) {
      return -Errno.ESRCH;
    }
    long count = countAndFlags & 0xFFFF_FFFFL & ~INTERRUPTED;
    long result = 0;
    long i = 0;
    for (; i < count && result == 0; i++) {
      long pointer = memory.load(requests + i * REQUEST_BYTES, 8);
      long value = memory.load(requests + i * REQUEST_BYTES + 8, 8);
      if (memory.failed()) {
        result = -Errno.EFAULT;
        break;
      }
      updateRequests++;
      countRequest(i, Hypercalls.MMU_UPDATE);
      result = updateOne(pointer, value);
      if (result != 0) {
        break;
      }
    }
    if (done != 0) {
      memory.store(done, 4, i);
    }
    return result;
  }

  private int updateOne(long pointer, long value) {
    long address = pointer & ~3L;
    long mfn = address >>> 12;
    int offset = (int) address & 0xFFF;
    if ((address & 7) != 0 || !types.isOwned(mfn)) {
      return -Errno.EINVAL;
    }
    int command = (int) pointer & 3;
    if (command == 1) {
      slots.setMachineToPhysical(mfn, value);
      return 0;
    }
    if (types.tableLevel(mfn) != 0) {
      return types.update(mfn, offset >>> 3, value, command == 2);
    }
    int error = types.writeRaw(mfn, offset, value);
    memory.noteWritten(address, 8);
    return error;
  }

  // ---- update_va_mapping ---------------------------------------------------------------------

  long updateMapping(long gva, long value, long flags) {
    mappingUpdates++;
    int error = mmu.updateMapping(gva, value);
    switch ((int) flags & 3) {
      case 1 -> mmu.flushAll();
      case 2 -> mmu.flushPage(gva);
      default -> {
        // UVMF_NONE: the guest flushes when it needs to.
      }
    }
    return error;
  }

  // ---- mmuext_op -----------------------------------------------------------------------------

  long extended(long operations, long count, long done, long domid) {
    if ((domid & 0xFFFF_FFFFL) != DOMID_SELF) {
      return -Errno.ESRCH;
    }
    long result = 0;
    long i = 0;
    for (; i < (count & 0xFFFF_FFFFL & ~INTERRUPTED); i++) {
      long at = operations + i * OPERATION_BYTES;
      int command = (int) memory.load(at, 4);
      long first = memory.load(at + 8, 8);
      long second = memory.load(at + 16, 8);
      if (memory.failed()) {
        result = -Errno.EFAULT;
        break;
      }
      extendedRequests++;
      countRequest(i, Hypercalls.MMUEXT_OP);
      result = extendedOne(command, first, second);
      if (result != 0) {
        break;
      }
    }
    if (done != 0) {
      memory.store(done, 4, i);
    }
    return result;
  }

  private int extendedOne(int command, long first, long second) {
    switch (command) {
      case 0, 1, 2, 3 -> {
        return types.pin(command + 1, first);
      }
      case 4 -> {
        return types.unpin(first);
      }
      case 5 -> {
        return mmu.newBasePointer(first);
      }
      case 6, 8, 10 -> mmu.flushAll();
      case 7, 9, 11 -> mmu.flushPage(first);
      case 12 -> {
        // FLUSH_CACHE: there is no cache to flush.
      }
      case 13 -> {
        return setLdt(first, second);
      }
      case 15 -> {
        return mmu.newUserBasePointer(first);
      }
      case 16 -> {
        return clearPage(first);
      }
      default -> {
        return -Errno.ENOSYS;
      }
    }
    return 0;
  }

  private int clearPage(long mfn) {
    int error = types.hold(mfn, FrameType.WRITABLE);
    if (error == 0) {
      memory.clearFrame(mfn);
      types.drop(mfn);
    }
    return error;
  }

  // ---- descriptor tables ---------------------------------------------------------------------

  long setGdt(long list, long entries) {
    long pages = (entries + GDT_ENTRIES_PER_PAGE - 1) / GDT_ENTRIES_PER_PAGE;
    if (entries < 0 || pages > gdt.length) {
      return -Errno.EINVAL;
    }
    long[] frames = new long[(int) pages];
    for (int i = 0; i < pages; i++) {
      frames[i] = memory.load(list + 8L * i, 8);
    }
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    for (int i = 0; i < pages; i++) {
      int error = types.hold(frames[i], FrameType.SEGDESC);
      if (error != 0) {
        for (int taken = 0; taken < i; taken++) {
          types.drop(frames[taken]);
        }
        return error;
      }
    }
    for (int i = 0; i < gdt.length; i++) {
      if (gdt[i] >= 0) {
        types.drop(gdt[i]);
      }
      gdt[i] = i < pages ? frames[i] : -1;
      slots.setGdtPage(i, gdt[i]);
      mmu.flushPage(MonitorSlots.GDT_GVA + i * 4096L);
    }
    return 0;
  }

  long updateDescriptor(long address, long descriptor) {
    long mfn = address >>> 12;
    if ((address & 7) != 0 || !types.isOwned(mfn)) {
      return -Errno.EINVAL;
    }
    return types.updateDescriptor(mfn, (int) address & 0xFFF, descriptor);
  }

  private int setLdt(long base, long entries) {
    boolean canonical = base << 16 >> 16 == base;
    if (entries < 0 || entries > LDT_ENTRIES || (base & 0xFFF) != 0 && entries != 0 || !canonical) {
      return -Errno.EINVAL;
    }
    if (base == ldtBase && entries == ldtEntries) {
      return 0;
    }
    for (int i = 0; i < ldtPages.length; i++) {
      if (ldtPages[i] >= 0) {
        types.drop(ldtPages[i]);
        ldtPages[i] = -1;
        slots.setLdtPage(i, -1);
        mmu.flushPage(MonitorSlots.LDT_GVA + i * 4096L);
      }
    }
    ldtBase = base;
    ldtEntries = (int) entries;
    r.setSegment(
        SegmentName.LDTR,
        entries == 0
            ? SegmentState.none()
            : new SegmentState(8, MonitorSlots.LDT_GVA, ldtEntries * 8 - 1, LDT_TYPE));
    return 0;
  }

  /** The guest's own address of a fault in the window of its LDT; other addresses as they are. */
  long guestAddress(long gva) {
    long offset = gva - MonitorSlots.LDT_GVA;
    boolean inLdt = offset >= 0 && offset < MonitorSlots.LDT_PAGES * 4096L;
    return inLdt ? ldtBase + offset : gva;
  }

  /** LDT pages are typed when they are first used. */
  private boolean loadLdtPage(int page) {
    if (page * GDT_ENTRIES_PER_PAGE >= ldtEntries || ldtPages[page] >= 0) {
      return false;
    }
    long mfn = mmu.mappedFrame(ldtBase + page * 4096L);
    if (mfn < 0 || types.hold(mfn, FrameType.SEGDESC) != 0) {
      return false;
    }
    domain.count(ExitReason.PRIVILEGED_INSTRUCTION, MonitorSlots.LDT_GVA);
    ldtPages[page] = mfn;
    slots.setLdtPage(page, mfn);
    return true;
  }
}
