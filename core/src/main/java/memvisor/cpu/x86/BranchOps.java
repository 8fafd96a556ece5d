package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Near JMP, CALL and RET, Jcc, LOOP and JCXZ. */
final class BranchOps {
  private BranchOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map == Instruction.MAP_0F) {
      return i.opcode >= 0x80 && i.opcode < 0x90 ? jumpIf(i, i.immediate(branchSize(i))) : null;
    }
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    if (i.opcode >= 0x70 && i.opcode < 0x80) {
      return jumpIf(i, i.immediate(1));
    }
    return switch (i.opcode) {
      case 0xC2 -> new Return(i, (int) i.immediate(2) & 0xFFFF);
      case 0xC3 -> new Return(i, 0);
      case 0xE0, 0xE1, 0xE2, 0xE3 -> new Loop(i, i.immediate(1));
      case 0xE8 -> new Call(i, i.immediate(branchSize(i)));
      case 0xE9 -> new Jump(i, i.immediate(branchSize(i)));
      case 0xEB -> new Jump(i, i.immediate(1));
      case 0xFF ->
          switch (i.extension()) {
            case 2 -> new CallIndirect(i);
            case 4 -> new JumpIndirect(i);
            default -> null;
          };
      default -> null;
    };
  }

  /** In 64-bit mode near branches ignore the operand-size prefix, as Intel processors do. */
  private static int branchSize(Instruction i) {
    return i.longMode ? 4 : i.operandSize;
  }

  private static int operandSize(Instruction i) {
    return i.longMode ? 8 : i.operandSize;
  }

  private static MicroOp jumpIf(Instruction i, long displacement) {
    MicroOp hot = ConditionalJumps.create(i, i.opcode & 15, displacement);
    return hot == null ? new JumpIf(i, i.opcode & 15, displacement) : hot;
  }

  /** A transfer to a distance from the block's start. */
  abstract static class Relative extends MicroOp {
    /** Wraps RIP: all ones, 32 or 16 of them by operand size. */
    final long mask;

    /** Target, relative to the block's start. */
    final long target;

    /** The next instruction, relative to the block's start. */
    final int after;

    Relative(Instruction i, long displacement) {
      super(i.offset, i.length);
      this.mask = Instruction.mask(operandSize(i));
      this.after = i.offset + i.length;
      this.target = after + displacement;
    }

    @Override
    final boolean isNearTransfer() {
      return true;
    }

    final int jump(Vcpu c) {
      c.rip = c.gpr[Vcpu.BLOCK] + target & mask;
      return BRANCH;
    }

    final int fallThrough(Vcpu c) {
      c.rip = c.gpr[Vcpu.BLOCK] + after & mask;
      return BRANCH;
    }
  }

  static final class Jump extends Relative {
    Jump(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return jump(c);
    }
  }

  /** Jcc on the conditions that are too rare for {@link ConditionalJumps}. */
  static final class JumpIf extends Relative {
    final int condition;

    JumpIf(Instruction i, int condition, long displacement) {
      super(i, displacement);
      this.condition = condition;
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.condition(condition) ? jump(c) : fallThrough(c);
    }
  }

  /** LOOPNE, LOOPE, LOOP and JCXZ/JECXZ/JRCXZ; the counter has the address size. */
  static final class Loop extends Relative {
    final int opcode;
    final long counterMask;

    Loop(Instruction i, long displacement) {
      super(i, displacement);
      this.opcode = i.opcode;
      this.counterMask = i.addressMask();
    }

    @Override
    int execute(Vcpu c) {
      long counter = c.gpr[Vcpu.RCX] & counterMask;
      if (opcode == 0xE3) {
        return counter == 0 ? jump(c) : fallThrough(c);
      }
      counter = counter - 1 & counterMask;
      boolean kept16 = counterMask == 0xFFFF;
      c.gpr[Vcpu.RCX] = kept16 ? c.gpr[Vcpu.RCX] & ~0xFFFFL | counter : counter;
      boolean condition = opcode == 0xE2 || c.flags.zf() == (opcode == 0xE1);
      return counter != 0 && condition ? jump(c) : fallThrough(c);
    }
  }

  static final class Call extends Relative {
    final StackOps.Pusher pusher;

    Call(Instruction i, long displacement) {
      super(i, displacement);
      this.pusher = new StackOps.Pusher(i, operandSize(i));
    }

    @Override
    int execute(Vcpu c) {
      pusher.push(c, c.gpr[Vcpu.BLOCK] + after & mask);
      return c.fault != 0 ? FAULT : jump(c);
    }
  }

  static final class CallIndirect extends MicroOp {
    final Operand target;
    final int after;
    final StackOps.Pusher pusher;

    CallIndirect(Instruction i) {
      super(i.offset, i.length);
      this.target = Operand.rm(i, operandSize(i));
      this.after = i.offset + i.length;
      this.pusher = new StackOps.Pusher(i, operandSize(i));
    }

    @Override
    int execute(Vcpu c) {
      long to = target.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      pusher.push(c, c.gpr[Vcpu.BLOCK] + after);
      if (c.fault != 0) {
        return FAULT;
      }
      c.rip = to;
      return BRANCH;
    }

    @Override
    boolean isNearTransfer() {
      return true;
    }
  }

  static final class JumpIndirect extends MicroOp {
    final Operand target;

    JumpIndirect(Instruction i) {
      super(i.offset, i.length);
      this.target = Operand.rm(i, operandSize(i));
    }

    @Override
    int execute(Vcpu c) {
      long to = target.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      c.rip = to;
      return BRANCH;
    }

    @Override
    boolean isNearTransfer() {
      return true;
    }
  }

  static final class Return extends MicroOp {
    final StackOps.Popper popper;
    final int released;

    Return(Instruction i, int releasedBytes) {
      super(i.offset, i.length);
      this.popper = new StackOps.Popper(i, operandSize(i));
      this.released = releasedBytes;
    }

    @Override
    int execute(Vcpu c) {
      long to = popper.top(c);
      if (c.fault != 0) {
        return FAULT;
      }
      popper.release(c, released);
      c.rip = to;
      return BRANCH;
    }

    @Override
    boolean isNearTransfer() {
      return true;
    }
  }
}
