package memvisor.machine.xen;

import java.util.ArrayDeque;
import java.util.Deque;
import memvisor.mmu.direct.DirectTechnique;
import memvisor.mmu.direct.Errno;
import memvisor.mmu.direct.MonitorSlots;
import memvisor.mmu.direct.PageTypes;

/**
 * HYPERVISOR_memory_op (public/memory.h): what there is, and giving frames back and taking them.
 */
final class MemoryCalls {
  private static final int E820_RAM = 1;

  private final DirectTechnique technique;
  private final PageTypes types;
  private final MonitorSlots slots;
  private final GuestPointers memory;

  /** Frames that the guest gave back: zeroed, and its own again when it asks. */
  private final Deque<Long> returned = new ArrayDeque<>();

  MemoryCalls(Domain domain) {
    technique = domain.technique();
    types = technique.types();
    slots = technique.slots();
    memory = domain.memory();
  }

  long call(int operation, long argument) {
    return switch (operation) {
      case 0, 6 -> populate(argument, operation == 6);
      case 1 -> giveBack(argument);
      case 2 -> slots.machineFrames() - 1;
      case 3 -> technique.pages() - returned.size();
      case 4 -> technique.pages();
      case 9 -> memoryMap(argument);
      case 12 -> machineToPhysical(argument);
      default -> -Errno.ENOSYS;
    };
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

  /** {list, count, u32 order, …}: frames by machine number; returns how many were given back. */
  private long giveBack(long argument) {
    long list = memory.load(argument, 8);
    long count = memory.load(argument + 8, 8);
    if (memory.load(argument + 16, 4) != 0) {
      return -Errno.EINVAL;
    }
    for (long i = 0; i < count; i++) {
      long mfn = memory.load(list + 8 * i, 8);
      if (memory.failed() || types.disown(mfn) != 0) {
        return i;
      }
      slots.setMachineToPhysical(mfn, MonitorSlots.INVALID);
      memory.clearFrame(mfn);
      returned.add(mfn);
    }
    return count;
  }

  /** The reverse; with {@code placed} the list holds guest frame numbers on entry. */
  private long populate(long argument, boolean placed) {
    long list = memory.load(argument, 8);
    long count = memory.load(argument + 8, 8);
    if (memory.load(argument + 16, 4) != 0) {
      return -Errno.EINVAL;
    }
    for (long i = 0; i < count; i++) {
      long pfn = placed ? memory.load(list + 8 * i, 8) : MonitorSlots.INVALID;
      if (memory.failed() || returned.isEmpty()) {
        return i;
      }
      long mfn = returned.peek();
      memory.store(list + 8 * i, 8, mfn);
      if (memory.failed()) {
        return i;
      }
      returned.remove();
      types.own(mfn);
      slots.setMachineToPhysical(mfn, pfn);
    }
    return count;
  }
}
