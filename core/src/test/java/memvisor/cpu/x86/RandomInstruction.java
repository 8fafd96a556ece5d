package memvisor.cpu.x86;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Makes an instruction of a form, and a state on which it does not fault. */
final class RandomInstruction {
  private static final long[] CORNERS = {
    0,
    1,
    -1,
    0x80,
    0x7F,
    0xFF,
    0x8000,
    0x7FFF,
    0xFFFF,
    0x8000_0000L,
    0x7FFF_FFFFL,
    0xFFFF_FFFFL,
    Long.MIN_VALUE,
    Long.MAX_VALUE,
    0x0123_4567_89AB_CDEFL
  };

  private static final long[] DOUBLES = {
    0,
    Long.MIN_VALUE,
    0x3FF0_0000_0000_0000L,
    0xBFF0_0000_0000_0000L,
    0x7FF0_0000_0000_0000L,
    0xFFF0_0000_0000_0000L,
    0x7FF8_0000_0000_1234L,
    0x7FF0_0000_0000_4321L,
    0xFFFC_0000_0000_0001L,
    1,
    0x000F_FFFF_FFFF_FFFFL,
    0x0010_0000_0000_0000L,
    0x7FEF_FFFF_FFFF_FFFFL,
    0x8000_0000_0000_0003L,
    0x4330_0000_0000_0001L,
    0x41E0_0000_0000_0000L,
    0xC1E0_0000_0020_0000L,
    0x43E0_0000_0000_0000L,
    0xC3E0_0000_0000_0000L,
    0x3FE0_0000_0000_0000L,
    0x4004_0000_0000_0000L
  };

  private static final int[] FLOATS = {
    0,
    Integer.MIN_VALUE,
    0x3F80_0000,
    0xBF80_0000,
    0x7F80_0000,
    0xFF80_0000,
    0x7FC0_1234,
    0x7F80_4321,
    0xFFE0_0001,
    1,
    0x007F_FFFF,
    0x0080_0000,
    0x7F7F_FFFF,
    0x8000_0003,
    0x4F00_0000,
    0xCF00_0000,
    0x5F00_0000,
    0x3F00_0000,
    0x4020_0000
  };

  private final SplittableRandom random;
  private final byte[] code = new byte[15];
  private int length;
  private ProcessorState state = new ProcessorState();

  RandomInstruction(SplittableRandom random) {
    this.random = random;
  }

  /** Fills {@code in}; answers the instruction's bytes. */
  byte[] make(InstructionForm form, ProcessorState in) {
    state = in;
    fillState(form);
    length = 0;
    int prefix = form.opcode() >>> 24;
    int size = size(form);
    if (size == 2) {
      put(0x66);
    }
    if (prefix != 0) {
      put(prefix);
    }
    boolean divides = form.trait() == InstructionForm.Trait.DIVIDES;
    boolean extended = divides || random.nextInt(3) != 0;
    int rex = (size == 8 ? 0x48 : 0) | (extended ? 0x40 : 0);
    boolean hasModRm = form.reg() != InstructionForm.NO_MODRM;
    ModRm modRm = hasModRm ? modRm(form, size, extended) : new ModRm();
    rex |= rex != 0 || modRm.rex != 0 ? modRm.rex | 0x40 : 0;
    if (rex != 0) {
      put(rex);
    }
    opcode(form.opcode() & 0xFFFFFF);
    for (int i = 0; i < modRm.length; i++) {
      put(modRm.bytes[i]);
    }
    immediate(form, size);
    return Arrays.copyOf(code, length);
  }

  private void put(int value) {
    code[length++] = (byte) value;
  }

  private void opcode(int opcode) {
    if (opcode > 0xFFFF) {
      put(opcode >> 16);
    }
    if (opcode > 0xFF) {
      put(opcode >> 8);
    }
    put(opcode);
  }

  private int size(InstructionForm form) {
    return switch (form.width()) {
      case InstructionForm.BYTE -> 1;
      case InstructionForm.VARIABLE -> 2 << random.nextInt(3);
      case InstructionForm.WIDE -> 4 << random.nextInt(2);
      default -> 0;
    };
  }

  private void immediate(InstructionForm form, int size) {
    int bytes = form.immediateBytes() == 4 ? Math.min(4, size) : form.immediateBytes();
    long value = integer();
    for (int i = 0; i < bytes; i++) {
      put((int) (value >> 8 * i));
    }
  }

  // ---- ModRM ---------------------------------------------------------------------------------

  private static final class ModRm {
    final int[] bytes = new int[6];
    int length;
    int rex;

