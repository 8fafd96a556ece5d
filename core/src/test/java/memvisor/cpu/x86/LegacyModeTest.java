package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Register.AX;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.EBX;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Memory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Real mode and 32-bit protected mode. */
class LegacyModeTest {
  private static final int DATA = 0x9000;

  private static TestCpu real(int... code) {
    TestCpu t = new TestCpu().realMode();
    return start(t, code);
  }

  private static TestCpu flat32(int... code) {
    TestCpu t = new TestCpu().protectedMode32();
    return start(t, code);
  }

  private static TestCpu start(TestCpu t, int... code) {
    long at = 0x7000;
    for (int n = 0; n < code.length; n++) {
      t.write8(at + n, code[n]);
    }
    t.write8(at + code.length, 0xF4);
    t.c.rip = at;
    t.c.gpr[Vcpu.RSP] = 0x6000;
    return t;
  }

  /**
   * @param modRm addressing byte
   * @param address where BX = 0x100, BP = 0x200, SI = 0x10, DI = 0x20 and a displacement lead
   */
  record Addressing(int modRm, int address) {}

  static Stream<Addressing> sixteenBitForms() {
    return Stream.of(
        new Addressing(0x00, 0x110),
        new Addressing(0x01, 0x120),
        new Addressing(0x02, 0x210),
        new Addressing(0x03, 0x220),
        new Addressing(0x04, 0x010),
        new Addressing(0x05, 0x020),
        new Addressing(0x07, 0x100),
        new Addressing(0x46, 0x1F0),
        new Addressing(0x47, 0x0F0),
        new Addressing(0x86, 0x12F0),
        new Addressing(0x06, 0x10F0));
  }

  /** MOV AL, [form]; a displacement is -16 (8 bits) or 10F0h (16 bits). */
  @ParameterizedTest
  @MethodSource("sixteenBitForms")
  void sixteenBitAddressing(Addressing form) {
    boolean wide = form.modRm >= 0x80 || form.modRm == 6;
    TestCpu t = wide ? real(0x8A, form.modRm, 0xF0, 0x10) : real(0x8A, form.modRm, 0xF0);
    if (!wide && form.modRm < 0x40) {
      t = real(0x8A, form.modRm);
    }
    t.c.gpr[Vcpu.RBX] = 0xABCD_0100L;
    t.c.gpr[Vcpu.RBP] = 0x200;
    t.c.gpr[Vcpu.RSI] = 0x10;
    t.c.gpr[Vcpu.RDI] = 0x20;
    t.write8(form.address, 0x5A);
    t.run();
    assertThat(t.rax()).isEqualTo(0x5A);
  }

  @Test
  void sixteenBitOffsetsWrap() {
    TestCpu t = real(0x8A, 0x40, 0x20); // mov al, [bx + si + 20h]
    t.c.gpr[Vcpu.RBX] = 0xFFF0;
    t.c.gpr[Vcpu.RSI] = 0x100;
    t.write8(0x110, 0x5A);
    t.run();
    assertThat(t.rax()).isEqualTo(0x5A);
  }

  @Test
  void segmentBasesCountInRealMode() {
    TestCpu t = real(0x26, 0xA0, 0x34, 0x12); // mov al, es:[1234h]
    t.c.segmentBase[Vcpu.ES] = 0x5_0000;
    t.write8(0x5_1234, 0x5A);
    t.run();
    assertThat(t.rax()).isEqualTo(0x5A);
  }

  @Test
  void anAccessBeyondTheLimitIsRefused() {
    TestCpu t = flat32(0xA1, 0, 0x10, 0, 0); // mov eax, [1000h]
    t.c.segmentLimit[Vcpu.DS] = 0x1002;
    t.c.idtLimit = 0;
    assertThat(t.run()).as("no handler").isEqualTo(RunExit.SHUTDOWN);
    t = flat32(0xA1, 0, 0x10, 0, 0);
    t.c.segmentLimit[Vcpu.DS] = 0x1003;
    assertThat(t.run()).isEqualTo(RunExit.HALTED);
  }

  @Test
  void pushAllAndPopAllAreInverse() {
    TestCpu t = flat32(0x60, 0x31, 0xC0, 0x31, 0xDB, 0x61); // pusha; xor eax; xor ebx; popa
    t.c.gpr[Vcpu.RAX] = 1;
    t.c.gpr[Vcpu.RBX] = 2;
    t.run();
    assertThat(t.rax()).isEqualTo(1);
    assertThat(t.c.gpr[Vcpu.RBX]).isEqualTo(2);
    assertThat(t.c.gpr[Vcpu.RSP]).isEqualTo(0x6000);
    assertThat(t.read(0x6000 - 4) & 0xFFFF_FFFFL).isEqualTo(1);
    assertThat(t.read(0x6000 - 20) & 0xFFFF_FFFFL).as("ESP before").isEqualTo(0x6000);
  }

  @Test
  void incAndDecHaveOneByteForms() {
    TestCpu t = flat32(0x40, 0x40, 0x4B);
    t.run();
    assertThat(t.rax()).isEqualTo(2);
    assertThat(t.c.gpr[Vcpu.RBX]).isEqualTo(0xFFFF_FFFFL);
  }

  /**
   * @param code instruction bytes
   * @param flags AF and CF before
   * @param expected AX, then whether CF is set after
   */
  record Decimal(String name, int[] code, int ax, int flags, int expected, boolean carry) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** The examples of the manual's pages, and both adjustments at once. */
  static Stream<Decimal> decimals() {
    return Stream.of(
        new Decimal("daa 79+35", new int[] {0x27}, 0xAE, 0, 0x14, true),
        new Decimal("daa plain", new int[] {0x27}, 0x42, 0, 0x42, false),
        new Decimal("das 35-47", new int[] {0x2F}, 0xEE, Flags.AF | Flags.CF, 0x88, true),
        new Decimal("aaa 9+8", new int[] {0x37}, 0x11, Flags.AF, 0x107, true),
        new Decimal("aas 3-5", new int[] {0x3F}, 0x2FE, Flags.AF | Flags.CF, 0x108, true),
        new Decimal("aam 63", new int[] {0xD4, 10}, 63, 0, 0x603, false),
        new Decimal("aad 63", new int[] {0xD5, 10}, 0x603, 0, 63, false));
  }

  @ParameterizedTest
  @MethodSource("decimals")
  void decimalAdjustments(Decimal d) {
    TestCpu t = flat32(d.code);
    t.c.gpr[Vcpu.RAX] = d.ax;
    t.c.flags.setStatus(d.flags);
    t.run();
    assertThat(t.rax()).isEqualTo(d.expected);
    assertThat(t.c.flags.cf()).isEqualTo(d.carry);
  }

  @Test
  void operandSizePrefixesSelectTheOtherWidth() {
    TestCpu t = new TestCpu().protectedMode32();
    Assembler a = new Assembler(0x7000);
    a.code32();
    a.mov(EAX, 0x1234_5678);
    a.mov(AX, 0x9ABC);
    a.mov(EBX, DATA);
    a.mov(Memory.at(EBX).word(), AX);
    a.hlt();
    t.write(0x7000, a.assemble());
    t.c.rip = 0x7000;
    t.run();
    assertThat(t.rax()).isEqualTo(0x1234_9ABC);
    assertThat(t.read(DATA)).isEqualTo(0x9ABC);
  }
}
