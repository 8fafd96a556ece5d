package memvisor.machine.xen;

import java.util.ArrayDeque;
import java.util.Deque;
import memvisor.mmu.direct.DirectTechnique;
import memvisor.mmu.direct.Errno;
import memvisor.mmu.direct.MonitorSlots;
import memvisor.mmu.direct.PageTypes;
import org.jspecify.annotations.Nullable;

/**
 * HYPERVISOR_memory_op (public/memory.h): what there is, and giving frames back and taking them.
 */
final class MemoryCalls {
  private static final int E820_RAM = 1;
  private static final int RESERVATION_BYTES = 32;
  private static final int MAX_ORDER = 9;

  /** Work of giving one frame back, in page-table entries. */
  private static final int FRAME_WORK = 64;

  private final DirectTechnique technique;
  private final PageTypes types;
  private final MonitorSlots slots;
  private final GuestPointers memory;
  private final LongCalls longCalls;

  /** Frames that the guest gave back: zeroed, and its own again when it asks. */
  private final Deque<Long> returned = new ArrayDeque<>();

  MemoryCalls(Domain domain, LongCalls longCalls) {
    this.longCalls = longCalls;
    technique = domain.technique();
    types = technique.types();
    slots = technique.slots();
    memory = domain.memory();
  }

  long call(int operation, long argument) {
    return switch (operation) {
      case 0 -> extents(reservation(argument), 0, this::populateAnywhere);
      case 1 -> extents(reservation(argument), 0, this::giveBack);
      case 2 -> slots.machineFrames() - 1;
      case 3 -> ofSelf(argument, technique.pages() - returned.size());
      case 4 -> ofSelf(argument, technique.pages());
      case 6 -> extents(reservation(argument), 0, this::populate);
      case 9 -> memoryMap(argument);
      case 10 -> -Errno.EPERM; // the machine's memory map
      case 11 -> exchange(argument);
      case 12 -> machineToPhysical(argument);
      default -> -Errno.ENOSYS;
    };
  }

  /** An answer about a domain: there is only the asking one. */
  private long ofSelf(long argument, long value) {
    return memory.load(argument, 2) == MmuCalls.DOMID_SELF ? value : -Errno.ESRCH;
  }

  /** One region of RAM: {u32 number of entries, pointer to 20-byte e820 entries}. */
  private long memoryMap(long argument) {
    if (memory.load(argument, 4) < 1) {
      return -Errno.EINVAL;
    }
    long entries = memory.load(argument + 8, 8);
    memory.store(entries, 8, 0);
    memory.store(entries + 8, 8, technique.pages() << 12);
    memory.store(entries + 16, 4, E820_RAM);
    memory.store(argument, 4, 1);
    return 0;
  }

  private long machineToPhysical(long argument) {
    long frames = slots.machineFrames();
    memory.store(argument, 8, MonitorSlots.M2P_GVA);
    memory.store(argument + 8, 8, MonitorSlots.M2P_GVA + frames * 8);
    memory.store(argument + 16, 8, frames - 1);
    return 0;
  }

  // ---- giving frames back and taking them -----------------------------------------------------

  /** Reads {list, u64 count, u32 order, u32 flags, u16 domain}; null if it cannot be served. */
  private @Nullable Reservation reservation(long at) {
    long list = memory.load(at, 8);
    long count = memory.load(at + 8, 8);
    long order = memory.load(at + 16, 4);
    long domain = memory.load(at + 24, 2);
    boolean served =
        !memory.takeFailure() && count >= 0 && order <= MAX_ORDER && domain == MmuCalls.DOMID_SELF;
    return served ? new Reservation(list, count, (int) order) : null;
  }

  private record Reservation(long list, long count, int order) {}

  /** Performs an operation on all extents from {@code first} on; answers how many were done. */
  private long extents(@Nullable Reservation reservation, long first, Extent extent) {
    if (reservation == null) {
      return 0;
    }
    for (long i = first; i < reservation.count; i++) {
      if (types.isWorkDone()) {
        long next = i;
        return longCalls.later(() -> extents(reservation, next, extent));
      }
      types.work(FRAME_WORK << reservation.order);
      boolean done = extent.perform(reservation.list + 8 * i, reservation.order);
      if (memory.takeFailure() || !done) {
        return i;
      }
    }
    return reservation.count;
  }

  private interface Extent {
    /** Performs one; false if it cannot be done. */
    boolean perform(long entry, int order);
  }

  /** Frames that have no guest frame number yet. */
  private boolean populateAnywhere(long entry, int order) {
    if (returned.isEmpty() || order != 0) {
      return false;
    }
    memory.store(entry, 8, returned.element());
    if (!memory.failed()) {
      take(returned.remove(), MonitorSlots.INVALID);
    }
    return true;
  }

  private boolean giveBack(long entry, int order) {
    long mfn = memory.load(entry, 8);
    for (long i = 0; i < 1L << order; i++) {
      if (memory.failed() || types.disown(mfn + i) != 0) {
        return false;
      }
      slots.setMachineToPhysical(mfn + i, MonitorSlots.INVALID);
      memory.clearFrame(mfn + i);
      returned.add(mfn + i);
    }
    return true;
  }

  /** The reverse. The list holds guest frame numbers; the machine's are written over them. */
  private boolean populate(long entry, int order) {
    long pfn = memory.load(entry, 8);
    if (memory.failed() || returned.isEmpty() || order != 0) {
      return false;
    }
    memory.store(entry, 8, returned.element());
    if (memory.failed()) {
      return false;
    }
    take(returned.remove(), pfn);
    return true;
  }

  private void take(long mfn, long pfn) {
    types.own(mfn);
    slots.setMachineToPhysical(mfn, pfn);
  }

  /** {in, out, u64 done}: frames for other frames, zeroed, one for one. */
  private long exchange(long argument) {
    Reservation in = reservation(argument);
    Reservation out = reservation(argument + RESERVATION_BYTES);
    long done = memory.load(argument + 2 * RESERVATION_BYTES, 8);
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    if (in == null || out == null || in.count != out.count || in.order != out.order) {
      return -Errno.EINVAL;
    }
    if (in.order != 0) {
      return -Errno.ENOMEM;
    }
    if (Long.compareUnsigned(done, in.count) > 0) {
      return -Errno.EINVAL;
    }
    return exchange(argument, in, out, done);
  }

  private long exchange(long argument, Reservation in, Reservation out, long first) {
    long result = 0;
    long i = first;
    for (; i < in.count && result == 0; i++) {
      if (types.isWorkDone()) {
        long next = i;
        return longCalls.later(() -> exchange(argument, in, out, next));
      }
      types.work(2 * FRAME_WORK);
      long pfn = memory.load(out.list + 8 * i, 8);
      memory.store(out.list + 8 * i, 8, pfn);
      if (memory.failed()) {
        result = -Errno.EFAULT;
      } else if (!giveBack(in.list + 8 * i, 0)) {
        result = memory.failed() ? -Errno.EFAULT : -Errno.EINVAL;
      } else {
        memory.store(out.list + 8 * i, 8, returned.element());
        take(returned.remove(), pfn);
      }
    }
    boolean failed = memory.takeFailure();
    memory.store(argument + 2 * RESERVATION_BYTES, 8, result == 0 ? i : i - 1);
    return failed ? -Errno.EFAULT : result;
  }
}
