package memvisor.cpu.jit;

import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Address;
import memvisor.cpu.x86.Lowered.HighByte;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Place;
import memvisor.cpu.x86.Lowered.Register;
import memvisor.cpu.x86.Lowered.Scalar;

/** Which general registers the translated operations of a piece of code read or write. */
final class RegisterUse {
  private static final int RAX = 0;
  private static final int RCX = 1;
  private static final int RDX = 2;
  private static final int RSP = 4;
  private static final int RBP = 5;
  private static final int RSI = 6;
  private static final int RDI = 7;
  private static final int COUNT = 16;

  /** Bit sets. */
  private int used;

  private int written;

  RegisterUse(HotCode code) {
    for (int block = 0; block < code.blocks(); block++) {
      for (int i = 0; i < code.instructions(block); i++) {
        add(code.lowered(block, i));
      }
    }
  }

  boolean isUsed(int register) {
    return (used >>> register & 1) != 0;
  }

  boolean isWritten(int register) {
    return (written >>> register & 1) != 0;
  }

  private void add(Lowered lowered) {
    switch (lowered) {
      case Lowered.Alu o -> {
        boolean writes =
            o.operation() != Lowered.Operation.CMP && o.operation() != Lowered.Operation.TEST;
        if (writes) {
          write(o.destination());
        } else {
          read(o.destination());
        }
        read(o.source());
      }
      case Lowered.Move o -> {
        write(o.destination());
        read(o.source());
      }
      case Lowered.Lea o -> {
        write(o.destination());
        read(o.source());
      }
      case Lowered.Push o -> {
        writeRegister(RSP);
        read(o.source());
      }
      case Lowered.Pop o -> {
        writeRegister(RSP);
        writeRegister(o.register());
      }
      case Lowered.JumpIndirect o -> read(o.target());
      case Lowered.Call unused -> writeRegister(RSP);
      case Lowered.CallIndirect o -> {
        writeRegister(RSP);
        read(o.target());
      }
      case Lowered.Return unused -> writeRegister(RSP);
      case Lowered.ConditionalMove o -> {
        write(o.destination());
        read(o.source());
      }
      case Lowered.SetCondition o -> write(o.destination());
      case Lowered.Shift o -> write(o.destination());
      case Lowered.ShiftByCl o -> {
        write(o.destination());
        use(RCX);
      }
      case Lowered.Rotate o -> write(o.destination());
      case Lowered.DoubleShift o -> {
        write(o.destination());
        read(o.source());
        if (o.isByCl()) {
          use(RCX);
        }
      }
      case Lowered.Multiply o -> {
        write(o.destination());
        read(o.left());
        read(o.right());
      }
      case Lowered.MultiplyWide o -> {
        writeRegister(RAX);
        writeRegister(RDX);
        read(o.source());
      }
      case Lowered.Divide o -> {
        writeRegister(RAX);
        writeRegister(RDX);
        read(o.divisor());
      }
      case Lowered.LockedAlu o -> {
        read(o.destination());
        read(o.source());
      }
      case Lowered.Exchange o -> {
        write(o.destination());
        write(o.register());
      }
      case Lowered.ExchangeAdd o -> {
        read(o.destination());
        write(o.register());
      }
      case Lowered.CompareExchange o -> {
        read(o.destination());
        read(o.register());
        writeRegister(RAX);
      }
      case Lowered.BitTest o -> {
        read(o.operand());
        read(o.index());
      }
      case Lowered.BitChange o -> {
        write(o.operand());
        read(o.index());
      }
      case Lowered.Scan o -> {
        write(o.destination());
        read(o.source());
      }
      case Lowered.SwapBytes o -> write(o.operand());
      case Lowered.SignOf o -> {
        write(o.destination());
        read(o.source());
      }
      case Lowered.Leave unused -> {
        writeRegister(RSP);
        writeRegister(RBP);
      }
      case Lowered.LoadVector o -> read(o.source());
      case Lowered.StoreVector o -> read(o.destination());
      case Lowered.SetHalf o -> read(o.source());
      case Lowered.GetHalf o -> write(o.destination());
      case Lowered.ByteMask o -> write(o.destination());
      case Lowered.FloatArithmetic o -> readNumber(o.source());
      case Lowered.FloatOrder o -> readNumber(o.source());
      case Lowered.IntegerToFloat o -> read(o.source());
      case Lowered.FloatToInteger o -> {
        write(o.destination());
        readNumber(o.source());
      }
      case Lowered.ConvertFloat o -> readNumber(o.source());
      case Lowered.Fill unused -> {
        use(RAX);
        writeRegister(RCX);
        writeRegister(RDI);
      }
      case Lowered.CopyString unused -> {
        writeRegister(RCX);
        writeRegister(RSI);
        writeRegister(RDI);
      }
      case Lowered.CopyVector unused -> {}
      case Lowered.MoveHalf unused -> {}
      case Lowered.LaneWise unused -> {}
      case Lowered.Shuffle unused -> {}
      case Lowered.Jump unused -> {}
      case Lowered.JumpIf unused -> {}
      case Lowered.Nop unused -> {}
      case Lowered.Opaque unused -> {}
    }
  }

  private void read(Place place) {
    switch (place) {
      case Register r -> use(r.number());
      case HighByte r -> use(r.number());
      case Memory m -> address(m.address());
      case Lowered.Immediate unused -> {
        // no register
      }
    }
  }

  private void readNumber(Scalar scalar) {
    if (scalar instanceof Memory m) {
      address(m.address());
    }
  }

  private void write(Place place) {
    switch (place) {
      case Register r -> writeRegister(r.number());
      case HighByte r -> writeRegister(r.number());
      case Memory m -> address(m.address());
      case Lowered.Immediate unused -> {
        // no register
      }
    }
  }

  private void address(Address address) {
    use(address.base());
    use(address.index());
  }

  private void writeRegister(int number) {
    use(number);
    written |= 1 << number;
  }

  private void use(int number) {
    if (number < COUNT) {
      used |= 1 << number;
    }
  }
}
