package memvisor.machine.xen;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;
import memvisor.machine.ExitReason;
import memvisor.mmu.direct.Errno;
import memvisor.mmu.direct.PageTypes;

/** The table of hypercalls (public/xen.h), and multicall, which batches them. */
final class Hypercalls {
  static final int SET_TRAP_TABLE = 0;
  static final int MMU_UPDATE = 1;
  static final int SET_GDT = 2;
  static final int STACK_SWITCH = 3;
  static final int SET_CALLBACKS = 4;
  static final int FPU_TASKSWITCH = 5;
  static final int SET_DEBUGREG = 8;
  static final int GET_DEBUGREG = 9;
  static final int UPDATE_DESCRIPTOR = 10;
  static final int MEMORY_OP = 12;
  static final int MULTICALL = 13;
  static final int UPDATE_VA_MAPPING = 14;
  static final int SET_TIMER_OP = 15;
  static final int XEN_VERSION = 17;
  static final int CONSOLE_IO = 18;
  static final int VM_ASSIST = 21;
  static final int IRET = 23;
  static final int VCPU_OP = 24;
  static final int SET_SEGMENT_BASE = 25;
  static final int MMUEXT_OP = 26;
  static final int SCHED_OP = 29;
  static final int CALLBACK_OP = 30;
  static final int EVENT_CHANNEL_OP = 32;
  static final int PHYSDEV_OP = 33;

  private static final int CALLS = 64;
  private static final int MULTICALL_ENTRY_BYTES = 64;
  private static final int MULTICALL_ARGUMENTS = 6;

  /** Work of a byte that the guest prints, in page-table entries. */
  private static final int BYTE_OF_TEXT = 8;

  /** Failed calls that are remembered for the report of a guest that died. */
  private static final int REMEMBERED = 32;

  private final Domain domain;
  private final PvCpu cpu;
  private final RegisterFile r;
  private final GuestPointers memory;
  private final boolean batching;
  private final MmuCalls mmu;
  private final MemoryCalls memoryCalls;
  private final ProcessorCalls processor;
  private final EventChannels events;
  private final VersionCalls version;
  private final long[] counts = new long[CALLS];
  private final Deque<String> failures = new ArrayDeque<>();
  private long multicallEntries;
  private long failed;

  /** Exits that carried changes of table entries. */
  private long updatingExits;

  private long updatesBefore;

  private boolean inMulticall;
  private final LongCalls longCalls = new LongCalls();
  private final PageTypes types;

  Hypercalls(Domain domain, PvCpu cpu, EventChannels events, PvTimers timers, boolean batching) {
    this.domain = domain;
    this.cpu = cpu;
    this.events = events;
    this.batching = batching;
    r = domain.registers();
    memory = domain.memory();
    types = domain.technique().types();
    mmu = new MmuCalls(domain, longCalls, batching);
    memoryCalls = new MemoryCalls(domain, longCalls);
    processor = new ProcessorCalls(domain, cpu, timers, events, longCalls);
    version = new VersionCalls(memory);
  }

  MmuCalls mmu() {
    return mmu;
  }

  /** The SYSCALL of a kernel: number in RAX, arguments in RDI, RSI, RDX, R10, R8; answer in RAX. */
  void enter() {
    long number = r.get(RegisterName.RAX);
    if (batching || number != MULTICALL) {
      domain.count(ExitReason.HYPERCALL, number);
    }
    if (number == IRET) {
      counts[IRET]++;
      cpu.interruptReturn();
      return;
    }
    long[] arguments = {
      r.get(RegisterName.RDI),
      r.get(RegisterName.RSI),
      r.get(RegisterName.RDX),
      r.get(RegisterName.R10),
      r.get(RegisterName.R8),
      r.get(RegisterName.R9)
    };
    updatesBefore = mmu.tableUpdates();
    answer(call(number, arguments));
  }

  private void answer(long result) {
    if (result == LongCalls.LATER) {
      return;
    }
    r.set(RegisterName.RAX, result);
    long updates = mmu.tableUpdates() - updatesBefore;
    if (updates != 0) {
      updatingExits += batching ? 1 : updates;
    }
  }

  /** Whether a call is not finished: the guest must not run. */
  boolean isPending() {
    return longCalls.isPending();
  }

  /** Goes on with a call that is not finished. */
  void resume() {
    answer(longCalls.resume());
  }

  private long call(long number, long[] a) {
    if (number < 0 || number >= CALLS) {
      return -Errno.ENOSYS;
    }
    counts[(int) number]++;
    return longCalls.then(dispatch((int) number, a), result -> finish((int) number, a, result));
  }

  private long finish(int number, long[] a, long answer) {
    long result = answer;
    if (memory.takeFailure()) {
      result = -Errno.EFAULT;
    }
    if (result < 0 && result >= -200) {
      remember(number, a, result);
    }
    return result;
  }

  private void remember(int number, long[] a, long result) {
    failed++;
    if (failures.size() == REMEMBERED) {
      failures.removeFirst();
    }
    failures.add(
        "hypercall %d(0x%x, 0x%x, 0x%x, 0x%x) = %d at rip=0x%x"
            .formatted(number, a[0], a[1], a[2], a[3], result, r.get(RegisterName.RIP)));
  }

