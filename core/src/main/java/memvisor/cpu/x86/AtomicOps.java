package memvisor.cpu.x86;

import memvisor.memory.Hva;
import org.jspecify.annotations.Nullable;

/**
 * Read-modify-write operations that exchange: XCHG, XADD, CMPXCHG, CMPXCHG8B/16B, and whatever has
 * a LOCK prefix. A locked access to plain, aligned memory is atomic on the host.
 */
final class AtomicOps {
  /** Serializes locked accesses that no host instruction makes atomic: misaligned, 16 bytes. */
  private static final Object BUS = new Object();

  private AtomicOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map == Instruction.MAP_PRIMARY && (i.opcode & ~1) == 0x86) {
      int size = i.opcode == 0x86 ? 1 : i.operandSize;
      return new Exchange(i, Operand.rm(i, size), Operand.reg(i, size));
    }
    if (i.map == Instruction.MAP_PRIMARY && i.opcode > 0x90 && i.opcode < 0x98) {
      int size = i.operandSize;
      Operand accumulator = Operand.register(i, Vcpu.RAX, size);
      return new Exchange(i, Operand.register(i, rexB(i), size), accumulator);
    }
    if (i.map == Instruction.MAP_PRIMARY && i.opcode == 0x90 && (i.rex & 1) != 0) {
      int size = i.operandSize;
      Operand accumulator = Operand.register(i, Vcpu.RAX, size);
      return new Exchange(i, Operand.register(i, 8, size), accumulator);
    }
    if (i.map != Instruction.MAP_0F) {
      return null;
    }
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize;
    return switch (i.opcode) {
      case 0xB0, 0xB1 -> new CompareExchange(i, Operand.rm(i, size), Operand.reg(i, size));
      case 0xC0, 0xC1 -> new ExchangeAdd(i, Operand.rm(i, size), Operand.reg(i, size));
      case 0xC7 ->
          i.extension() == 1 && i.isMemory()
              ? new CompareExchangePair(i, i.address(), i.operandSize == 8 ? 16 : 8)
              : null;
      default -> null;
    };
  }

  private static int rexB(Instruction i) {
    return i.opcode & 7 | (i.rex & 1) << 3;
  }

  /** A destination that is read, changed and written back, atomically where LOCK asks for it. */
  abstract static class ReadModifyWrite extends MicroOp {
    final Operand destination;
    final boolean locked;

    ReadModifyWrite(Instruction i, Operand destination, boolean locked) {
      super(i.offset, i.length);
      this.destination = destination;
      this.locked = locked && destination.isMemory();
    }

    /** Where the destination is, if it is in memory. */
    long gva(Vcpu c) {
      return destination.memory.linear(c, destination.size, true);
    }

    /** The new value of the destination, from its old value; both sign-extended. */
    abstract long apply(Vcpu c, long old);

    /** Sets registers and flags once the destination holds {@code result}. */
    abstract void complete(Vcpu c, long old, long result);

    @Override
    final int execute(Vcpu c) {
      if (!locked) {
        return plain(c);
      }
      int size = destination.size;
      long gva = gva(c);
      long hva = c.fault == 0 && (gva & size - 1) == 0 ? c.hvaForWrite(gva) : 0;
      if (c.fault != 0) {
        return FAULT;
      }
      if (hva == 0) {
        synchronized (BUS) {
          return plain(c);
        }
      }
      int shift = destination.shift;
      while (true) {
        long old = Vcpu.readHva(hva, size) << shift >> shift;
        long result = apply(c, old);
        if (replace(hva, size, old, result)) {
          complete(c, old, result << shift >> shift);
          return NEXT;
        }
      }
    }

    private int plain(Vcpu c) {
      int shift = destination.shift;
      boolean memory = destination.isMemory();
      long gva = memory ? gva(c) : 0;
      long read = memory ? c.loadForWrite(gva, destination.size) : destination.read(c);
      if (c.fault != 0) {
        return FAULT;
      }
      long old = read << shift >> shift;
      long result = apply(c, old) << shift >> shift;
      if (memory) {
        c.store(gva, destination.size, result);
      } else {
        destination.write(c, result);
      }
      if (c.fault != 0) {
        return FAULT;
      }
      complete(c, old, result);
      return NEXT;
    }
  }

  /** Compare-and-swap of an aligned value; 1 and 2 bytes inside the aligned int around them. */
  static boolean replace(long hva, int size, long old, long value) {
    if (size == 8) {
      return Hva.compareAndSetLong(hva, old, value);
    }
    if (size == 4) {
      return Hva.compareAndSetInt(hva, (int) old, (int) value);
    }
    long word = hva & ~3L;
    int shift = 8 * (int) (hva & 3);
    int mask = (size == 1 ? 0xFF : 0xFFFF) << shift;
    int before = Hva.readInt(word);
    return (before & mask) == ((int) old << shift & mask)
        && Hva.compareAndSetInt(word, before, before & ~mask | (int) value << shift & mask);
  }

  /** A LOCKed ADD, OR, ADC, SBB, AND, SUB, XOR, INC, DEC, NOT or NEG. */
  static final class LockedAlu extends ReadModifyWrite {
    final int operation;
    final Operand source;

    LockedAlu(Instruction i, int operation, Operand destination, Operand source) {
      super(i, destination, true);
      this.operation = operation;
      this.source = source;
    }

    @Override
    long apply(Vcpu c, long old) {
      int carry = AluOps.carry(c.flags, operation);
      return AluOps.compute(operation, old, source.readSigned(c), carry);
    }

    @Override
    void complete(Vcpu c, long old, long result) {
      AluOps.setFlags(c.flags, operation, old, source.readSigned(c), result);
    }
  }

  /** XCHG; with memory it is always locked. */
  static final class Exchange extends ReadModifyWrite {
    final Operand register;

    Exchange(Instruction i, Operand destination, Operand register) {
      super(i, destination, true);
      this.register = register;
    }

    @Override
    long apply(Vcpu c, long old) {
      return register.readSigned(c);
    }

    @Override
    void complete(Vcpu c, long old, long result) {
      register.write(c, old);
    }
  }

  static final class ExchangeAdd extends ReadModifyWrite {
    final Operand register;

    ExchangeAdd(Instruction i, Operand destination, Operand register) {
      super(i, destination, i.lock);
      this.register = register;
    }

    @Override
    long apply(Vcpu c, long old) {
      return old + register.readSigned(c);
    }

    @Override
    void complete(Vcpu c, long old, long result) {
      if (destination.kind != register.kind || destination.register != register.register) {
        register.write(c, old);
      }
      int shift = destination.shift;
      c.flags.add(old, result - old << shift >> shift, result);
    }
  }

  static final class CompareExchange extends ReadModifyWrite {
    final Operand register;
    final Operand accumulator;

    CompareExchange(Instruction i, Operand destination, Operand register) {
      super(i, destination, i.lock);
      this.register = register;
      this.accumulator = Operand.register(i, Vcpu.RAX, destination.size);
    }

    @Override
    long apply(Vcpu c, long old) {
      return accumulator.readSigned(c) == old ? register.readSigned(c) : old;
    }

    @Override
    void complete(Vcpu c, long old, long result) {
      boolean same =
          destination.kind == accumulator.kind && destination.register == accumulator.register;
      long expected = same ? old : accumulator.readSigned(c);
      int shift = destination.shift;
      c.flags.sub(expected, old, expected - old << shift >> shift);
      if (expected != old) {
        accumulator.write(c, old);
      }
    }
  }

  /** CMPXCHG8B and CMPXCHG16B. */
  static final class CompareExchangePair extends MicroOp {
    final EffectiveAddress memory;
    final int size;

    CompareExchangePair(Instruction i, EffectiveAddress memory, int size) {
      super(i.offset, i.length);
      this.memory = memory;
      this.size = size;
    }

    @Override
    int execute(Vcpu c) {
      long gva = memory.linear(c, size, true);
      if (c.fault == 0 && size == 16 && (gva & 15) != 0) {
        return c.raise(Vector.GP, 0);
      }
      if (!c.checkWrite(gva, size)) {
        return FAULT;
      }
      synchronized (BUS) {
        return exchange(c, gva);
      }
    }

    private int exchange(Vcpu c, long gva) {
      int half = size / 2;
      long low = c.loadForWrite(gva, half);
      long high = c.loadForWrite(gva + half, half);
      if (c.fault != 0) {
        return FAULT;
      }
      long[] gpr = c.gpr;
      long mask = Instruction.mask(half);
      boolean equal = low == (gpr[Vcpu.RAX] & mask) && high == (gpr[Vcpu.RDX] & mask);
      c.store(gva, half, equal ? gpr[Vcpu.RBX] : low);
      c.store(gva + half, half, equal ? gpr[Vcpu.RCX] : high);
      if (c.fault != 0) {
        return FAULT;
      }
      if (!equal) {
        gpr[Vcpu.RAX] = low;
        gpr[Vcpu.RDX] = high;
      }
      c.flags.setStatus(Flags.ZF, equal ? Flags.ZF : 0);
      return NEXT;
    }
  }
}