    void put(int value) {
      bytes[length++] = value;
    }
  }

  private ModRm modRm(InstructionForm form, int size, boolean extended) {
    ModRm m = new ModRm();
    int count = extended ? 16 : 8;
    int reg = form.reg() >= 0 ? form.reg() : register(form.reg() == InstructionForm.GENERAL, count);
    m.rex = reg >= 8 ? 4 : 0;
    boolean memory =
        switch (form.rm()) {
          case InstructionForm.MEMORY_ONLY -> true;
          case InstructionForm.GENERAL_ONLY, InstructionForm.XMM_ONLY -> false;
          default -> random.nextBoolean();
        };
    boolean general =
        form.rm() != InstructionForm.XMM_OR_MEMORY && form.rm() != InstructionForm.XMM_ONLY;
    int rm = register(general || memory, count);
    if (form.trait() == InstructionForm.Trait.DIVIDES && rm == Vcpu.RDX) {
      rm = Vcpu.RBX; // RDX holds part of the dividend, which it could not divide
    }
    if (form.trait() == InstructionForm.Trait.BIT_OFFSET && rm == reg) {
      rm = reg == Vcpu.RBX ? Vcpu.RDI : Vcpu.RBX;
    }
    prepare(form, size, reg, rm, memory);
    m.rex |= rm >= 8 ? 1 : 0;
    if (!memory) {
      m.put(0xC0 | (reg & 7) << 3 | rm & 7);
      return m;
    }
    int displacement = random.nextInt(-128, 128);
    boolean aligned = form.trait() == InstructionForm.Trait.ALIGNED;
    long target =
        HostProcessor.SCRATCH + 2048 + (aligned ? 16 * random.nextInt(8) : random.nextInt(128));
    // Base first, then index: where both are one register, the index must be zero.
    if ((rm & 7) == 4) {
      int index = extended ? random.nextInt(16) : random.nextInt(8);
      boolean none = index == 4 || index == rm || index == reg;
      int scale = random.nextInt(4);
      long indexValue = none ? 0 : state.gpr(index) & 0xFF;
      if (!none) {
        state.setGpr(index, indexValue);
      }
      int encoded = none ? 4 : index;
      m.rex |= encoded >= 8 ? 2 : 0;
      m.put(0x80 | (reg & 7) << 3 | 4);
      m.put(scale << 6 | (encoded & 7) << 3 | rm & 7);
      state.setGpr(rm, target - displacement - (indexValue << scale));
    } else {
      m.put(0x80 | (reg & 7) << 3 | rm & 7);
      state.setGpr(rm, target - displacement);
    }
    for (int i = 0; i < 4; i++) {
      m.put(displacement >> 8 * i & 0xFF);
    }
    return m;
  }

  /** Any register but RSP (and hence, for bytes without REX, not AH). */
  private int register(boolean general, int count) {
    int number = random.nextInt(count);
    return general && number == 4 ? 3 : number;
  }

  /** Makes operands safe. */
  private void prepare(InstructionForm form, int size, int reg, int rm, boolean memory) {
    switch (form.trait()) {
      case BIT_OFFSET -> {
        if (memory) {
          state.setGpr(reg, random.nextInt(-4096, 4096));
        }
      }
      case DIVIDES -> divisible(size, rm);
      default -> {}
    }
  }

  /** A dividend whose quotient fits: the divisor is over twice the high half, the sign positive. */
  private void divisible(int size, int rm) {
    int high = random.nextInt(20);
    state.setGpr(rm, 0x2B2B_2B2B_2B2B_2B2BL + random.nextInt(80));
    state.setGpr(Vcpu.RDX, high);
    state.setGpr(Vcpu.RAX, size == 1 ? high << 8 | random.nextInt(256) : random.nextLong());
    if (rm == Vcpu.RAX) {
      state.setGpr(Vcpu.RDX, 0);
      state.setGpr(Vcpu.RAX, 3);
    }
  }

  // ---- state ---------------------------------------------------------------------------------

  private long integer() {
    return switch (random.nextInt(4)) {
      case 0 -> CORNERS[random.nextInt(CORNERS.length)];
      case 1 -> CORNERS[random.nextInt(CORNERS.length)] + random.nextInt(-2, 3);
      case 2 -> random.nextLong() >> random.nextInt(64);
      default -> random.nextLong();
    };
  }

