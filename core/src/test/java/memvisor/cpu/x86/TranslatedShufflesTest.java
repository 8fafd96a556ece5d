package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Instructions that move lanes of vectors about, translated against interpreted. */
class TranslatedShufflesTest {
  private static final int ROUNDS = 300;

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "MOVHLPS, 0F12CA",
    "MOVLHPS, 0F16CA",
    "UNPCKLPS, 0F14CA",
    "UNPCKHPS, 0F15CA",
    "UNPCKLPD, 660F14CA",
    "UNPCKHPD, 660F15CA",
    "PUNPCKLBW, 660F60CA",
    "PUNPCKLWD, 660F61CA",
    "PUNPCKLDQ, 660F62CA",
    "PACKUSWB, 660F67CA",
    "PUNPCKHBW, 660F68CA",
    "PUNPCKHWD, 660F69CA",
    "PUNPCKHDQ, 660F6ACA",
    "PUNPCKLQDQ, 660F6CCA",
    "PUNPCKHQDQ, 660F6DCA",
    "PSHUFD, 660F70CA39",
    "PSHUFD of itself, 660F70C993",
    "PSHUFHW, F30F70CA1B",
    "PSHUFLW, F20F70CA72",
    "SHUFPS, 0FC6CA4E",
    "SHUFPD, 660FC6CA01",
    "PSHUFB, 660F3800CA",
    "PALIGNR, 660F3A0FCA0B",
    "PALIGNR by more than a register, 660F3A0FCA13",
    "PACKSSDW, 660F6BCA",
    "PSHUFD with memory, 660F700B39",
  })
  void translatedInstructionsDoWhatInterpretedOnesDo(String name, String instruction) {
    byte[] program = program(instruction);
    RandomRun interpreted = new RandomRun(program, 1);
    RandomRun translated = new RandomRun(program, 1);
    JitOptions options = JitOptions.of(JitMode.REGIONS).withThreshold(2).withHotThreshold(1000);
    RandomRun.compare(interpreted, translated, options, 20 * ROUNDS, n -> 1 + n % 97);
    assertThat(interpreted.t.vector()).as("not in a handler").isEqualTo(-1);
    assertThat(translated.t.c.translatedInstructions()).isGreaterThan(5 * ROUNDS);
  }

  private static byte[] program(String instruction) {
    HexProgram code = new HexProgram();
    code.put("41BF").put32(ROUNDS); // MOV R15D, ROUNDS
    int again = code.here();
    code.put("4D69C02DF451584981C0B1792D14"); // IMUL R8, R8, factor; ADD R8, addend
    code.put("4C89C148C1E92181E1FF000000"); // RCX = R8 >>> 33 & 255
    code.put("F30F6F0CCB"); // MOVDQU XMM1, [RBX + 8 RCX]
    code.put("66490F6ED0660F6CD1"); // MOVQ XMM2, R8; PUNPCKLQDQ XMM2, XMM1
    code.put(instruction);
    code.put("EB00"); // JMP to what follows
    code.put("660FD7C1"); // PMOVMSKB EAX, XMM1
    code.put("41FFCF").jumpIfNotZero(again); // DEC R15D
    return code.put("F4").bytes();
  }
}
