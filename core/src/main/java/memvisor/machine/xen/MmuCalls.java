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

  /** Work of an operation of mmuext_op, in page-table entries. */
  private static final int OPERATION_WORK = 16;

  private static final long INTERRUPTED = 1L << 31;

  private final Domain domain;
  private final LongCalls longCalls;
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

  MmuCalls(Domain domain, LongCalls longCalls, boolean batching) {
    this.domain = domain;
    this.longCalls = longCalls;
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
    return updateFrom(requests, countAndFlags & 0xFFFF_FFFFL & ~INTERRUPTED, done, 0);
  }

  private long updateFrom(long requests, long count, long done, long first) {
    long result = 0;
    long i = first;
    for (; i < count; i++) {
      long next = i;
      if (types.isWorkDone()) {
        return longCalls.later(() -> updateFrom(requests, count, done, next));
      }
      types.work(1);
      long pointer = memory.load(requests + i * REQUEST_BYTES, 8);
      long value = memory.load(requests + i * REQUEST_BYTES + 8, 8);
      if (memory.failed()) {
        result = -Errno.EFAULT;
        break;
      }
      result = updateOne(pointer, value);
      if (result == -Errno.ERESTART) {
        return longCalls.later(() -> updateFrom(requests, count, done, next));
      }
      updateRequests++;
      countRequest(i, Hypercalls.MMU_UPDATE);
      if (result != 0) {
        break;
      }
    }
    storeDone(done, i);
    return result;
  }

  /** Tells how many were done, if the guest wants to know and can be told. */
  private void storeDone(long done, long count) {
    if (done != 0 && !memory.failed()) {
      memory.store(done, 4, count);
      memory.takeFailure();
    }
  }

  private int updateOne(long pointer, long value) {
    long address = pointer & ~7L;
    long mfn = address >>> 12;
    int offset = (int) address & 0xFFF;
    int command = (int) pointer & 7;
    if (command > 3) {
      return -Errno.ENOSYS;
    }
    if (!types.isOwned(mfn)) {
      return -Errno.EINVAL;
    }
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
    int flush = (int) flags & 3;
    long vcpus = flags & ~7L;
    // With bit 2 the list of vCPUs is not looked at: all of them.
    if (flush != 0 && (flags & 4) == 0 && vcpus != 0) {
      memory.load(vcpus, 8);
      if (memory.failed()) {
        return -Errno.EFAULT;
      }
    }
    switch (flush) {
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
    return extendedFrom(operations, count & 0xFFFF_FFFFL & ~INTERRUPTED, done, 0);
  }

  private long extendedFrom(long operations, long count, long done, long from) {
    long result = 0;
    long i = from;
    for (; i < count; i++) {
      long next = i;
      if (types.isWorkDone()) {
        return longCalls.later(() -> extendedFrom(operations, count, done, next));
      }
      types.work(OPERATION_WORK);
      long at = operations + i * OPERATION_BYTES;
      int command = (int) memory.load(at, 4);
      long first = memory.load(at + 8, 8);
      long second = memory.load(at + 16, 8);
      if (memory.failed()) {
        result = -Errno.EFAULT;
        break;
      }
      result = extendedOne(command, first, second);
      if (result == -Errno.ERESTART) {
        return longCalls.later(() -> extendedFrom(operations, count, done, next));
      }
      extendedRequests++;
      countRequest(i, Hypercalls.MMUEXT_OP);
      if (result != 0) {
        break;
      }
    }
    storeDone(done, i);
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
      case 6, 10 -> mmu.flushAll();
      case 7, 11 -> flushPage(first);
      case 8, 9 -> {
        return flushVcpus(command == 9, first, second);
      }
      case 12, 18 -> {
        return -Errno.EACCES; // FLUSH_CACHE: for domains with devices
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
      case 17 -> {
        return copyPage(first, second);
      }
      case 19, 20 -> {
        return -Errno.EOPNOTSUPP; // superpages
      }
      default -> {
        return -Errno.ENOSYS;
      }
    }
    return 0;
  }

  private void flushPage(long gva) {
    if (gva << 16 >> 16 == gva) {
      mmu.flushPage(gva);
    }
  }

  /** Flushes the vCPUs of a bit map: there is one. */
  private int flushVcpus(boolean page, long gva, long vcpus) {
    memory.load(vcpus, 8);
    if (memory.takeFailure()) {
      return -Errno.EINVAL;
    }
    if (page) {
      flushPage(gva);
    } else {
      mmu.flushAll();
    }
    return 0;
  }

  private int copyPage(long to, long from) {
    if (!types.isOwned(from)) {
      return -Errno.EINVAL;
    }
    int error = types.hold(to, FrameType.WRITABLE);
    if (error == 0) {
      memory.copyFrame(from, to);
      types.drop(to);
    }
    return error;
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
    boolean usable = (base & 0xFFF) == 0 && GuestPointers.isGuests(base);
    if (entries < 0 || entries > LDT_ENTRIES || entries != 0 && !usable) {
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
