package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.Stream;
import memvisor.cpu.x86.asm.Assembler;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** CPUID: what is advertised, and that nothing else is. */
final class CpuModelTest {
  record Answer(String name, int leaf, int subleaf, int register, long mask, long value) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Answer> answers() {
    long all = 0xFFFF_FFFFL;
    return Stream.of(
        new Answer("highest leaf", 0, 0, 0, all, 0x16),
        new Answer("vendor Genu", 0, 0, 1, all, 0x756E6547),
        new Answer("vendor ineI", 0, 0, 3, all, 0x49656E69),
        new Answer("vendor ntel", 0, 0, 2, all, 0x6C65746E),
        new Answer("family 6 model 28 stepping 10", 1, 0, 0, all, 0x106CA),
        new Answer("no VMX, no XSAVE, no hypervisor", 1, 0, 2, 0x8400_0020L, 0),
        new Answer("no MCE, MTRR, MCA", 1, 0, 3, 0x5080, 0),
        new Answer("no leaf 7 subleaf 1", 7, 1, 1, all, 0),
        new Answer("ARAT", 6, 0, 0, all, 4),
        new Answer("crystal ratio denominator", 0x15, 0, 0, all, 1),
        new Answer("crystal ratio numerator", 0x15, 0, 1, all, 40),
        new Answer("crystal rate", 0x15, 0, 2, all, 25_000_000),
        new Answer("MHz", 0x16, 0, 0, all, 1000),
        new Answer("beyond the last leaf", 0x17, 0, 0, all, 0),
        new Answer("no hypervisor leaves", 0x4000_0000, 0, 0, all, 0),
        new Answer("highest extended leaf", 0x8000_0000, 0, 0, all, 0x8000_0008L),
        new Answer("address widths", 0x8000_0008, 0, 0, all, 0x3028));
  }

  @ParameterizedTest
  @MethodSource("answers")
  void theDefaultModelAnswers(Answer a) {
    int[] r = CpuModel.atom().cpuid(a.leaf, a.subleaf, 0);
    assertThat(r[a.register] & a.mask).isEqualTo(a.value);
  }

  @ParameterizedTest
  @EnumSource(CpuFeature.class)
  void aFeatureIsOneBitAndOnlyThat(CpuFeature feature) {
    CpuModel base = CpuModel.atom();
    int[] without = base.without(feature).cpuid(feature.leaf, 0, 0);
    int[] with = base.with(feature).cpuid(feature.leaf, 0, 0);
    assertThat(with[feature.register] & ~without[feature.register]).isEqualTo(1 << feature.bit);
    assertThat(without[feature.register] & ~with[feature.register]).isZero();
  }

  @Test
  void cpuidIsAnsweredInFourZeroExtendedRegisters() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RAX, 0xFFFF_FFFF_8000_0000L);
    vm.set(RegisterName.RBX, -1);
    vm.set(RegisterName.RCX, -1);
    vm.program(Assembler::cpuid);
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RAX)).isEqualTo(0x8000_0008L);
    assertThat(vm.get(RegisterName.RBX)).isZero();
    assertThat(vm.get(RegisterName.RCX)).isZero();
  }

  @Test
  void osxsaveFollowsCr4() {
    SystemVm vm = SystemVm.longMode();
    vm.c.setModel(vm.c.model().with(CpuFeature.XSAVE));
    vm.set(RegisterName.CR4, vm.get(RegisterName.CR4) | 1 << 18);
    vm.set(RegisterName.RAX, 1);
    vm.program(Assembler::cpuid);
    vm.c.run(1);
    assertThat(vm.get(RegisterName.RCX) >>> 26 & 3).isEqualTo(3);
  }

  @Test
  void theExtendedStateLeafComesWithXsave() {
    assertThat(CpuModel.atom().cpuid(0xD, 0, 0)).containsOnly(0);
    assertThat(CpuModel.atom().with(CpuFeature.XSAVE).cpuid(0xD, 0, 0))
        .containsExactly(3, 576, 576, 0);
  }

  @Test
  void theBrandStringIsSpreadOverThreeLeaves() {
    StringBuilder text = new StringBuilder();
    for (int leaf = 0x8000_0002; leaf <= 0x8000_0004; leaf++) {
      for (int word : CpuModel.atom().cpuid(leaf, 0, 0)) {
        for (int shift = 0; shift < 32; shift += 8) {
          text.append((char) (word >>> shift & 0xFF));
        }
      }
    }
    assertThat(text.toString().trim()).isEqualTo("Memvisor software x86-64 processor");
  }

  @Test
  void impossibleModelsAreRefused() {
    CpuModel base = CpuModel.atom();
    assertThatThrownBy(() -> base.withPhysicalAddressBits(53)).hasMessageContaining("53");
    assertThatThrownBy(() -> base.withClock(1_000_000_001L, 25_000_000L))
        .hasMessageContaining("1000000001");
  }
}
