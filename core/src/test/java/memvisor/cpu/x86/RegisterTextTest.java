package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The lines are those of QEMU 7.2's {@code info registers} for the same values. */
final class RegisterTextTest {
  private final SystemVm vm = SystemVm.longMode();
  private RegisterFile registers;

  @BeforeEach
  void inLongMode() {
    registers = vm.c.registers();
    registers.set(RegisterName.EFER, 0xD01);
    registers.set(RegisterName.CR0, 0x80050033L);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ES   | 0    | 0                  | 0          | 0      | ES =0000 0000000000000000 00000000 00000000",
        "CS   | 0x10 | 0                  | 0xffffffff | 0xaf9b | CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]",
        "SS   | 0x18 | 0                  | 0xffffffff | 0xcf93 | SS =0018 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]",
        "GS   | 0    | 0xffff88850f600000 | 0          | 0      | GS =0000 ffff88850f600000 00000000 00000000",
        "LDTR | 0    | 0                  | 0          | 0x82   | LDT=0000 0000000000000000 00000000 00008200 DPL=0 LDT",
        "TR   | 0x40 | 0xfffffe0000003000 | 0x4087     | 0x89   | TR =0040 fffffe0000003000 00004087 00008900 DPL=0 TSS64-avl",
      })
  void aSegmentIsShownAsQemuShowsIt(
      SegmentName name,
      String selector,
      String base,
      String limit,
      String attributes,
      String line) {
    registers.setSegment(
        name,
        new SegmentState(
            Integer.decode(selector),
            Long.parseUnsignedLong(base.replace("0x", ""), 16),
            (int) Long.parseLong(limit.replace("0x", ""), 16),
            Integer.decode(attributes)));
    assertThat(registers.describe().lines()).contains(line);
  }

  @Test
  void theListingHasQemusLinesInQemusOrder() {
    assertThat(registers.describe().lines().map(line -> line.split("[= ]")[0]))
        .containsExactly(
            "CPU#0", "RAX", "RSI", "R8", "R12", "RIP", "ES", "CS", "SS", "DS", "FS", "GS", "LDT",
            "TR", "GDT", "IDT", "CR0", "DR0", "DR6", "EFER", "FCW", "FPR0", "FPR2", "FPR4", "FPR6",
            "XMM00", "XMM02", "XMM04", "XMM06", "XMM08", "XMM10", "XMM12", "XMM14");
  }
}
