package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Jcc, one class per condition, named as the manual names the condition. */
final class ConditionalJumps {
  private ConditionalJumps() {}

  /** The operation for {@code condition}, or null if it is a rare one (overflow, parity). */
  static @Nullable MicroOp create(Instruction i, int condition, long displacement) {
    return switch (condition) {
      case 2 -> new IfBelow(i, displacement);
      case 3 -> new IfNotBelow(i, displacement);
      case 4 -> new IfZero(i, displacement);
      case 5 -> new IfNotZero(i, displacement);
      case 6 -> new IfBelowOrEqual(i, displacement);
      case 7 -> new IfAbove(i, displacement);
      case 8 -> new IfSign(i, displacement);
      case 9 -> new IfNotSign(i, displacement);
      case 12 -> new IfLess(i, displacement);
      case 13 -> new IfNotLess(i, displacement);
      case 14 -> new IfLessOrEqual(i, displacement);
      case 15 -> new IfGreater(i, displacement);
      default -> null;
    };
  }

  static final class IfBelow extends BranchOps.Relative {
    IfBelow(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.cf() ? jump(c) : fallThrough(c);
    }
  }

  static final class IfNotBelow extends BranchOps.Relative {
    IfNotBelow(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.cf() ? fallThrough(c) : jump(c);
    }
  }

  static final class IfZero extends BranchOps.Relative {
    IfZero(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.zf() ? jump(c) : fallThrough(c);
    }
  }

  static final class IfNotZero extends BranchOps.Relative {
    IfNotZero(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.zf() ? fallThrough(c) : jump(c);
    }
  }

  static final class IfBelowOrEqual extends BranchOps.Relative {
    IfBelowOrEqual(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.belowOrEqual() ? jump(c) : fallThrough(c);
    }
  }

  static final class IfAbove extends BranchOps.Relative {
    IfAbove(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.belowOrEqual() ? fallThrough(c) : jump(c);
    }
  }

  static final class IfSign extends BranchOps.Relative {
    IfSign(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.sf() ? jump(c) : fallThrough(c);
    }
  }

  static final class IfNotSign extends BranchOps.Relative {
    IfNotSign(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.sf() ? fallThrough(c) : jump(c);
    }
  }

  static final class IfLess extends BranchOps.Relative {
    IfLess(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.less() ? jump(c) : fallThrough(c);
    }
  }

  static final class IfNotLess extends BranchOps.Relative {
    IfNotLess(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.less() ? fallThrough(c) : jump(c);
    }
  }

  static final class IfLessOrEqual extends BranchOps.Relative {
    IfLessOrEqual(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.lessOrEqual() ? jump(c) : fallThrough(c);
    }
  }

  static final class IfGreater extends BranchOps.Relative {
    IfGreater(Instruction i, long displacement) {
      super(i, displacement);
    }

    @Override
    int execute(Vcpu c) {
      return c.flags.lessOrEqual() ? fallThrough(c) : jump(c);
    }
  }
}
