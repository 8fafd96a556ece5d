package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * String instructions, translated against interpreted: forwards and backwards, from none to many
 * elements, across pages, onto their own source, and at last into a page that is not there.
 */
class TranslatedStringsTest {
  private static final int ROUNDS = 400;

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "STOSB, AA",
    "REP STOSB, F3AA",
    "REP STOSW, F366AB",
    "REP STOSD, F3AB",
    "REP STOSQ, F348AB",
    "REP STOSB to 32-bit addresses, 67F3AA",
    "MOVSQ, 48A5",
    "REP MOVSB, F3A4",
    "REP MOVSW, F366A5",
    "REP MOVSD, F3A5",
    "REP MOVSQ, F348A5",
    "REP MOVSB from FS, 64F3A4",
    "LODSD, AD",
    "REPE CMPSB, F3A6",
    "REPNE SCASB, F2AE",
    "SCASD, AF",
  })
  void translatedInstructionsDoWhatInterpretedOnesDo(String name, String instruction) {
    for (JitMode mode : new JitMode[] {JitMode.BLOCKS, JitMode.REGIONS}) {
      compare(mode, program(instruction));
    }
  }

  private static void compare(JitMode mode, byte[] program) {
    RandomRun interpreted = new RandomRun(program, 1);
    RandomRun translated = new RandomRun(program, 1);
    JitOptions options = JitOptions.of(mode).withThreshold(2).withHotThreshold(1000);
    RandomRun.compare(interpreted, translated, options, 100 * ROUNDS, n -> 1 + n % 97);
    assertThat(translated.t.c.translatedInstructions()).isGreaterThan(5 * ROUNDS);
  }

  private static byte[] program(String instruction) {
    HexProgram code = new HexProgram();
    code.put("49C7C7").put32(-ROUNDS); // MOV R15, -ROUNDS
    int again = code.here();
    code.put("4D69C02DF451584981C0B1792D14"); // IMUL R8, R8, factor; ADD R8, addend
    code.put("4C89C148C1E92183E17F"); // RCX = R8 >>> 33 & 127
    code.put("4C89C748C1EF2B81E7FF030000"); // RDI = R8 >>> 43 & 1023
    code.put("488DBC3B00FEFFFF"); // LEA RDI, [RBX + RDI - 512]
    code.put("4C89C648C1EE3581E6FF030000"); // RSI = R8 >>> 53 & 1023
    code.put("488DB43300FEFFFF"); // LEA RSI, [RBX + RSI - 512]
    code.put("4C89C0490FBAE03C7301FD"); // MOV RAX, R8; BT R8, 60; JNC over; STD
    code.put(instruction);
    code.put("0F96C4").put("9C5AFC"); // SETBE AH; PUSHF; POP RDX; CLD
    code.put("4A8DBCFB00100000"); // LEA RDI, [RBX + 8 R15 + 4096]
    code.put("488D33B90C000000"); // LEA RSI, [RBX]; MOV ECX, 12
    code.put(instruction);
    code.put("49FFC7").jumpIfNotZero(again); // INC R15
    return code.put("F4").bytes();
  }
}
