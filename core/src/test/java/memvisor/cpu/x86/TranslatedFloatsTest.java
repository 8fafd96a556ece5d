package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Scalar floating-point instructions, translated against interpreted, on numbers of every kind
 * under settings of MXCSR of every kind: results, flags and raised exceptions, also where one is
 * unmasked and its handler masks it.
 */
class TranslatedFloatsTest {
  private static final int ROUNDS = 1000;
  private static final int NUMBERS = 32;
  private static final int SETTINGS = 16;

  /** Where the settings of MXCSR are, behind the numbers. */
  private static final int SETTINGS_AT = 8 * NUMBERS;

  private static final int MASKED = 0x1F80;
  private static final int INEXACT = 1 << 5;
  private static final int UP = 2 << 13;
  private static final int TO_ZERO = 3 << 13;
  private static final int DAZ = 1 << 6;
  private static final int FTZ = 1 << 15;

  private static final int[] MXCSR = {
    MASKED,
    MASKED | INEXACT,
    MASKED | INEXACT,
    MASKED | INEXACT,
    MASKED | INEXACT,
    MASKED | INEXACT | 1,
    MASKED | 0x3F,
    MASKED | UP,
    MASKED | INEXACT | UP,
    MASKED | TO_ZERO,
    MASKED | DAZ | INEXACT,
    MASKED | FTZ | INEXACT,
    MASKED | DAZ | FTZ,
    MASKED & ~(1 << 12),
    MASKED & ~(1 << 7) | INEXACT,
    0x3F
  };

  private static final double[] DOUBLES = {
    0.0,
    -0.0,
    1,
    -1,
    1.5,
    2.5,
    -0.5,
    1 / 3.0,
    16807,
    0x1p31,
    -0x1p31,
    0x1p31 - 1,
    0x1p63,
    -0x1p63,
    0x1.fffffffffffffp62,
    1e300,
    -1e300,
    1e-300,
    Double.MIN_NORMAL,
    Double.MIN_VALUE,
    -0x1p-1060,
    Double.MAX_VALUE,
    Double.POSITIVE_INFINITY,
    Double.NEGATIVE_INFINITY,
    Double.longBitsToDouble(0x7FF8_0000_0000_1234L),
    0x1p-126,
    0x1p-149,
    0x1p127,
    0x1.fffffffp127,
    Math.PI,
    -Math.E,
    1e10
  };

