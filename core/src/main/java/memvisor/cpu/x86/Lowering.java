package memvisor.cpu.x86;

import memvisor.cpu.x86.Lowered.Address;
import memvisor.cpu.x86.Lowered.BitOperation;
import memvisor.cpu.x86.Lowered.HighByte;
import memvisor.cpu.x86.Lowered.Immediate;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Operation;
import memvisor.cpu.x86.Lowered.Place;
import memvisor.cpu.x86.Lowered.Register;
import memvisor.cpu.x86.Lowered.ShiftOperation;

/** Describes micro-operations of 64-bit code in the translator's terms. */
final class Lowering {
  static final Lowered OPAQUE = Lowered.Opaque.UNKNOWN;
  private static final Operation[] OPERATIONS = Operation.values();

  private Lowering() {}

  /** The form of {@code op}; {@link Lowered.Opaque} if it has none. */
  static Lowered lower(MicroOp op) {
    Lowered lowered = alu64(op);
    lowered = lowered.equals(OPAQUE) ? alu32(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? aluLoad(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? move(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? transfer(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? jumpIf(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? shift(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? bits(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? exchange(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? SseLowering.lower(op) : lowered;
    lowered = lowered.equals(OPAQUE) ? rest(op) : lowered;
    return lowered.equals(OPAQUE) ? opaque(op) : lowered;
  }

  private static Lowered alu64(MicroOp op) {
    return switch (op) {
      case AluHotOps.Add64 o -> alu(Operation.ADD, 8, o.register, o.source, o.immediate);
      case AluHotOps.Sub64 o -> alu(Operation.SUB, 8, o.register, o.source, o.immediate);
      case AluHotOps.Cmp64 o -> alu(Operation.CMP, 8, o.register, o.source, o.immediate);
      case AluHotOps.And64 o -> alu(Operation.AND, 8, o.register, o.source, o.immediate);
      case AluHotOps.Or64 o -> alu(Operation.OR, 8, o.register, o.source, o.immediate);
      case AluHotOps.Xor64 o -> alu(Operation.XOR, 8, o.register, o.source, o.immediate);
      case AluHotOps.Test64 o -> alu(Operation.TEST, 8, o.register, o.source, o.immediate);
      case AluHotOps.Inc64 o -> unary(Operation.INC, 8, o.register);
      case AluHotOps.Dec64 o -> unary(Operation.DEC, 8, o.register);
      case AluMemoryOps.CompareMemory64 o -> compare(8, o.memory, o.source, o.immediate);
      default -> OPAQUE;
    };
  }

  private static Lowered alu32(MicroOp op) {
    return switch (op) {
      case AluHotOps.Add32 o -> alu(Operation.ADD, 4, o.register, o.source, o.immediate);
      case AluHotOps.Sub32 o -> alu(Operation.SUB, 4, o.register, o.source, o.immediate);
      case AluHotOps.Cmp32 o -> alu(Operation.CMP, 4, o.register, o.source, o.immediate);
      case AluHotOps.And32 o -> alu(Operation.AND, 4, o.register, o.source, o.immediate);
      case AluHotOps.Or32 o -> alu(Operation.OR, 4, o.register, o.source, o.immediate);
      case AluHotOps.Xor32 o -> alu(Operation.XOR, 4, o.register, o.source, o.immediate);
      case AluHotOps.Test32 o -> alu(Operation.TEST, 4, o.register, o.source, o.immediate);
      case AluHotOps.Inc32 o -> unary(Operation.INC, 4, o.register);
      case AluHotOps.Dec32 o -> unary(Operation.DEC, 4, o.register);
      case AluMemoryOps.CompareMemory32 o -> compare(4, o.memory, o.source, o.immediate);
      default -> OPAQUE;
    };
  }

  private static Lowered aluLoad(MicroOp op) {
    return switch (op) {
      case AluMemoryOps.AddLoad64 o -> aluLoad(Operation.ADD, 8, o.register, o.memory);
      case AluMemoryOps.SubLoad64 o -> aluLoad(Operation.SUB, 8, o.register, o.memory);
      case AluMemoryOps.CmpLoad64 o -> aluLoad(Operation.CMP, 8, o.register, o.memory);
      case AluMemoryOps.AndLoad64 o -> aluLoad(Operation.AND, 8, o.register, o.memory);
      case AluMemoryOps.OrLoad64 o -> aluLoad(Operation.OR, 8, o.register, o.memory);
      case AluMemoryOps.XorLoad64 o -> aluLoad(Operation.XOR, 8, o.register, o.memory);
      case AluMemoryOps.AddLoad32 o -> aluLoad(Operation.ADD, 4, o.register, o.memory);
      case AluMemoryOps.SubLoad32 o -> aluLoad(Operation.SUB, 4, o.register, o.memory);
      case AluMemoryOps.CmpLoad32 o -> aluLoad(Operation.CMP, 4, o.register, o.memory);
      case AluMemoryOps.AndLoad32 o -> aluLoad(Operation.AND, 4, o.register, o.memory);
      case AluMemoryOps.OrLoad32 o -> aluLoad(Operation.OR, 4, o.register, o.memory);
      case AluMemoryOps.XorLoad32 o -> aluLoad(Operation.XOR, 4, o.register, o.memory);
      case AluMemoryOps.CompareMemory8 o -> compare(1, o.memory, o.source, o.immediate);
      case AluMemoryOps.TestMemory8 o ->
          new Lowered.Alu(Operation.TEST, memory(o.memory, 1), source(o.source, o.immediate, 1));
      case AluHotOps.Cmp8 o -> alu(Operation.CMP, 1, o.register, o.source, o.immediate);
      case AluHotOps.Test8 o -> alu(Operation.TEST, 1, o.register, o.source, o.immediate);
      case AluOps.Alu o ->
          new Lowered.Alu(OPERATIONS[o.operation], place(o.destination), place(o.source));
      default -> OPAQUE;
    };
  }

  private static Lowered move(MicroOp op) {
    return switch (op) {
      case MoveHotOps.Move64 o -> move(register(o.register, 8), source(o.source, o.immediate, 8));
      case MoveHotOps.Move32 o -> move(register(o.register, 4), source(o.source, o.immediate, 4));
      case MoveHotOps.Load64 o -> move(register(o.register, 8), memory(o.memory, 8));
      case MoveHotOps.Load32 o -> move(register(o.register, 4), memory(o.memory, 4));
      case MoveHotOps.LoadZero16 o -> move(register(o.register, 8), memory(o.memory, 2));
      case MoveHotOps.LoadZero8 o -> move(register(o.register, 8), memory(o.memory, 1));
      case MoveHotOps.Store64 o -> move(memory(o.memory, 8), source(o.source, o.immediate, 8));
      case MoveHotOps.Store32 o -> move(memory(o.memory, 4), source(o.source, o.immediate, 4));
      case MoveHotOps.Store8 o -> move(memory(o.memory, 1), source(o.source, o.immediate, 1));
      case MoveOps.Move o -> move(place(o.destination), place(o.source));
      case MoveHotOps.SignExtend32 o ->
          new Lowered.Move(register(o.register, 8), register(o.source, 4), true);
      case MoveOps.MoveSigned o -> new Lowered.Move(place(o.destination), place(o.source), true);
      case MoveOps.Lea o -> lea(o);
      case MoveOps.Nop unused -> new Lowered.Nop();
      case StackOps.Push64 o -> new Lowered.Push(source(o.source, o.immediate, 8));
      case StackOps.Push o ->
          o.source.size == 8 && o.pusher.mask == -1L ? new Lowered.Push(place(o.source)) : OPAQUE;
      case StackOps.Pop64 o -> new Lowered.Pop(o.register);
      case StackOps.Leave o -> o.frame.size == 8 && o.mask == -1L ? new Lowered.Leave() : OPAQUE;
      default -> OPAQUE;
    };
  }

  private static Lowered lea(MoveOps.Lea op) {
    return place(op.destination) instanceof Register to
        ? new Lowered.Lea(to, memory(op.memory, to.sizeBytes()))
        : OPAQUE;
  }

  private static Lowered transfer(MicroOp op) {
    return switch (op) {
      case BranchOps.Jump o -> o.mask == -1L ? new Lowered.Jump(o.target) : OPAQUE;
      case BranchOps.JumpIf o -> jumpIf(o.condition, o);
      case BranchOps.Call o -> o.mask == -1L ? new Lowered.Call(o.target) : OPAQUE;
      case BranchOps.JumpIndirect o ->
          o.target.size == 8 ? new Lowered.JumpIndirect(place(o.target)) : OPAQUE;
      case BranchOps.CallIndirect o ->
          o.target.size == 8 ? new Lowered.CallIndirect(place(o.target)) : OPAQUE;
      case BranchOps.Return o -> o.popper.size == 8 ? new Lowered.Return(o.released) : OPAQUE;
      default -> OPAQUE;
    };
  }

  private static Lowered jumpIf(MicroOp op) {
    return switch (op) {
      case ConditionalJumps.IfBelow o -> jumpIf(2, o);
      case ConditionalJumps.IfNotBelow o -> jumpIf(3, o);
      case ConditionalJumps.IfZero o -> jumpIf(4, o);
      case ConditionalJumps.IfNotZero o -> jumpIf(5, o);
      case ConditionalJumps.IfBelowOrEqual o -> jumpIf(6, o);
      case ConditionalJumps.IfAbove o -> jumpIf(7, o);
      case ConditionalJumps.IfSign o -> jumpIf(8, o);
      case ConditionalJumps.IfNotSign o -> jumpIf(9, o);
      case ConditionalJumps.IfLess o -> jumpIf(12, o);
      case ConditionalJumps.IfNotLess o -> jumpIf(13, o);
      case ConditionalJumps.IfLessOrEqual o -> jumpIf(14, o);
      case ConditionalJumps.IfGreater o -> jumpIf(15, o);
      default -> OPAQUE;
    };
  }

  private static Lowered jumpIf(int condition, BranchOps.Relative jump) {
    return jump.mask == -1L ? new Lowered.JumpIf(condition, jump.target) : OPAQUE;
  }

  private static Lowered rest(MicroOp op) {
    return switch (op) {
      case MoveOps.ConditionalMove o ->
          place(o.destination) instanceof Register to
              ? new Lowered.ConditionalMove(o.condition, to, place(o.source))
              : OPAQUE;
      case MoveOps.SetCondition o -> new Lowered.SetCondition(o.condition, place(o.destination));
      case MoveOps.ByteSwap o ->
          o.operand.size >= 4
              ? new Lowered.SwapBytes(register(o.operand.register, o.operand.size))
              : OPAQUE;
      case MoveOps.Convert o ->
          o.whole.size >= 4 ? new Lowered.Move(place(o.whole), place(o.half), true) : OPAQUE;
      case MoveOps.ConvertDouble o ->
          o.low.size >= 4
              ? new Lowered.SignOf(
                  register(o.high.register, o.high.size), register(o.low.register, o.low.size))
              : OPAQUE;
      case MultiplyOps.Imul o ->
          place(o.destination) instanceof Register to
              ? new Lowered.Multiply(to, place(o.left), place(o.right))
              : OPAQUE;
      case MultiplyOps.Multiply o ->
          o.operand.size >= 4 ? new Lowered.MultiplyWide(o.signed, place(o.operand)) : OPAQUE;
      case MultiplyOps.Divide o ->
          o.operand.size >= 4 ? new Lowered.Divide(o.signed, place(o.operand)) : OPAQUE;
      default -> OPAQUE;
    };
  }

  // ---- shifts, bits, exchanges -----------------------------------------------------------------

  private static Lowered shift(MicroOp op) {
    return switch (op) {
      case ShiftOps.Shift64 o -> shift(o.operation, register(o.register, 8), o.amount);
      case ShiftOps.Shift32 o -> shift(o.operation, register(o.register, 4), o.amount);
      case ShiftOps.Shift o -> shift(o);
      case ShiftOps.Rotate o -> rotate(o);
      case ShiftOps.DoubleShift o -> doubleShift(o);
      default -> OPAQUE;
    };
  }

  private static Lowered shift(int operation, Place destination, int amount) {
    return new Lowered.Shift(shiftOperation(operation), destination, amount);
  }

  private static ShiftOperation shiftOperation(int operation) {
    return switch (operation) {
      case ShiftOps.SHL -> ShiftOperation.SHL;
      case ShiftOps.SHR -> ShiftOperation.SHR;
      default -> ShiftOperation.SAR;
    };
  }

  private static Lowered shift(ShiftOps.Shift op) {
    Place destination = place(op.destination);
    int size = destination.sizeBytes();
    if (op.count.kind != Operand.IMMEDIATE) {
      return size >= 4 ? new Lowered.ShiftByCl(shiftOperation(op.operation), destination) : OPAQUE;
    }
    int amount = amount(op.count, size);
    return amount == 0 || amount > 8 * size ? OPAQUE : shift(op.operation, destination, amount);
  }

  private static int amount(Operand count, int size) {
    return (int) count.value & (size == 8 ? 63 : 31);
  }

  private static Lowered rotate(ShiftOps.Rotate op) {
    boolean plain = op.operation == ShiftOps.ROL || op.operation == ShiftOps.ROR;
    int size = op.destination.size;
    if (!plain || size < 4 || op.count.kind != Operand.IMMEDIATE) {
      return OPAQUE;
    }
    int amount = amount(op.count, size);
    ShiftOperation rotation =
        op.operation == ShiftOps.ROL ? ShiftOperation.ROL : ShiftOperation.ROR;
    return amount == 0 ? OPAQUE : new Lowered.Rotate(rotation, place(op.destination), amount);
  }

  private static Lowered doubleShift(ShiftOps.DoubleShift op) {
    int size = op.destination.size;
    boolean byCl = op.count.kind != Operand.IMMEDIATE;
    int amount = byCl ? Lowered.DoubleShift.CL : amount(op.count, size);
    if (size < 4 || !byCl && amount == 0) {
      return OPAQUE;
    }
    Register source = register(op.source.register, size);
    return new Lowered.DoubleShift(op.left, place(op.destination), source, amount);
  }

  private static Lowered bits(MicroOp op) {
    return switch (op) {
      case BitOps.BitTest o -> new Lowered.BitTest(place(o.operand), place(o.index));
      case BitOps.BitChange o ->
          new Lowered.BitChange(
              bitOperation(o.operation), place(o.destination), place(o.index), o.locked);
      case BitOps.Scan o ->
          place(o.destination) instanceof Register to
              ? new Lowered.Scan(o.forward, to, place(o.source))
              : OPAQUE;
      default -> OPAQUE;
    };
  }

  private static BitOperation bitOperation(int operation) {
    return switch (operation) {
      case BitOps.SET -> BitOperation.SET;
      case BitOps.RESET -> BitOperation.RESET;
      default -> BitOperation.COMPLEMENT;
    };
  }

  private static Lowered exchange(MicroOp op) {
    return switch (op) {
      case AtomicOps.LockedAlu o ->
          place(o.destination) instanceof Memory to
              ? new Lowered.LockedAlu(OPERATIONS[o.operation], to, place(o.source))
              : OPAQUE;
      case AtomicOps.Exchange o -> new Lowered.Exchange(place(o.destination), place(o.register));
      case AtomicOps.ExchangeAdd o ->
          place(o.destination) instanceof Memory to
              ? new Lowered.ExchangeAdd(to, place(o.register), o.locked)
              : OPAQUE;
      case AtomicOps.CompareExchange o ->
          place(o.destination) instanceof Memory to
              ? new Lowered.CompareExchange(to, place(o.register), o.locked)
              : OPAQUE;
      default -> OPAQUE;
    };
  }

  // ---- strings, and what has no form of its own ------------------------------------------------

  private static Lowered opaque(MicroOp op) {
    return switch (op) {
      case StringOps.StringOp o -> string(o);
      case StackOps.PushFlags unused -> new Lowered.Opaque(bit(Vcpu.RSP), bit(Vcpu.RSP), true);
      case FlagOps.FlagOp o -> new Lowered.Opaque(o.registers(), o.registers(), o.usesStatus());
      case SystemOp o -> o.reads < 0 ? OPAQUE : new Lowered.Opaque(o.reads, o.writes, false);
      default -> OPAQUE;
    };
  }

  private static Lowered string(StringOps.StringOp op) {
    boolean plain = op.repeated && op.mask == -1L;
    return switch (op.operation) {
      case StringOps.STOS -> plain ? new Lowered.Fill(op.size) : touched(op);
      case StringOps.MOVS ->
          plain && !address(op.source).hasSegmentBase()
              ? new Lowered.CopyString(op.size)
              : touched(op);
      default -> touched(op);
    };
  }

  private static Lowered touched(StringOps.StringOp op) {
    return new Lowered.Opaque(op.registers(), op.registers(), op.compares());
  }

  private static int bit(int register) {
    return 1 << register;
  }

  // ---- places --------------------------------------------------------------------------------

  private static Lowered alu(Operation operation, int size, int register, int from, long value) {
    return new Lowered.Alu(operation, register(register, size), source(from, value, size));
  }

  private static Lowered unary(Operation operation, int size, int register) {
    return new Lowered.Alu(operation, register(register, size), new Immediate(1, size));
  }

  private static Lowered aluLoad(
      Operation operation, int size, int register, EffectiveAddress from) {
    return new Lowered.Alu(operation, register(register, size), memory(from, size));
  }

  private static Lowered compare(int size, EffectiveAddress left, int from, long value) {
    return new Lowered.Alu(Operation.CMP, memory(left, size), source(from, value, size));
  }

  private static Lowered move(Place destination, Place source) {
    return new Lowered.Move(destination, source, false);
  }

  static Register register(int number, int size) {
    return new Register(number, size);
  }

  private static Place source(int register, long immediate, int size) {
    return register == Vcpu.ZERO ? new Immediate(immediate, size) : new Register(register, size);
  }

  static Memory memory(EffectiveAddress memory, int size) {
    return new Memory(address(memory), size);
  }

  private static Address address(EffectiveAddress m) {
    return new Address(m.base, m.index, m.scale, m.displacement, m.segment, m.mask());
  }

  private static Place place(Operand operand) {
    return switch (operand.kind) {
      case Operand.REGISTER8_HIGH -> new HighByte(operand.register);
      case Operand.IMMEDIATE -> new Immediate(operand.value, operand.size);
      case Operand.MEMORY -> memory(operand.memory, operand.size);
      default -> new Register(operand.register, operand.size);
    };
  }
}
