package memvisor.cpu.x86;

import memvisor.memory.Hva;
import org.jspecify.annotations.Nullable;

/**
 * MOVS, STOS, LODS, CMPS and SCAS, alone or repeated.
 *
 * <p>A repetition advances in steps that end with the page of either operand, whatever the
 * technique: between steps the run loop sees to interrupts and the budget, and every step counts as
 * one instruction. A fault leaves the registers at the element that faulted.
 */
final class StringOps {
  static final int MOVS = 0;
  static final int CMPS = 1;
  static final int STOS = 2;
  static final int LODS = 3;
  static final int SCAS = 4;

  private static final int PAGE = 4096;

  /** Bytes from which on a fill by the JVM is worth its call. */
  private static final int MANY = 256;

  private StringOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    if (i.map != Instruction.MAP_PRIMARY) {
      return null;
    }
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize;
    return switch (i.opcode) {
      case 0xA4, 0xA5 -> new StringOp(i, MOVS, size);
      case 0xA6, 0xA7 -> new StringOp(i, CMPS, size);
      case 0xAA, 0xAB -> new StringOp(i, STOS, size);
      case 0xAC, 0xAD -> new StringOp(i, LODS, size);
      case 0xAE, 0xAF -> new StringOp(i, SCAS, size);
      default -> null;
    };
  }

  static final class StringOp extends MicroOp {
    final int operation;
    final int size;
    final boolean repeated;

    /** CMPS and SCAS go on while ZF has this value. */
    final boolean whileEqual;

    final long mask;
    final EffectiveAddress source;
    final EffectiveAddress target;
    final Operand accumulator;

    StringOp(Instruction i, int operation, int size) {
      super(i.offset, i.length);
      this.operation = operation;
      this.size = size;
      this.repeated = i.prefix >= Instruction.PREFIX_F3;
      this.whileEqual = i.prefix == Instruction.PREFIX_F3;
      this.mask = i.addressMask();
      int segment = i.segmentOverride >= 0 ? i.segmentOverride : Vcpu.DS;
      this.source = address(i, Vcpu.RSI, segment);
      this.target = address(i, Vcpu.RDI, Vcpu.ES);
      this.accumulator = Operand.register(i, Vcpu.RAX, size);
    }

    private static EffectiveAddress address(Instruction i, int register, int segment) {
      return new EffectiveAddress(register, Vcpu.ZERO, 0, 0, segment, i.addressMask(), !i.longMode);
    }

    private boolean reads() {
      return operation != STOS && operation != SCAS;
    }

    private boolean targets() {
      return operation != LODS;
    }

    boolean compares() {
      return operation == CMPS || operation == SCAS;
    }

    /** Bit set of the general registers used. */
    int registers() {
      boolean accumulates = operation != MOVS && operation != CMPS;
      return (repeated ? 1 << Vcpu.RCX : 0)
          | (reads() ? 1 << Vcpu.RSI : 0)
          | (targets() ? 1 << Vcpu.RDI : 0)
          | (accumulates ? 1 << Vcpu.RAX : 0);
    }

    @Override
    int execute(Vcpu c) {
      int stride = (c.flags.system & Flags.DF) != 0 ? -size : size;
      if (!repeated) {
        return element(c, stride) ? NEXT : FAULT;
      }
      long count = c.gpr[Vcpu.RCX] & mask;
      if (count == 0) {
        return NEXT;
      }
      long elements = count < 0 ? Long.MAX_VALUE : count; // unsigned
      if (reads()) {
        elements = Math.min(elements, elementsInPage(c.gpr[Vcpu.RSI], stride));
      }
      if (targets()) {
        elements = Math.min(elements, elementsInPage(c.gpr[Vcpu.RDI], stride));
      }
      boolean bulk = operation == MOVS || operation == STOS;
      if (bulk && elements > 1 && !source.checked && bulk(c, elements, stride)) {
        return elements == count ? NEXT : REPEAT;
      }
      return c.fault != 0 ? FAULT : oneByOne(c, elements, stride);
    }

    /** Elements up to the end of the page in the direction of travel; at least one. */
    private long elementsInPage(long offset, int stride) {
      int inPage = (int) offset & PAGE - 1;
      int elements = stride > 0 ? (PAGE - inPage) / size : inPage / size + 1;
      return inPage + size > PAGE ? 1 : Math.max(1, elements);
    }

    private int oneByOne(Vcpu c, long elements, int stride) {
      for (long n = 0; n < elements; n++) {
        if (!element(c, stride)) {
          return FAULT;
        }
        add(c, Vcpu.RCX, -1);
        if (compares() && c.flags.zf() != whileEqual) {
          return NEXT;
        }
      }
      return (c.gpr[Vcpu.RCX] & mask) == 0 ? NEXT : REPEAT;
    }

    /** One element; false leaves a fault pending and the registers as they were. */
    private boolean element(Vcpu c, int stride) {
      long a = reads() ? c.load(source.linear(c, size, false), size) : accumulator.read(c);
      switch (operation) {
        case MOVS, STOS -> c.store(target.linear(c, size, true), size, a);
        case CMPS, SCAS -> {
          long b = c.load(target.linear(c, size, false), size);
          if (c.fault == 0) {
            int shift = accumulator.shift;
            long left = a << shift >> shift;
            long right = b << shift >> shift;
            c.flags.sub(left, right, left - right << shift >> shift);
          }
        }
        default -> {
          if (c.fault == 0) {
            accumulator.write(c, a);
          }
        }
      }
      if (c.fault != 0) {
        return false;
      }
      if (reads()) {
        add(c, Vcpu.RSI, stride);
      }
      if (targets()) {
        add(c, Vcpu.RDI, stride);
      }
      return true;
    }

    /** Adds at the address size: 16 bits merge, 32 bits zero-extend. */
    private void add(Vcpu c, int register, long amount) {
      long old = c.gpr[register];
      long sum = old + amount & mask;
      c.gpr[register] = mask == 0xFFFF ? old & ~mask | sum : sum;
    }

    // ---- whole pages ---------------------------------------------------------------------------

    /** All elements of a step at once; false if plain memory is not behind both operands. */
    private boolean bulk(Vcpu c, long elements, int stride) {
      long from = operation == MOVS ? c.hvaForRead(source.linear(c)) : 0;
      if (operation == MOVS && from == 0 || c.fault != 0) {
        return false;
      }
      long to = c.hvaForWrite(target.linear(c));
      if (to == 0) {
        return false;
      }
      if (operation == MOVS) {
        // The write may have given the page its own frame, which the source may lie in as well.
        from = c.hvaForRead(source.linear(c));
        if (from == 0) {
          return false;
        }
      }
      int bytes = (int) elements * size;
      int back = stride > 0 ? 0 : bytes - size;
      if (operation == STOS) {
        fill(to - back, bytes, accumulator.read(c), size);
      } else if (overwritesItsSource(from, to, bytes, stride > 0)) {
        copyInOrder(from, to, elements, stride);
      } else {
        Hva.copy(from - back, to - back, bytes);
      }
      if (operation == MOVS) {
        add(c, Vcpu.RSI, elements * stride);
      }
      add(c, Vcpu.RDI, elements * stride);
      add(c, Vcpu.RCX, -elements);
      return true;
    }

    /** The target runs ahead of the source: elements written are read again. */
    private static boolean overwritesItsSource(long from, long to, int bytes, boolean forward) {
      return forward ? to > from && to < from + bytes : to < from && to > from - bytes;
    }

    private void copyInOrder(long from, long to, long elements, int stride) {
      for (long n = 0; n < elements; n++) {
        Vcpu.writeHva(to + n * stride, size, Vcpu.readHva(from + n * stride, size));
      }
    }
  }

  // ---- for generated code
  // ------------------------------------------------------------------------

  private static boolean isForward(Vcpu c) {
    return (c.flags.system & Flags.DF) == 0;
  }

  /**
   * All of REP STOS but the registers' new values; false, having done nothing, unless it stays in
   * one page that the translation cache knows.
   */
  static boolean fill(Vcpu c, long to, long count, long value, int size) {
    if (count == 0) {
      return true;
    }
    int bytes = (int) count * size;
    if (count >>> 12 != 0
        || !isForward(c)
        || !TranslationCache.isWritable(c.table, to, bytes - 1)) {
      return false;
    }
    fill(TranslationCache.writableHva(c.table, to), bytes, value, size);
    return true;
  }

  /** The same for REP MOVS and two pages. */
  static boolean copy(Vcpu c, long from, long to, long count, int size) {
    if (count == 0) {
      return true;
    }
    int bytes = (int) count * size;
    if (count >>> 12 != 0
        || !isForward(c)
        || !TranslationCache.isReadable(c.table, from, bytes - 1)
        || !TranslationCache.isWritable(c.table, to, bytes - 1)) {
      return false;
    }
    long source = TranslationCache.readableHva(c.table, from);
    long target = TranslationCache.writableHva(c.table, to);
    if (StringOp.overwritesItsSource(source, target, bytes, true)) {
      return false;
    }
    Hva.copy(source, target, bytes);
    return true;
  }

  /** Repeats the low {@code size} bytes of a value. */
  private static void fill(long to, int bytes, long value, int size) {
    long pattern = value & -1L >>> 64 - 8 * size;
    for (int width = 8 * size; width < 64; width *= 2) {
      pattern |= pattern << width;
    }
    if (bytes >= MANY && pattern == (pattern & 0xFF) * 0x0101_0101_0101_0101L) {
      Hva.fill(to, bytes, (int) pattern);
      return;
    }
    int n = 0;
    for (; n + 8 <= bytes; n += 8) {
      Hva.writeLong(to + n, pattern);
    }
    for (; n < bytes; n += size) {
      Vcpu.writeHva(to + n, size, pattern);
    }
  }
}
