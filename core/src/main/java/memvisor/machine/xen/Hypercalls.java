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

  private boolean inMulticall;

  Hypercalls(Domain domain, PvCpu cpu, EventChannels events, PvTimers timers, boolean batching) {
    this.domain = domain;
    this.cpu = cpu;
    this.events = events;
    this.batching = batching;
    r = domain.registers();
    memory = domain.memory();
    mmu = new MmuCalls(domain, batching);
    memoryCalls = new MemoryCalls(domain);
    processor = new ProcessorCalls(domain, cpu, timers);
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
    long updates = mmu.tableUpdates();
    r.set(RegisterName.RAX, call(number, arguments));
    if (mmu.tableUpdates() != updates) {
      updatingExits += batching ? 1 : mmu.tableUpdates() - updates;
    }
  }

  private long call(long number, long[] a) {
    if (number < 0 || number >= CALLS) {
      return -Errno.ENOSYS;
    }
    counts[(int) number]++;
    long result = dispatch((int) number, a);
    if (memory.takeFailure()) {
      result = -Errno.EFAULT;
    }
    if (result < 0 && result >= -200) {
      remember((int) number, a, result);
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
      case MULTICALL -> multicall(a[0], a[1]);
      case UPDATE_VA_MAPPING -> mmu.updateMapping(a[0], a[1], a[2]);
      case SET_TIMER_OP -> processor.setTimer(a[0]);
      case XEN_VERSION -> version.call((int) a[0], a[1]);
      case CONSOLE_IO -> consoleIo(a[0], a[1], a[2]);
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
  private long multicall(long entries, long count) {
    if (inMulticall) {
      return -Errno.EINVAL;
    }
    inMulticall = true;
    long result = 0;
    for (long i = 0; i < Integer.toUnsignedLong((int) count); i++) {
      long entry = entries + i * MULTICALL_ENTRY_BYTES;
      long number = memory.load(entry, 8);
      long[] arguments = new long[MULTICALL_ARGUMENTS];
      for (int a = 0; a < MULTICALL_ARGUMENTS; a++) {
        arguments[a] = memory.load(entry + 16 + 8L * a, 8);
      }
      if (memory.failed()) {
        result = -Errno.EFAULT;
        break;
      }
      multicallEntries++;
      if (!batching) {
        domain.count(ExitReason.HYPERCALL, number);
      }
      if (number == IRET) {
        counts[IRET]++;
        cpu.interruptReturn();
        break;
      }
      memory.store(entry + 8, 8, call(number, arguments));
      if (memory.failed() || domain.hasEnded()) {
        break;
      }
    }
    inMulticall = false;
    return result;
  }

  private long consoleIo(long command, long count, long buffer) {
    if ((int) command != 0) {
      return (int) command == 1 ? 0 : -Errno.ENOSYS;
    }
    for (long i = 0; i < Math.min(count, 1 << 16); i++) {
      int value = (int) memory.load(buffer + i, 1);
      if (memory.failed()) {
        return -Errno.EFAULT;
      }
      domain.print(value);
    }
    return 0;
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
