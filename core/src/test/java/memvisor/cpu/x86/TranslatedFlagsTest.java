package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Flags that one block of a translation leaves to the next: each way to set them, with what reads
 * them or could only in the next block, in loops that are stopped at every instruction.
 */
class TranslatedFlagsTest {
  private static final int ROUNDS = 60;
  private static final int LONGEST_SLICE = 17;

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "CMP of 8 bytes, 4D39C8",
    "CMP of 4 bytes, 4539C8",
    "CMP of 2 bytes, 664539C8",
    "CMP of 1 byte, 4538C8",
    "ADD of 8 bytes, 4D01C8",
    "ADD of 4 bytes, 4501C8",
    "ADC of 8 bytes, 4D11C8",
    "ADC of 1 byte, 4510C8",
    "SUB of 2 bytes, 664529C8",
    "SBB of 8 bytes, 4D19C8",
    "SBB of 4 bytes, 4519C8",
    "AND of 8 bytes, 4D21C8",
    "TEST of 1 byte, 4584C8",
    "NEG of 4 bytes, 41F7D8",
    "INC of 4 bytes, 41FFC0",
    "DEC of 8 bytes, 49FFC8",
    "DEC of 1 byte, 41FEC8",
    "INC after CMP, 4D39C849FFC0",
    "DEC after INC after ADD, 4501C841FFC049FFC8",
    "INC after SHL, 41C1E00341FFC0",
    "SHL of 4 bytes, 41C1E003",
    "SHR of 8 bytes, 49C1E805",
    "SAR of 1 byte, 41C0F802",
    "SHL by CL, 49D3E0",
    "ROR of 8 bytes, 49C1C805",
    "ROL of 4 bytes after SUB, 4529C841C1C007",
    "SHLD, 4D0FA4C80B",
    "BT, 490FBAE009",
    "BT after INC, 41FFC0490FBAE009",
    "IMUL of 8 bytes, 4D0FAFC1",
    "IMUL of 4 bytes, 450FAFC1",
    "IMUL of 2 bytes, 66450FAFC1",
    "UCOMISD, 66490F6EC866490F6ED1660F2ECA",
    "INC after UCOMISD, 66490F6EC866490F6ED1660F2ECA41FFC0",
    "nothing, 90",
  })
  void flagsReachTheNextBlockAndEveryExit(String name, String setter) {
    for (JitMode mode : new JitMode[] {JitMode.BLOCKS, JitMode.REGIONS}) {
      for (int slice = 1; slice <= LONGEST_SLICE; slice++) {
        compare(mode, program(setter), slice);
      }
    }
  }

  private static void compare(JitMode mode, byte[] program, int slice) {
    RandomRun interpreted = new RandomRun(program, slice);
    RandomRun translated = new RandomRun(program, slice);
    JitOptions options = JitOptions.of(mode).withThreshold(2).withHotThreshold(100);
    RandomRun.compare(interpreted, translated, options, 20 * ROUNDS, n -> slice);
    assertThat(translated.t.c.translatedInstructions()).isGreaterThan(ROUNDS);
  }

  /** A loop of three blocks, the second of which may fault before it reads flags. */
  private static byte[] program(String setter) {
    HexProgram code = new HexProgram();
    code.put("49C7C7C4FFFFFF"); // MOV R15, -60
    int again = code.here();
    code.put("4F8D844067452301"); // LEA R8, [R8 + 2 * R8 + 0x1234567]
    code.put("4D8D4975"); // LEA R9, [R9 + 0x75]
    code.put(setter);
    code.put("EB00"); // JMP to what follows
    code.put("4A8B84FB10100000"); // MOV RAX, [RBX + 8 * R15 + 4112]: beyond the page at last
    code.put("0F9643080F9CC10F9AC0"); // SETBE [RBX + 8]; SETL CL; SETP AL
    code.put("7200"); // JB to what follows
    code.put("490F40D1"); // CMOVO RDX, R9
    code.put("49FFC7").jumpIfNotZero(again); // INC R15, which keeps CF for the next round
    return code.put("F4").bytes();
  }
}
