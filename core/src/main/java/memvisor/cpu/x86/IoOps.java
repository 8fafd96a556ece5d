package memvisor.cpu.x86;

/** IN, OUT, INS and OUTS (Intel SDM vol. 1, chapter 19). Each is a VM exit and ends its block. */
final class IoOps {
  /** The port number is in DX. */
  static final int PORT_IN_DX = -1;

  private IoOps() {}

  private static int port(Vcpu c, SystemOp op) {
    return op.immediate >= 0 ? (int) op.immediate : (int) c.gpr[Vcpu.RDX] & 0xFFFF;
  }

  /** Access size in bytes: byte opcodes are even. */
  private static int size(SystemOp op) {
    return (op.opcode & 1) == 0 ? 1 : Math.min(op.size, 4);
  }

  /** CPL above IOPL needs the TSS's I/O map; #GP(0) pending if denied. */
  private static boolean denied(Vcpu c, int port, int sizeBytes) {
    int iopl = (int) (c.flags.system & Flags.IOPL) >>> 12;
    if (!c.protectedMode || c.cpl <= iopl) {
      return false;
    }
    if (TaskState.permitsPort(c, port, sizeBytes)) {
      return false;
    }
    if (c.fault == 0) {
      c.raise(Vector.GP, 0);
    }
    return true;
  }

  static int in(Vcpu c, SystemOp op) {
    int size = size(op);
    int port = port(c, op);
    if (denied(c, port, size)) {
      return MicroOp.FAULT;
    }
    long value = c.monitor.portRead(port, size) & 0xFFFF_FFFFL;
    SystemOp.writeRegister(c, Vcpu.RAX, size, value);
    return MicroOp.END;
  }

  static int out(Vcpu c, SystemOp op) {
    int size = size(op);
    int port = port(c, op);
    if (denied(c, port, size)) {
      return MicroOp.FAULT;
    }
    long value = c.gpr[Vcpu.RAX] & -1L >>> 64 - 8 * size;
    c.monitor.portWrite(port, size, (int) value);
    return MicroOp.END;
  }

  // ---- strings -----------------------------------------------------------------------------

  private static long mask(SystemOp op) {
    return -1L >>> 64 - 8 * op.addressSize;
  }

  static int inString(Vcpu c, SystemOp op) {
    int size = size(op);
    int port = (int) c.gpr[Vcpu.RDX] & 0xFFFF;
    if (op.repeat && (c.gpr[Vcpu.RCX] & mask(op)) == 0) {
      return MicroOp.NEXT;
    }
    if (denied(c, port, size)) {
      return MicroOp.FAULT;
    }
    long gva = linear(c, op, Vcpu.ES, Vcpu.RDI, size, true);
    // The port must not be read if the store is going to fault.
    if (!c.checkWrite(gva, size)) {
      return MicroOp.FAULT;
    }
    c.store(gva, size, c.monitor.portRead(port, size));
    return c.fault != 0 ? MicroOp.FAULT : step(c, op, Vcpu.RDI, size);
  }

  static int outString(Vcpu c, SystemOp op) {
    int size = size(op);
    int port = (int) c.gpr[Vcpu.RDX] & 0xFFFF;
    if (op.repeat && (c.gpr[Vcpu.RCX] & mask(op)) == 0) {
      return MicroOp.NEXT;
    }
    if (denied(c, port, size)) {
      return MicroOp.FAULT;
    }
    long gva = linear(c, op, op.segment, Vcpu.RSI, size, false);
    long value = c.fault != 0 ? 0 : c.load(gva, size);
    if (c.fault != 0) {
      return MicroOp.FAULT;
    }
    c.monitor.portWrite(port, size, (int) value);
    return step(c, op, Vcpu.RSI, size);
  }

  private static long linear(
      Vcpu c, SystemOp op, int segment, int register, int size, boolean write) {
    long offset = c.gpr[register] & mask(op);
    if (c.longMode) {
      return offset + c.segmentBase[segment];
    }
    Segments.check(c, segment, offset, size, write);
    return offset + c.segmentBase[segment] & 0xFFFF_FFFFL;
  }

  /** Moves the index by DF and counts a repetition. */
  private static int step(Vcpu c, SystemOp op, int register, int size) {
    long delta = (c.flags.system & Flags.DF) != 0 ? -size : size;
    advance(c, op, register, delta);
    if (!op.repeat) {
      return MicroOp.END;
    }
    advance(c, op, Vcpu.RCX, -1);
    return (c.gpr[Vcpu.RCX] & mask(op)) == 0 ? MicroOp.END : MicroOp.REPEAT;
  }

  private static void advance(Vcpu c, SystemOp op, int register, long delta) {
    long value = c.gpr[register] + delta;
    c.gpr[register] =
        switch (op.addressSize) {
          case 8 -> value;
          case 4 -> value & 0xFFFF_FFFFL;
          default -> c.gpr[register] & ~0xFFFFL | value & 0xFFFF;
        };
  }
}
