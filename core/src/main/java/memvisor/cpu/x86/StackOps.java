package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER and LEAVE. */
final class StackOps {
  private StackOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    int size = i.stackOperandSize;
    if (i.opcode >= 0x50 && i.opcode < 0x60) {
      int number = i.opcode & 7 | (i.rex & 1) << 3;
      Operand operand = Operand.register(i, number, size);
      return i.opcode < 0x58 ? push(i, operand) : pop(i, operand);
    }
    return switch (i.opcode) {
      case 0x60 -> i.longMode ? null : new PushAll(i);
      case 0x61 -> i.longMode ? null : new PopAll(i);
      case 0x68 -> push(i, Operand.immediate(i.immediate(Math.min(4, size)), size));
      case 0x6A -> push(i, Operand.immediate(i.immediate(1), size));
      case 0x8F -> i.extension() == 0 ? pop(i, Operand.rm(i, size)) : null;
      case 0x9C -> new PushFlags(i);
      case 0x9D -> new PopFlags(i);
      case 0xC8 -> new Enter(i, (int) i.immediate(2) & 0xFFFF, (int) i.immediate(1) & 31);
      case 0xC9 -> new Leave(i);
      case 0xFF -> i.extension() == 6 ? push(i, Operand.rm(i, size)) : null;
      default -> null;
    };
  }

  private static MicroOp push(Instruction i, Operand source) {
    boolean plain = source.kind == Operand.REGISTER64 || source.kind == Operand.IMMEDIATE;
    return i.longMode && source.size == 8 && plain ? new Push64(i, source) : new Push(i, source);
  }

  private static MicroOp pop(Instruction i, Operand destination) {
    return i.longMode && destination.kind == Operand.REGISTER64
        ? new Pop64(i, destination.register)
        : new Pop(i, destination);
  }

  /** Moves the stack pointer, keeping the bits above the stack's width. */
  static void moveStack(Vcpu c, long mask, long bytes) {
    long rsp = c.gpr[Vcpu.RSP];
    c.gpr[Vcpu.RSP] = rsp & ~mask | rsp + bytes & mask;
  }

  /** Pushes one value; nothing has changed if it faults. */
  static final class Pusher {
    final int size;
    final long mask;
    final EffectiveAddress slot;

    Pusher(Instruction i, int size) {
      this.size = size;
      this.mask = i.stackMask();
      this.slot = i.stack(-size);
    }

    void push(Vcpu c, long value) {
      c.store(slot.linear(c, size, true), size, value);
      if (c.fault == 0) {
        moveStack(c, mask, -size);
      }
    }
  }

  /** Pops one value in two steps, so that a fault in between changes nothing. */
  static final class Popper {
    final int size;
    final long mask;
    final EffectiveAddress slot;

    Popper(Instruction i, int size) {
      this.size = size;
      this.mask = i.stackMask();
      this.slot = i.stack(0);
    }

    long top(Vcpu c) {
      return c.load(slot.linear(c, size, false), size);
    }

    void release(Vcpu c, int more) {
      moveStack(c, mask, size + more);
    }
  }

  static final class Push64 extends MicroOp {
    final int source;
    final long immediate;

    Push64(Instruction i, Operand source) {
      super(i.offset, i.length);
      this.source = source.register;
      this.immediate = source.value;
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long top = gpr[Vcpu.RSP] - 8;
      c.store64(top, gpr[source] + immediate);
      if (c.fault != 0) {
        return FAULT;
      }
      gpr[Vcpu.RSP] = top;
      return NEXT;
    }
  }

  static final class Pop64 extends MicroOp {
    final int register;

    Pop64(Instruction i, int register) {
      super(i.offset, i.length);
      this.register = register;
    }

    @Override
    int execute(Vcpu c) {
      long[] gpr = c.gpr;
      long value = c.load64(gpr[Vcpu.RSP]);
      if (c.fault != 0) {
        return FAULT;
      }
      gpr[Vcpu.RSP] += 8;
      gpr[register] = value;
      return NEXT;
    }
  }

  static final class Push extends MicroOp {
    final Operand source;
    final Pusher pusher;

    Push(Instruction i, Operand source) {
      super(i.offset, i.length);
      this.source = source;
      this.pusher = new Pusher(i, source.size);
    }

    @Override
    int execute(Vcpu c) {
      long value = source.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      pusher.push(c, value);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  static final class Pop extends MicroOp {
    final Operand destination;
    final Popper popper;

    Pop(Instruction i, Operand destination) {
      super(i.offset, i.length);
      this.destination = destination;
      this.popper = new Popper(i, destination.size);
    }

    /** A memory destination that uses RSP is addressed with the incremented value. */
    @Override
    int execute(Vcpu c) {
      long value = popper.top(c);
      if (c.fault != 0) {
        return FAULT;
      }
      long before = c.gpr[Vcpu.RSP];
      popper.release(c, 0);
      destination.write(c, value);
      if (c.fault != 0) {
        c.gpr[Vcpu.RSP] = before;
        return FAULT;
      }
      return NEXT;
    }
  }

  static final class PushAll extends MicroOp {
    final int size;
    final long mask;
    final EffectiveAddress[] slots = new EffectiveAddress[8];

    PushAll(Instruction i) {
      super(i.offset, i.length);
      this.size = i.operandSize;
      this.mask = i.stackMask();
      for (int n = 0; n < 8; n++) {
        slots[n] = i.stack(-size * (n + 1));
      }
    }

    @Override
    int execute(Vcpu c) {
      for (int n = 0; n < 8; n++) {
        if (!c.checkWrite(slots[n].linear(c, size, true), size)) {
          return FAULT;
        }
      }
      for (int n = 0; n < 8; n++) {
        c.store(slots[n].linear(c, size, true), size, c.gpr[n]);
      }
      moveStack(c, mask, -8L * size);
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  static final class PopAll extends MicroOp {
    final long mask;
    final Operand[] slots = new Operand[8];
    final Operand[] registers = new Operand[8];

    PopAll(Instruction i) {
      super(i.offset, i.length);
      int size = i.operandSize;
      this.mask = i.stackMask();
      for (int n = 0; n < 8; n++) {
        slots[n] = Operand.memory(i.stack((long) size * (7 - n)), size);
        registers[n] = Operand.register(i, n, size);
      }
    }

    @Override
    int execute(Vcpu c) {
      long[] values = new long[8];
      for (int n = 0; n < 8; n++) {
        values[n] = slots[n].read(c);
      }
      if (c.fault != 0) {
        return FAULT;
      }
      for (int n = 0; n < 8; n++) {
        if (n != Vcpu.RSP) {
          registers[n].write(c, values[n]);
        }
      }
      moveStack(c, mask, 8L * slots[0].size);
      return NEXT;
    }
  }

  /** PUSHF: RF and VM are pushed as zero. */
  static final class PushFlags extends MicroOp {
    final Pusher pusher;

    PushFlags(Instruction i) {
      super(i.offset, i.length);
      this.pusher = new Pusher(i, i.stackOperandSize);
    }

    @Override
    int execute(Vcpu c) {
      pusher.push(c, c.flags.value() & ~(Flags.RF | Flags.VM));
      return c.fault != 0 ? FAULT : NEXT;
    }
  }

  /** POPF: IOPL changes at CPL 0 only, IF where CPL is not above IOPL (SDM vol. 2B, POPF). */
  static final class PopFlags extends MicroOp {
    final Popper popper;

    PopFlags(Instruction i) {
      super(i.offset, i.length);
      this.popper = new Popper(i, i.stackOperandSize);
    }

    @Override
    int execute(Vcpu c) {
      long value = popper.top(c);
      if (c.fault != 0) {
        return FAULT;
      }
      popper.release(c, 0);
      long old = c.flags.value();
      int iopl = (int) old >>> 12 & 3;
      int changeable = Flags.STATUS | Flags.TF | Flags.DF | Flags.NT;
      if (popper.size > 2) {
        changeable |= Flags.AC | Flags.ID;
      }
      if (c.cpl == 0) {
        changeable |= Flags.IOPL;
      }
      if (c.cpl <= iopl) {
        changeable |= Flags.IF;
      }
      c.flags.setValue((old & ~changeable | value & changeable) & ~Flags.RF);
      c.privilegeChanged();
      return END;
    }
  }

  static final class Leave extends MicroOp {
    final Operand frame;
    final EffectiveAddress saved;
    final long mask;

    Leave(Instruction i) {
      super(i.offset, i.length);
      this.mask = i.stackMask();
      this.frame = Operand.register(i, Vcpu.RBP, i.stackOperandSize);
      this.saved = new EffectiveAddress(Vcpu.RBP, Vcpu.ZERO, 0, 0, Vcpu.SS, mask, !i.longMode);
    }

    @Override
    int execute(Vcpu c) {
      long value = c.load(saved.linear(c, frame.size, false), frame.size);
      if (c.fault != 0) {
        return FAULT;
      }
      long[] gpr = c.gpr;
      gpr[Vcpu.RSP] = gpr[Vcpu.RSP] & ~mask | gpr[Vcpu.RBP] + frame.size & mask;
      frame.write(c, value);
      return NEXT;
    }
  }

  /** ENTER; nesting levels above zero copy the frame pointers of the enclosing procedures. */
  static final class Enter extends MicroOp {
    final int allocated;
    final int level;
    final int size;
    final long mask;
    final EffectiveAddress stackTop;
    final EffectiveAddress frameTop;
    final Operand frame;

    Enter(Instruction i, int allocatedBytes, int level) {
      super(i.offset, i.length);
      this.allocated = allocatedBytes;
      this.level = level;
      this.size = i.stackOperandSize;
      this.mask = i.stackMask();
      this.stackTop = i.stack(0);
      this.frameTop = new EffectiveAddress(Vcpu.RBP, Vcpu.ZERO, 0, 0, Vcpu.SS, mask, !i.longMode);
      this.frame = Operand.register(i, Vcpu.RBP, size);
    }

    @Override
    int execute(Vcpu c) {
      long rsp = c.gpr[Vcpu.RSP];
      long rbp = c.gpr[Vcpu.RBP];
      push(c, frame.read(c));
      long newFrame = c.gpr[Vcpu.RSP];
      for (int n = 1; n < level && c.fault == 0; n++) {
        moveFrame(c);
        push(c, c.load(frameTop.linear(c, size, false), size));
      }
      if (level > 0) {
        push(c, newFrame);
      }
      long top = c.gpr[Vcpu.RSP] & ~mask | c.gpr[Vcpu.RSP] - allocated & mask;
      c.gpr[Vcpu.RSP] = top;
      c.checkWrite(stackTop.linear(c, size, true), size);
      c.gpr[Vcpu.RBP] = rbp;
      if (c.fault != 0) {
        c.gpr[Vcpu.RSP] = rsp;
        return FAULT;
      }
      frame.write(c, newFrame);
      return NEXT;
    }

    private void push(Vcpu c, long value) {
      moveStack(c, mask, -size);
      c.store(stackTop.linear(c, size, true), size, value);
    }

    private void moveFrame(Vcpu c) {
      c.gpr[Vcpu.RBP] = c.gpr[Vcpu.RBP] & ~mask | c.gpr[Vcpu.RBP] - size & mask;
    }
  }
}
