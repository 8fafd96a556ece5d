package memvisor.machine.xen;

import memvisor.device.TimedDevice;
import memvisor.mmu.direct.Errno;
import memvisor.mmu.direct.FrameType;
import memvisor.mmu.direct.PageTypes;

/** Hypercalls about the vCPU: traps, stack, callbacks, timers, scheduling. */
final class ProcessorCalls {
  private static final int TRAP_BYTES = 16;

  /** Work of an entry of the trap table, in page-table entries. */
  private static final int TRAP_WORK = 4;

  private static final int ASSIST_ARCHITECTURAL_IOPL = 4;
  private static final int LAST_ASSIST = 5;
  private static final int MAX_POLLED = 128;
  private static final int PORTS = 1 << 16;
  private static final long LEAST_PERIOD_NANOS = 1_000_000;

  private final Domain domain;
  private final PvCpu cpu;
  private final PvTimers timers;
  private final EventChannels events;
  private final LongCalls longCalls;
  private final PageTypes types;
  private final GuestPointers memory;
  private long vcpuInfoMfn = -1;

  ProcessorCalls(
      Domain domain, PvCpu cpu, PvTimers timers, EventChannels events, LongCalls longCalls) {
    this.domain = domain;
    this.cpu = cpu;
    this.timers = timers;
    this.events = events;
    this.longCalls = longCalls;
    types = domain.technique().types();
    memory = domain.memory();
  }

  private static boolean canonical(long address) {
    return address << 16 >> 16 == address;
  }

  // ---- traps and callbacks -------------------------------------------------------------------

  long setTrapTable(long table) {
    if (table == 0) {
      for (int vector = 0; vector < 256; vector++) {
        cpu.setTrap(vector, 0, 0);
      }
      return 0;
    }
    for (long at = table; ; at += TRAP_BYTES) {
      long next = at;
      if (types.isWorkDone()) {
        return longCalls.later(() -> setTrapTable(next));
      }
      types.work(TRAP_WORK);
      int vector = (int) memory.load(at, 1);
      int flags = (int) memory.load(at + 1, 1);
      long address = memory.load(at + 8, 8);
      if (memory.failed()) {
        return -Errno.EFAULT;
      }
      if (address == 0) {
        return 0;
      }
      if (!canonical(address)) {
        return -Errno.EINVAL;
      }
      cpu.setTrap(vector, flags, address);
    }
  }

  long stackSwitch(long selector, long pointer) {
    cpu.setKernelStack((int) selector & 0xFFFF, pointer);
    return 0;
  }

  long setCallbacks(long event, long failsafe, long systemCall) {
    register(PvCpu.CALLBACK_EVENT, false, event);
    register(PvCpu.CALLBACK_FAILSAFE, false, failsafe);
    register(PvCpu.CALLBACK_SYSTEM_CALL, false, systemCall);
    return 0;
  }

  private void register(int type, boolean masksEvents, long address) {
    if (canonical(address)) {
      cpu.setCallback(type, masksEvents, address);
    }
  }

  long callback(int command, long argument) {
    if (command < 0 || command > 1) {
      return -Errno.ENOSYS;
    }
    int type = (int) memory.load(argument, 2);
    int flags = command == 0 ? (int) memory.load(argument + 2, 2) : 0;
    long address = command == 0 ? memory.load(argument + 8, 8) : 0;
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    if (!canonical(address)) {
      return -Errno.EINVAL;
    }
    if (type == PvCpu.CALLBACK_NMI) {
      cpu.setTrap(PvCpu.VECTOR_NMI, 4, address);
      return 0;
    }
    if (!PvCpu.isCallback(type)) {
      return -Errno.ENOSYS;
    }
    if (command == 1) {
      return -Errno.EINVAL; // only that of the NMI can be taken back
    }
    cpu.setCallback(type, (flags & 1) != 0, address);
    return 0;
  }

  long fpuTaskSwitch(long set) {
    domain.registers().setTaskSwitched(set != 0);
    return 0;
  }

  long setDebugRegister(long number, long value) {
    if (number < 0 || number >= DebugRegisters.COUNT) {
      return -Errno.ENODEV;
    }
    return DebugRegisters.write(domain.registers(), (int) number, value);
  }

  long debugRegister(long number) {
    return number >= 0 && number < DebugRegisters.COUNT
        ? DebugRegisters.read(domain.registers(), (int) number)
        : -Errno.ENODEV;
  }

  // ---- time and scheduling -------------------------------------------------------------------

  long setTimer(long atNanos) {
    timers.setSingleShot(atNanos == 0 ? TimedDevice.NEVER : atNanos);
    domain.endSlice();
    return 0;
  }