  private long dispatch(int number, long[] a) {
    return switch (number) {
      case SET_TRAP_TABLE -> processor.setTrapTable(a[0]);
      case MMU_UPDATE -> mmu.update(a[0], a[1], a[2], a[3]);
      case SET_GDT -> mmu.setGdt(a[0], a[1]);
      case STACK_SWITCH -> processor.stackSwitch(a[0], a[1]);
      case SET_CALLBACKS -> processor.setCallbacks(a[0], a[1], a[2]);
      case FPU_TASKSWITCH -> processor.fpuTaskSwitch(a[0]);
      case SET_DEBUGREG -> processor.setDebugRegister(a[0], a[1]);
      case GET_DEBUGREG -> processor.debugRegister(a[0]);
      case UPDATE_DESCRIPTOR -> mmu.updateDescriptor(a[0], a[1]);
      case MEMORY_OP -> memoryCalls.call((int) a[0] & 0x3F, a[1]);
      case MULTICALL -> startMulticall(a[0], Integer.toUnsignedLong((int) a[1]));
      case UPDATE_VA_MAPPING -> mmu.updateMapping(a[0], a[1], a[2]);
      case SET_TIMER_OP -> processor.setTimer(a[0]);
      case XEN_VERSION -> version.call((int) a[0], a[1]);
      case CONSOLE_IO -> consoleIo((int) a[0], (int) a[1], a[2]);
      case VM_ASSIST -> processor.assist(a[0], a[1]);
      case VCPU_OP -> processor.vcpuOp((int) a[0], a[1], a[2]);
      case SET_SEGMENT_BASE -> cpu.setSegmentBase((int) a[0], a[1]) ? 0 : -Errno.EINVAL;
      case MMUEXT_OP -> mmu.extended(a[0], a[1], a[2], a[3]);
      case SCHED_OP -> processor.schedule((int) a[0], a[1]);
      case CALLBACK_OP -> processor.callback((int) a[0], a[1]);
      case EVENT_CHANNEL_OP -> events.call((int) a[0], a[1]);
      case PHYSDEV_OP -> processor.physicalDevice((int) a[0], a[1]);
      default -> -Errno.ENOSYS;
    };
  }

  /** Performs a list of calls; results go into the entries. iret ends it, and none nests. */
  private long startMulticall(long entries, long count) {
    if (inMulticall) {
      return -Errno.EINVAL;
    }
    inMulticall = true;
    return longCalls.then(
        multicall(entries, count),
        result -> {
          inMulticall = false;
          return result;
        });
  }

  private long multicall(long entries, long count) {
    for (long i = 0; i < count; i++) {
      long entry = entries + i * MULTICALL_ENTRY_BYTES;
      long left = count - i;
      if (types.isWorkDone()) {
        return longCalls.later(() -> multicall(entry, left));
      }
      types.work(MULTICALL_ENTRY_BYTES / Long.BYTES);
      long number = memory.load(entry, 8);
      long[] arguments = new long[MULTICALL_ARGUMENTS];
      for (int a = 0; a < MULTICALL_ARGUMENTS; a++) {
        arguments[a] = memory.load(entry + 16 + 8L * a, 8);
      }
      if (memory.failed()) {
        return -Errno.EFAULT;
      }
      multicallEntries++;
      if (!batching) {
        domain.count(ExitReason.HYPERCALL, number);
      }
      if (number == IRET) {
        return returnFromMulticall(entry);
      }
      long result = call(number, arguments);
      if (result == LongCalls.LATER) {
        return longCalls.then(result, late -> goOn(entry, left, late));
      }
      memory.store(entry + 8, 8, result);
      if (memory.failed() || domain.hasEnded()) {
        break;
      }
    }
    return 0;
  }

  /** The first of these entries took longer; the others follow. */
  private long goOn(long entry, long left, long result) {
    memory.store(entry + 8, 8, result);
    return memory.failed() || domain.hasEnded()
        ? 0
        : multicall(entry + MULTICALL_ENTRY_BYTES, left - 1);
  }

  /** iret in a list: RAX is what it loads, and what follows in the list is not done. */
  private long returnFromMulticall(long entry) {
    counts[IRET]++;
    cpu.interruptReturn();
    if (domain.mmu().inKernel()) {
      memory.store(entry + 8, 8, r.get(RegisterName.RAX));
      memory.takeFailure();
    }
    return r.get(RegisterName.RAX);
  }

  private long consoleIo(int command, int count, long buffer) {
    if (count < 0) {
      return -Errno.EINVAL;
    }
    return switch (command) {
      case 0 -> write(buffer, count);
      case 1 -> read(buffer, count);
      default -> -Errno.ENOSYS;
    };
  }

  private long write(long buffer, int count) {
    for (int i = 0; i < count; i++) {
      if (types.isWorkDone()) {
        int done = i;
        return longCalls.later(() -> write(buffer + done, count - done));
      }
      types.work(BYTE_OF_TEXT);
      int value = (int) memory.load(buffer + i, 1);
      if (memory.failed()) {
        return -Errno.EFAULT;
      }
      domain.print(value);
    }
    return 0;
  }

  /** Takes what has been typed; answers how much. */
  private long read(long buffer, int count) {
    for (int i = 0; i < count; i++) {
      int value = domain.typed();
      if (value < 0) {
        return i;
      }
      memory.store(buffer + i, 1, value);
    }
    return count;
  }

  // ---- for people ----------------------------------------------------------------------------

  /** The last calls that failed, oldest first. */
  List<String> failures() {
    return List.copyOf(failures);
  }

  /** Counts by name, those that are not zero. */
  SortedMap<String, Long> statistics() {
    SortedMap<String, Long> map = new TreeMap<>();
    for (int i = 0; i < CALLS; i++) {
      if (counts[i] != 0) {
        map.put("hypercall-" + HypercallName.of(i), counts[i]);
      }
    }
    map.put("multicall-entries", multicallEntries);
    map.put("failed-hypercalls", failed);
    map.put("mmu-update-requests", mmu.updateRequests());
    map.put("mmuext-requests", mmu.extendedRequests());
    map.put("table-update-requests", mmu.tableUpdates());
    map.put("table-update-exits", updatingExits);
    return map;
  }
}