  private static final long SIGNALING_64 = 0x7FF0_0000_0000_0001L;
  private static final int SIGNALING_32 = 0xFF80_0001;

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "ADDSD, F20F58CA",
    "ADDSD with memory, F20F580CD3",
    "SUBSD, F20F5CCA",
    "MULSD, F20F59CA",
    "DIVSD, F20F5ECA",
    "DIVSD with memory, F20F5E0CD3",
    "SQRTSD, F20F51CA",
    "MINSD, F20F5DCA",
    "MAXSD, F20F5FCA",
    "ADDSS, F30F58CA",
    "SUBSS with memory, F30F5C0CD3",
    "MULSS, F30F59CA",
    "DIVSS, F30F5ECA",
    "SQRTSS, F30F51CA",
    "UCOMISD, 660F2ECA",
    "COMISD with memory, 660F2F0CD3",
    "UCOMISS, 0F2ECA",
    "COMISS, 0F2FCA",
    "CVTSI2SD of 8 bytes, F2490F2ACB",
    "CVTSI2SD of 4 bytes, F2410F2ACB",
    "CVTSI2SD of 4 bytes of memory, F20F2A0CD3",
    "CVTSI2SS of 8 bytes, F3490F2ACB",
    "CVTSI2SS of 4 bytes, F3410F2ACB",
    "CVTTSD2SI to 8 bytes, F24C0F2CDA",
    "CVTTSD2SI to 4 bytes, F2440F2CDA",
    "CVTSD2SI to 8 bytes, F24C0F2DDA",
    "CVTSD2SI to 4 bytes of memory, F2440F2D1CD3",
    "CVTTSS2SI to 4 bytes, F3440F2CDA",
    "CVTSS2SI to 8 bytes, F34C0F2DDA",
    "CVTSD2SS, F20F5ACA",
    "CVTSS2SD, F30F5ACA",
    "CVTSS2SD with memory, F30F5A0CD3",
  })
  void translatedInstructionsDoWhatInterpretedOnesDo(String name, String instruction) {
    boolean ofFloats = name.contains("SS2") || name.split(" ", 2)[0].endsWith("SS");
    for (JitMode mode : new JitMode[] {JitMode.BLOCKS, JitMode.REGIONS}) {
      compare(
          mode,
          program(instruction),
          ofFloats && !name.startsWith("CVTSI") && !name.contains("SD2"));
    }
  }

  private static void compare(JitMode mode, byte[] program, boolean floats) {
    RandomRun interpreted = prepare(program, floats);
    RandomRun translated = prepare(program, floats);
    JitOptions options = JitOptions.of(mode).withThreshold(2).withHotThreshold(1000);
    RandomRun.compare(interpreted, translated, options, 30 * ROUNDS, n -> 30 + n % 97);
    assertThat(interpreted.t.vector()).as("not in a handler").isEqualTo(-1);
    assertThat(translated.t.c.translatedInstructions()).isGreaterThan(10 * ROUNDS);
  }

  private static RandomRun prepare(byte[] program, boolean floats) {
    RandomRun run = new RandomRun(program, 1);
    for (int n = 0; n < NUMBERS; n++) {
      long bits =
          floats
              ? Float.floatToRawIntBits((float) DOUBLES[n])
              : Double.doubleToRawLongBits(DOUBLES[n]);
      run.t.write(TestCpu.DATA + 8 * n, bits);
    }
    run.t.write(TestCpu.DATA + 8 * 17, floats ? SIGNALING_32 : SIGNALING_64);
    for (int n = 0; n < SETTINGS; n += 2) {
      run.t.write(TestCpu.DATA + SETTINGS_AT + 4 * n, MXCSR[n] | (long) MXCSR[n + 1] << 32);
    }
    // the handler of #XM: LDMXCSR [first setting]; IRETQ
    long at = TestCpu.DATA + SETTINGS_AT;
    String handler = "0FAE1425" + "%08X".formatted(Integer.reverseBytes((int) at)) + "48CF";
    run.t.write(TestCpu.HANDLERS + 16 * Vector.XM, HexFormat.of().parseHex(handler));
    return run;
  }

  /** A loop that executes the instruction on random numbers under random settings. */
  private static byte[] program(String instruction) {
    HexProgram code = new HexProgram();
    code.put("41BF").put32(ROUNDS); // MOV R15D, ROUNDS
    int again = code.here();
    code.put("4D69C02DF451584981C0B1792D14"); // IMUL R8, R8, factor; ADD R8, addend
    code.put("4C89C148C1E92183E11F"); // RCX = R8 >>> 33 & 31
    code.put("4C89C248C1EA2B83E21F"); // RDX = R8 >>> 43 & 31
    code.put("4C89C648C1EE3583E60F"); // RSI = R8 >>> 53 & 15
    code.put("F30F7E0CCBF30F7E14D3"); // MOVQ XMM1, [RBX + 8 RCX]; MOVQ XMM2, [RBX + 8 RDX]
    code.put("4C8B1CD349D3FB"); // MOV R11, [RBX + 8 RDX]; SAR R11, CL
    code.put("0FAE94B3").put32(SETTINGS_AT); // LDMXCSR [RBX + 4 RSI + SETTINGS_AT]
    code.put(instruction);
    code.put("0F96C00F9CC40F9AC5"); // SETBE AL; SETL AH; SETP CH
    code.put("EB00"); // JMP to what follows
    code.put("7700490F40C9"); // JA to what follows; CMOVO RCX, R9
    code.put("41FFCF").jumpIfNotZero(again); // DEC R15D
    return code.put("F4").bytes();
  }
}
