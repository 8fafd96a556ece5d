package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/** Moves between XMM registers, general registers and memory. */
final class SseMoveOps {
  private static final int NONE = Instruction.PREFIX_NONE;
  private static final int P66 = Instruction.PREFIX_66;
  private static final int F3 = Instruction.PREFIX_F3;
  private static final int F2 = Instruction.PREFIX_F2;

  private SseMoveOps() {}

  static @Nullable MicroOp decode(Instruction i) {
    boolean packed = i.prefix == NONE || i.prefix == P66;
    return switch (i.opcode) {
      case 0x10 -> packed ? load(i, false) : new LoadScalar(i, i.prefix == F3 ? 4 : 8);
      case 0x11 -> packed ? store(i, false) : new StoreScalar(i, i.prefix == F3 ? 4 : 8);
      case 0x12, 0x16 -> loadHalf(i);
      case 0x13, 0x17 -> packed && i.isMemory() ? new StoreHalf(i, i.opcode == 0x17) : null;
      case 0x28 -> packed ? load(i, true) : null;
      case 0x29 -> packed ? store(i, true) : null;
      case 0x2B -> packed && i.isMemory() ? store(i, true) : null;
      case 0x50 -> packed && !i.isMemory() ? new MoveMask(i, i.prefix == P66 ? 8 : 4) : null;
      case 0x6E -> i.prefix == P66 ? fromGeneral(i) : null;
      case 0x6F -> i.prefix == P66 ? load(i, true) : i.prefix == F3 ? load(i, false) : null;
      case 0x7E -> i.prefix == P66 ? toGeneral(i) : i.prefix == F3 ? new LoadQuad(i) : null;
      case 0x7F -> i.prefix == P66 ? store(i, true) : i.prefix == F3 ? store(i, false) : null;
      case 0xC3 -> i.prefix == NONE && i.isMemory() ? new StoreGeneral(i) : null;
      case 0xD6 -> i.prefix == P66 ? new StoreQuad(i) : null;
      case 0xD7 -> i.prefix == P66 && !i.isMemory() ? new ByteMask(i) : null;
      case 0xE7 -> i.prefix == P66 && i.isMemory() ? store(i, true) : null;
      case 0xF0 -> i.prefix == F2 && i.isMemory() ? load(i, false) : null;
      case 0xF7 -> i.prefix == P66 && !i.isMemory() ? new MaskedStore(i) : null;
      default -> null;
    };
  }

  private static MicroOp load(Instruction i, boolean aligned) {
    return i.isMemory() ? new Load(i, aligned) : new Copy(i, false);
  }

  private static MicroOp store(Instruction i, boolean aligned) {
    return i.isMemory() ? new Store(i, aligned) : new Copy(i, true);
  }

  private static @Nullable MicroOp loadHalf(Instruction i) {
    boolean high = i.opcode == 0x16;
    return switch (i.prefix) {
      case NONE ->
          i.isMemory()
              ? new LoadHalf(i, high)
              : new WideOp(i, high ? Shuffles::movlhps : Shuffles::movhlps, 0);
      case P66 -> i.isMemory() ? new LoadHalf(i, high) : null;
      case F3 -> new WideOp(i, high ? Shuffles::movshdup : Shuffles::movsldup, 0);
      default -> high ? null : new Duplicate(i);
    };
  }

  private static MicroOp fromGeneral(Instruction i) {
    return new FromGeneral(i, i.operandSize == 8 ? 8 : 4);
  }

  private static MicroOp toGeneral(Instruction i) {
    return new ToGeneral(i, i.operandSize == 8 ? 8 : 4);
  }

  /** MOVAPS, MOVUPS, MOVDQA, MOVDQU, LDDQU from memory. */
  static final class Load extends SseOp {
    private final int alignmentMask;

    Load(Instruction i, boolean aligned) {
      super(i);
      alignmentMask = aligned ? 15 : 0;
    }