  private long packed() {
    return switch (random.nextInt(6)) {
      case 0 -> integer();
      case 1 -> DOUBLES[random.nextInt(DOUBLES.length)];
      case 2 -> Double.doubleToRawLongBits(random.nextDouble(-1000, 1000));
      case 3 -> (long) oneFloat() << 32 | oneFloat() & 0xFFFF_FFFFL;
      case 4 -> DOUBLES[random.nextInt(DOUBLES.length)] ^ random.nextInt(4);
      default -> random.nextLong() & 0x0F0F_0F0F_0F0F_0F0FL;
    };
  }

  private int oneFloat() {
    return random.nextInt(3) == 0
        ? Float.floatToRawIntBits((float) random.nextDouble(-1000, 1000))
        : FLOATS[random.nextInt(FLOATS.length)] ^ (random.nextBoolean() ? 0 : random.nextInt(4));
  }

  private void fillState(InstructionForm form) {
    for (int i = 0; i < 16; i++) {
      state.setGpr(i, i == 4 ? 0 : integer());
    }
    state.set64(
        ProcessorState.FLAGS,
        0x202
            | random.nextInt()
                & (Flags.STATUS | (form.trait() == InstructionForm.Trait.STRING ? Flags.DF : 0)));
    for (int i = 0; i < ProcessorState.FXSAVE_BYTES; i += 8) {
      state.set64(ProcessorState.FXSAVE + i, 0);
    }
    for (int i = 0; i < 32; i++) {
      state.set64(ProcessorState.XMM + 8 * i, packed());
    }
    state.set16(ProcessorState.FXSAVE, FpuState.CONTROL_RESET);
    int rounding = random.nextInt(3) == 0 ? random.nextInt(8) << 13 : 0;
    int daz = random.nextInt(8) == 0 ? 1 << 6 : 0;
    state.set32(ProcessorState.MXCSR, 0x1F80 | rounding | daz | (random.nextBoolean() ? 0x20 : 0));
    for (int i = 0; i < 512; i++) {
      long value = i >= 240 && i < 290 ? packed() : i * 0x0101_0101_0101_0101L;
      state.set64(ProcessorState.MEMORY + 8 * i, value);
    }
    if (form.trait() == InstructionForm.Trait.X87) {
      fillX87();
    }
    if (form.trait() == InstructionForm.Trait.STRING) {
      state.setGpr(Vcpu.RCX, random.nextInt(40));
      state.setGpr(Vcpu.RSI, HostProcessor.SCRATCH + 1500 + random.nextInt(600));
      state.setGpr(Vcpu.RDI, HostProcessor.SCRATCH + 1500 + random.nextInt(600));
    }
  }

  private void fillX87() {
    boolean masked = random.nextInt(4) != 0;
    int masks = masked ? 0x3F : random.nextInt(64);
    int precision = random.nextInt(4) == 0 ? random.nextInt(4) : 3;
    precision = precision == 1 ? 3 : precision;
    int rounding = random.nextInt(2) == 0 ? 0 : random.nextInt(4);
    state.set16(ProcessorState.FXSAVE, 0x40 | masks | precision << 8 | rounding << 10);
    int sticky = masked ? random.nextInt(0x40) : 0;
    int status = random.nextInt(8) << 11 | sticky | random.nextInt() & 0x4700;
    state.set16(ProcessorState.FXSAVE + 2, status);
    int tags = random.nextInt(3) == 0 ? random.nextInt(256) : random.nextBoolean() ? 0xFF : 0x3C;
    state.set16(ProcessorState.FXSAVE + 4, tags);
    for (int i = 0; i < 8; i++) {
      int exponent = exponent();
      state.set16(ProcessorState.ST + 16 * i + 8, exponent | (random.nextBoolean() ? 0x8000 : 0));
      state.set64(ProcessorState.ST + 16 * i, significand(exponent));
    }
  }

  private int exponent() {
    return switch (random.nextInt(8)) {
      case 0 -> 0;
      case 1 -> 0x7FFF;
      case 2 -> random.nextInt(0x8000);
      case 3 -> random.nextBoolean() ? 1 + random.nextInt(70) : 0x7FFE - random.nextInt(70);
      case 4 -> 0x3FFF + random.nextInt(-1100, 1100);
      default -> 0x3FFF + random.nextInt(-3, 66);
    };
  }

  private long significand(int exponent) {
    long bits =
        switch (random.nextInt(5)) {
          case 0 -> 0;
          case 1 -> integer();
          case 2 -> random.nextLong() & -1L << random.nextInt(64);
          case 3 -> -1L << random.nextInt(64);
          default -> random.nextLong();
        };
    boolean odd = random.nextInt(50) == 0;
    boolean integerBit = exponent != 0 ? !odd : odd;
    return integerBit ? bits | Long.MIN_VALUE : bits & Long.MAX_VALUE;
  }
}