  long schedule(int command, long argument) {
    switch (command) {
      case 0 -> {
        // Yield: there is nobody to yield to.
      }
      case 1 -> {
        domain.shared().setMasked(false);
        // An event that is due already is delivered at once, and there is nothing to wait for.
        if (!domain.shared().deliverable()) {
          domain.block();
        }
      }
      case 2, 4 -> {
        int reason = (int) memory.load(argument, 4);
        if (memory.failed()) {
          return -Errno.EFAULT;
        }
        domain.shutDown(reason);
      }
      case 3 -> {
        return poll(argument);
      }
      case 5 -> {
        return watchdog(argument);
      }
      default -> {
        return -Errno.ENOSYS;
      }
    }
    return 0;
  }

  /** {ports, u32 count, u64 deadline}: sleeps until one of the ports is pending. */
  private long poll(long argument) {
    long ports = memory.load(argument, 8);
    long count = memory.load(argument + 8, 4);
    long deadline = memory.load(argument + 16, 8);
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    if (count > MAX_POLLED) {
      return -Errno.EINVAL;
    }
    int[] polled = new int[(int) count];
    for (int i = 0; i < count; i++) {
      long port = memory.load(ports + 4L * i, 4);
      if (memory.failed()) {
        return -Errno.EFAULT;
      }
      if (!events.isValid(port)) {
        return -Errno.EINVAL;
      }
      polled[i] = (int) port;
    }
    domain.poll(polled, deadline == 0 ? TimedDevice.NEVER : deadline);
    return 0;
  }

  /** There is no watchdog to be had, as on a machine whose last one is in use. */
  private long watchdog(long argument) {
    memory.load(argument, 8);
    return memory.failed() ? -Errno.EFAULT : -Errno.EINVAL;
  }

  long assist(long command, long type) {
    if (command < 0 || command > 1) {
      return -Errno.ENOSYS;
    }
    if (type < 0 || type > LAST_ASSIST) {
      return -Errno.EINVAL;
    }
    if (type == ASSIST_ARCHITECTURAL_IOPL) {
      cpu.setArchitecturalIopl(command == 0);
    }
    return 0;
  }

  long physicalDevice(int command, long argument) {
    switch (command) {
      case 6 -> {
        int level = (int) memory.load(argument, 4);
        if (level > 3 || level < 0) {
          return -Errno.EINVAL;
        }
        cpu.setIopl(level);
        return 0;
      }
      case 7 -> {
        boolean tooLong = memory.load(argument + 8, 4) > PORTS;
        return memory.failed() ? -Errno.EFAULT : tooLong ? -Errno.EINVAL : 0;
      }
      default -> {
        return -Errno.ENOSYS;
      }
    }
  }

  // ---- vcpu_op -------------------------------------------------------------------------------

  long vcpuOp(int command, long vcpu, long argument) {
    if (vcpu != 0) {
      return -Errno.ENOENT;
    }
    return switch (command) {
      case 0 -> {
        memory.load(argument, 8);
        yield memory.failed() ? -Errno.EFAULT : -Errno.EEXIST;
      }
      case 1 -> 0; // up already
      case 2 -> {
        domain.shutDown(0);
        yield 0;
      }
      case 3 -> 1;
      case 4 -> {
        writeRunState(argument);
        yield 0;
      }
      case 5 -> {
        writeRunState(memory.load(argument, 8));
        yield 0;
      }
      case 6 -> {
        long period = memory.load(argument, 8);
        if (!memory.failed() && period < LEAST_PERIOD_NANOS) {
          yield -Errno.EINVAL;
        }
        timers.setPeriod(domain.nanos(), period);
        domain.endSlice();
        yield 0;
      }
      case 7 -> {
        timers.setPeriod(domain.nanos(), 0);
        yield 0;
      }
      case 8 -> singleShot(argument);
      case 9 -> {
        timers.setSingleShot(TimedDevice.NEVER);
        yield 0;
      }
      case 10 -> registerVcpuInfo(argument);
      default -> -Errno.ENOSYS;
    };
  }

  /** {i32 state, u64 since, u64 time[4]}: running, and never anything else. */
  private void writeRunState(long area) {
    memory.store(area, 4, 0);
    memory.store(area + 8, 8, domain.nanos());
    for (int i = 0; i < 4; i++) {
      memory.store(area + 16 + 8L * i, 8, i == 0 ? domain.nanos() : 0);
    }
  }

  private long singleShot(long argument) {
    long at = memory.load(argument, 8);
    memory.load(argument + 8, 4); // a flag that Xen no longer looks at
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    timers.setSingleShot(at);
    domain.endSlice();
    return 0;
  }

  private long registerVcpuInfo(long argument) {
    long mfn = memory.load(argument, 8);
    long offset = memory.load(argument + 8, 4);
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    if (offset > 4096 - 64 || (offset & 7) != 0) {
      return -Errno.ENXIO;
    }
    if (vcpuInfoMfn >= 0) {
      return -Errno.EINVAL;
    }
    int error = domain.technique().types().hold(mfn, FrameType.WRITABLE);
    if (error == 0) {
      vcpuInfoMfn = mfn;
      domain.shared().moveVcpuInfo((mfn << 12) + offset);
    }
    return error;
  }
}