    boolean isAligned() {
      return alignmentMask != 0;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long gva = memory.linear(c, 16, false);
      if ((gva & alignmentMask) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      long low = c.load64(gva);
      if (c.fault != 0) {
        return FAULT;
      }
      long high = c.load64(gva + 8);
      if (c.fault != 0) {
        return FAULT;
      }
      c.xmm[target] = low;
      c.xmm[target + 1] = high;
      return NEXT;
    }
  }

  /** The same to memory. */
  static final class Store extends SseOp {
    private final int alignmentMask;

    Store(Instruction i, boolean aligned) {
      super(i);
      alignmentMask = aligned ? 15 : 0;
    }

    boolean isAligned() {
      return alignmentMask != 0;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long gva = memory.linear(c, 16, true);
      if ((gva & alignmentMask) != 0) {
        return c.raise(GENERAL_PROTECTION, 0);
      }
      return store(c, gva, c.xmm[target], c.xmm[target + 1]);
    }
  }

  /** Register to register, all 16 bytes. */
  static final class Copy extends SseOp {
    final int to;
    final int from;

    Copy(Instruction i, boolean reversed) {
      super(i);
      to = reversed ? source : target;
      from = reversed ? target : source;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      c.xmm[to] = c.xmm[from];
      c.xmm[to + 1] = c.xmm[from + 1];
      return NEXT;
    }
  }

  /** MOVSS and MOVSD into a register: from memory the rest is cleared, else it stays. */
  static final class LoadScalar extends SseOp {
    final int size;

    LoadScalar(Instruction i, int size) {
      super(i);
      this.size = size;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = readLow(c, size);
      if (c.fault != 0) {
        return FAULT;
      }
      if (source == MEMORY) {
        c.xmm[target] = value;
        c.xmm[target + 1] = 0;
      } else {
        c.xmm[target] = size == 8 ? value : Lanes.withLow32(c.xmm[target], value);
      }
      return NEXT;
    }
  }

  /** MOVSS and MOVSD from a register. */
  static final class StoreScalar extends SseOp {
    final int size;

    StoreScalar(Instruction i, int size) {
      super(i);
      this.size = size;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = c.xmm[target];
      if (source == MEMORY) {
        store(c, memory.linear(c, size, true), size, value);
        return outcome(c);
      }
      c.xmm[source] = size == 8 ? value : Lanes.withLow32(c.xmm[source], value);
      return NEXT;
    }
  }

  /** MOVLPS, MOVLPD, MOVHPS, MOVHPD from memory. */
  static final class LoadHalf extends SseOp {
    final int half;

    LoadHalf(Instruction i, boolean high) {
      super(i);
      half = high ? 1 : 0;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = c.load64(memory.linear(c, 8, false));
      if (c.fault != 0) {
        return FAULT;
      }
      c.xmm[target + half] = value;
      return NEXT;
    }
  }

  /** MOVLPS, MOVLPD, MOVHPS, MOVHPD to memory. */
  static final class StoreHalf extends SseOp {
    final int half;

    StoreHalf(Instruction i, boolean high) {
      super(i);
      half = high ? 1 : 0;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      c.store64(memory.linear(c, 8, true), c.xmm[target + half]);
      return outcome(c);
    }
  }

  /** MOVDDUP. */
  private static final class Duplicate extends SseOp {
    Duplicate(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = readLow(c, 8);
      if (c.fault != 0) {
        return FAULT;
      }
      c.xmm[target] = value;
      c.xmm[target + 1] = value;
      return NEXT;
    }
  }

  /** MOVQ xmm, xmm/m64. */
  static final class LoadQuad extends SseOp {
    LoadQuad(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = readLow(c, 8);
      if (c.fault != 0) {
        return FAULT;
      }
      c.xmm[target] = value;
      c.xmm[target + 1] = 0;
      return NEXT;
    }
  }

  /** MOVQ xmm/m64, xmm. */
  static final class StoreQuad extends SseOp {
    StoreQuad(Instruction i) {
      super(i);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      if (source == MEMORY) {
        c.store64(memory.linear(c, 8, true), c.xmm[target]);
        return outcome(c);
      }
      c.xmm[source] = c.xmm[target];
      c.xmm[source + 1] = 0;
      return NEXT;
    }
  }

