package memvisor.machine.xen;

import memvisor.device.TimedDevice;
import memvisor.mmu.direct.Errno;
import memvisor.mmu.direct.FrameType;

/** Hypercalls about the vCPU: traps, stack, callbacks, timers, scheduling. */
final class ProcessorCalls {
  private static final int TRAP_BYTES = 16;
  private static final int ASSIST_ARCHITECTURAL_IOPL = 4;

  private final Domain domain;
  private final PvCpu cpu;
  private final PvTimers timers;
  private final GuestPointers memory;
  private long vcpuInfoMfn = -1;

  ProcessorCalls(Domain domain, PvCpu cpu, PvTimers timers) {
    this.domain = domain;
    this.cpu = cpu;
    this.timers = timers;
    memory = domain.memory();
  }

  private static boolean canonical(long address) {
    return address << 16 >> 16 == address;
  }

  // ---- traps and callbacks -------------------------------------------------------------------

  long setTrapTable(long table) {
    if (table == 0) {
      for (int vector = 0; vector < 256; vector++) {
        cpu.setTrap(vector, 0, 0, 0);
      }
      return 0;
    }
    for (int i = 0; i < 257; i++) {
      long at = table + (long) i * TRAP_BYTES;
      int vector = (int) memory.load(at, 1);
      int flags = (int) memory.load(at + 1, 1);
      int selector = (int) memory.load(at + 2, 2);
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
      cpu.setTrap(vector, flags, selector, address);
    }
    return 0;
  }

  long stackSwitch(long selector, long pointer) {
    cpu.setKernelStack((int) selector & 0xFFFF, pointer);
    return 0;
  }

  long setCallbacks(long event, long failsafe, long systemCall) {
    if (!canonical(event) || !canonical(failsafe) || !canonical(systemCall)) {
      return -Errno.EINVAL;
    }
    cpu.setCallback(PvCpu.CALLBACK_EVENT, false, event);
    cpu.setCallback(PvCpu.CALLBACK_FAILSAFE, false, failsafe);
    cpu.setCallback(PvCpu.CALLBACK_SYSTEM_CALL, false, systemCall);
    return 0;
  }

  long callback(int command, long argument) {
    int type = (int) memory.load(argument, 2);
    if (command == 1) {
      return cpu.setCallback(type, false, 0) ? 0 : -Errno.EINVAL;
    }
    if (command != 0) {
      return -Errno.ENOSYS;
    }
    int flags = (int) memory.load(argument + 2, 2);
    long address = memory.load(argument + 8, 8);
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    boolean set = canonical(address) && cpu.setCallback(type, (flags & 1) != 0, address);
    return set ? 0 : -Errno.EINVAL;
  }

  long fpuTaskSwitch(long set) {
    domain.registers().setTaskSwitched(set != 0);
    return 0;
  }

  long setDebugRegister(long number, long value) {
    boolean set =
        number >= 0 && number < 8 && DebugRegisters.write(domain.registers(), (int) number, value);
    return set ? 0 : -Errno.EINVAL;
  }

  long debugRegister(long number) {
    return number >= 0 && number < 8
        ? DebugRegisters.read(domain.registers(), (int) number)
        : -Errno.EINVAL;
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
        domain.block();
      }
      case 2, 4 -> {
        int reason = (int) memory.load(argument, 4);
        if (memory.failed()) {
          return -Errno.EFAULT;
        }
        domain.shutDown(reason);
      }
      case 3 -> {
        // Poll: returns at once, which it may.
      }
      default -> {
        return -Errno.ENOSYS;
      }
    }
    return 0;
  }

  long assist(long command, long type) {
    if (type == ASSIST_ARCHITECTURAL_IOPL) {
      cpu.setArchitecturalIopl(command == 0);
      return 0;
    }
    return type == 0 || type == 2 || type == 3 || type == 5 ? 0 : -Errno.EINVAL;
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
        return 0;
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
        timers.setPeriod(domain.nanos(), memory.load(argument, 8));
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
    boolean future = (memory.load(argument + 8, 4) & 1) != 0;
    if (memory.failed()) {
      return -Errno.EFAULT;
    }
    if (future && at < domain.nanos()) {
      return -Errno.ETIME;
    }
    timers.setSingleShot(at);
    domain.endSlice();
    return 0;
  }

  private long registerVcpuInfo(long argument) {
    long mfn = memory.load(argument, 8);
    long offset = memory.load(argument + 8, 4);
    if (memory.failed() || vcpuInfoMfn >= 0 || offset > 4096 - 64 || (offset & 7) != 0) {
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
