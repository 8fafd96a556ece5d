package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** FADD, FMUL, FCOM, FSUB and FDIV with registers and memory (D8, DA, DC, DE), and comparisons. */
final class X87ArithmeticOps {
  /** The kinds of memory operands by opcode D8, DA, DC, DE. */
  private static final int SINGLE = 0;

  private static final int INT32 = 1;
  private static final int DOUBLE = 2;
  private static final int INT16 = 3;

  private X87ArithmeticOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    int operation = i.extension();
    boolean compare = operation == 2 || operation == 3;
    if (i.isMemory()) {
      int kind = i.opcode >> 1 & 3;
      return (i.opcode & 1) != 0
          ? null
          : compare ? new CompareMemory(i, kind) : new Memory(i, kind);
    }
    return switch (i.opcode) {
      case 0xD8 -> compare ? compare(i, operation - 2, false) : new Register(i, false, false);
      case 0xDC -> compare ? compare(i, operation - 2, false) : new Register(i, true, false);
      case 0xDE ->
          !compare
              ? new Register(i, true, true)
              : operation == 2
                  ? compare(i, 1, false)
                  : (i.rm & 7) == 1 ? compare(i, 2, false) : null;
      case 0xDA -> operation == 5 && (i.rm & 7) == 1 ? compare(i, 2, true) : null;
      case 0xDB -> order(i, operation, 0);
      case 0xDD -> operation == 4 || operation == 5 ? compare(i, operation - 4, true) : null;
      case 0xDF -> order(i, operation, 1);
      default -> null;
    };
  }

  private static MicroOp compare(Instruction i, int pops, boolean quiet) {
    return new CompareRegister(i, pops, quiet);
  }

  private static @Nullable MicroOp order(Instruction i, int operation, int pops) {
    return operation == 5 || operation == 6 ? new Order(i, pops, operation == 5) : null;
  }

  /** {@code a op b} of the unit's operands, rounded, or the NaN to give. */
  private static void compute(FpuState f, int operation) {
    FloatUnit u = f.unit;
    if (X87Op.nan(u, u.a, u.b)) {
      return;
    }
    if (operation == 5 || operation == 7) {
      u.swap();
    }
    switch (operation) {
      case 0 -> u.add();
      case 1 -> u.multiply();
      case 4, 5 -> u.subtract();
      default -> u.divide();
    }
    X87Op.round(f);
  }

  private static void loadMemory(FloatOperand operand, int kind, long bits) {
    switch (kind) {
      case SINGLE -> operand.setFloat((int) bits);
      case DOUBLE -> operand.setDouble(bits);
      case INT32 -> operand.setLong((int) bits);
      default -> operand.setLong((short) bits);
    }
  }

  private static int sizeOf(int kind) {
    return kind == DOUBLE ? 8 : kind == INT16 ? 2 : 4;
  }

  /** ST(0) and memory. */
  private static final class Memory extends X87Op {
    private final int operation;
    private final int kind;

    Memory(Instruction i, int kind) {
      super(i);
      operation = i.extension();
      this.kind = kind;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int size = sizeOf(kind);
      long bits = c.load(address(c, size, false), size);
      if (c.fault != 0) {
        return;
      }
      if (isEmpty(f, 0)) {
        if (underflow(f)) {
          setDefaultNan(f, 0);
        }
        return;
      }
      load(f, unit(f).a, 0);
      loadMemory(f.unit.b, kind, bits);
      compute(f, operation);
      if (raiseUnit(f)) {
        setResult(f, 0);
      }
    }
  }

  /** ST(0) and ST(i), into either. */
  private static final class Register extends X87Op {
    private final int operation;
    private final int index;
    private final int destination;
    private final boolean pops;

    Register(Instruction i, boolean toOther, boolean pops) {
      super(i);
      operation = i.extension();
      index = i.rm & 7;
      destination = toOther ? index : 0;
      this.pops = pops;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      boolean store;
      if (isEmpty(f, 0) || isEmpty(f, index)) {
        store = underflow(f);
        f.unit.setNan(null);
      } else {
        load(f, unit(f).a, 0);
        load(f, f.unit.b, index);
        compute(f, operation);
        store = raiseUnit(f);
      }
      if (store) {
        setResult(f, destination);
        if (pops) {
          pop(f);
        }
      }
    }
  }

  // ---- comparison ----------------------------------------------------------------------------

  /** Compares the unit's operands: -1, 0, 1, or 2 if unordered. */
  static int order(FloatUnit u, boolean quiet) {
    if (u.a.kind == FloatOperand.NAN || u.b.kind == FloatOperand.NAN) {
      u.flags |= !quiet || u.a.signaling || u.b.signaling ? FloatUnit.INVALID : 0;
      return 2;
    }
    u.flags |= u.a.denormal || u.b.denormal ? FloatUnit.DENORMAL : 0;
    return Integer.signum(u.a.compareTo(u.b));
  }

  static void setCondition(FpuState f, int order) {
    int condition =
        switch (order) {
          case -1 -> X87Op.C0;
          case 0 -> X87Op.C3;
          case 1 -> 0;
          default -> X87Op.C0 | X87Op.C2 | X87Op.C3;
        };
    f.statusBits = f.statusBits & ~(X87Op.C0 | X87Op.C2 | X87Op.C3) | condition;
  }

  /** FCOM and FICOM with memory. */
  private static final class CompareMemory extends X87Op {
    private final int kind;
    private final boolean pops;

    CompareMemory(Instruction i, int kind) {
      super(i);
      this.kind = kind;
      pops = i.extension() == 3;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int size = sizeOf(kind);
      long bits = c.load(address(c, size, false), size);
      if (c.fault != 0) {
        return;
      }
      int order = 2;
      boolean store;
      if (isEmpty(f, 0)) {
        store = underflow(f);
      } else {
        load(f, unit(f).a, 0);
        loadMemory(f.unit.b, kind, bits);
        order = order(f.unit, false);
        store = raiseUnit(f);
      }
      setCondition(f, order);
      if (store && pops) {
        pop(f);
      }
    }
  }

  /** FCOM, FUCOM and their popping forms. */
  private static final class CompareRegister extends X87Op {
    private final int index;
    private final int pops;
    private final boolean quiet;

    CompareRegister(Instruction i, int pops, boolean quiet) {
      super(i);
      index = i.rm & 7;
      this.pops = pops;
      this.quiet = quiet;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int order = 2;
      boolean store;
      if (isEmpty(f, 0) || isEmpty(f, index)) {
        store = underflow(f);
      } else {
        load(f, unit(f).a, 0);
        load(f, f.unit.b, index);
        order = order(f.unit, quiet);
        store = raiseUnit(f);
      }
      setCondition(f, order);
      for (int i = 0; store && i < pops; i++) {
        pop(f);
      }
    }
  }

  /** FCOMI, FUCOMI and their popping forms. */
  private static final class Order extends X87Op {
    private final int index;
    private final int pops;
    private final boolean quiet;

    Order(Instruction i, int pops, boolean quiet) {
      super(i);
      index = i.rm & 7;
      this.pops = pops;
      this.quiet = quiet;
    }

    @Override
    void run(Vcpu c, FpuState f) {
      int order = 2;
      boolean store;
      if (isEmpty(f, 0) || isEmpty(f, index)) {
        store = underflow(f);
      } else {
        load(f, unit(f).a, 0);
        load(f, f.unit.b, index);
        order = order(f.unit, quiet);
        store = raise(f, f.unit.flags);
      }
      c.flags.setStatus(
          switch (order) {
            case -1 -> Flags.CF;
            case 0 -> Flags.ZF;
            case 1 -> 0;
            default -> Flags.ZF | Flags.PF | Flags.CF;
          });
      if (store && pops > 0) {
        pop(f);
      }
    }
  }
}