  /** MOVD and MOVQ xmm, r/m. */
  static final class FromGeneral extends SseOp {
    final int register;
    final int size;

    FromGeneral(Instruction i, int size) {
      super(i);
      register = i.rm;
      this.size = size;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value =
          source == MEMORY ? load(c, memory.linear(c, size, false), size) : c.gpr[register];
      if (c.fault != 0) {
        return FAULT;
      }
      c.xmm[target] = size == 8 ? value : value & 0xFFFF_FFFFL;
      c.xmm[target + 1] = 0;
      return NEXT;
    }
  }

  /** MOVD and MOVQ r/m, xmm. */
  static final class ToGeneral extends SseOp {
    final int register;
    final int size;

    ToGeneral(Instruction i, int size) {
      super(i);
      register = i.rm;
      this.size = size;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long value = c.xmm[target];
      if (source == MEMORY) {
        store(c, memory.linear(c, size, true), size, value);
        return outcome(c);
      }
      c.gpr[register] = size == 8 ? value : value & 0xFFFF_FFFFL;
      return NEXT;
    }
  }

  /** MOVNTI. */
  private static final class StoreGeneral extends MicroOp {
    private final EffectiveAddress memory;
    private final int register;
    private final int size;

    StoreGeneral(Instruction i) {
      super(i.offset, i.length);
      memory = i.address();
      register = i.reg;
      size = i.operandSize == 8 ? 8 : 4;
    }

    @Override
    int execute(Vcpu c) {
      SseOp.store(c, memory.linear(c, size, true), size, c.gpr[register]);
      return SseOp.outcome(c);
    }
  }

  /** MOVMSKPS and MOVMSKPD. */
  private static final class MoveMask extends SseOp {
    private final int register;
    private final int size;

    MoveMask(Instruction i, int size) {
      super(i);
      register = i.reg;
      this.size = size;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long low = c.xmm[source];
      long high = c.xmm[source + 1];
      if (size == 8) {
        c.gpr[register] = low >>> 63 | high >>> 63 << 1;
      } else {
        c.gpr[register] =
            low >>> 31 & 1 | low >>> 63 << 1 | (high >>> 31 & 1) << 2 | high >>> 63 << 3;
      }
      return NEXT;
    }
  }

  /** PMOVMSKB. */
  static final class ByteMask extends SseOp {
    final int register;

    ByteMask(Instruction i) {
      super(i);
      register = i.reg;
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      c.gpr[register] = Lanes.signs8(c.xmm[source]) | Lanes.signs8(c.xmm[source + 1]) << 8;
      return NEXT;
    }
  }

  /** MASKMOVDQU: bytes whose mask has its top bit set, to DS:RDI. */
  private static final class MaskedStore extends SseOp {
    private final EffectiveAddress at;

    MaskedStore(Instruction i) {
      super(i);
      int segment = i.segmentOverride < 0 ? Vcpu.DS : i.segmentOverride;
      long mask = i.addressSize == 8 ? -1L : i.addressSize == 4 ? 0xFFFF_FFFFL : 0xFFFF;
      at = new EffectiveAddress(Vcpu.RDI, Vcpu.ZERO, 0, 0, segment, mask, !i.longMode);
    }

    @Override
    int execute(Vcpu c) {
      if (unavailable(c)) {
        return denied(c);
      }
      long gva = at.linear(c);
      long mask = Lanes.signs8(c.xmm[source]) | Lanes.signs8(c.xmm[source + 1]) << 8;
      for (int i = 0; i < 16 && c.fault == 0; i++) {
        if ((mask >> i & 1) != 0) {
          c.loadForWrite(gva + i, 1);
        }
      }
      for (int i = 0; i < 16 && c.fault == 0; i++) {
        if ((mask >> i & 1) != 0) {
          c.store8(gva + i, c.xmm[target + i / 8] >>> 8 * (i & 7));
        }
      }
      return outcome(c);
    }
  }
}
