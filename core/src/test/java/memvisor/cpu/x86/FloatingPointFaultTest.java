package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Memory.at;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Xmm.XMM0;
import static memvisor.cpu.x86.asm.Xmm.XMM1;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.Assembler;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** When floating-point instructions fault (Intel SDM vol. 2A, 2.4 and vol. 3A, 2.5). */
class FloatingPointFaultTest {
  private static final int NONE = -1;
  private static final long EM = 1 << 2;
  private static final long TS = 1 << 3;
  private static final long MP = 1 << 1;
  private static final long OSFXSR = 1 << 9;
  private static final long OSXMMEXCPT = 1 << 10;

  record Case(
      String name,
      long cr0,
      long cr4Without,
      int misalignment,
      Consumer<Assembler> code,
      int vector) {
    @Override
    public String toString() {
      return name;
    }
  }

  private final SingleStepper cpu = new SingleStepper();
  private final ProcessorState in = new ProcessorState();
  private final ProcessorState out = new ProcessorState();

  FloatingPointFaultTest() {
    in.set32(ProcessorState.MXCSR, FpuState.MXCSR_RESET);
    in.set16(ProcessorState.FXSAVE, FpuState.CONTROL_RESET);
  }

  static List<Case> cases() {
    Consumer<Assembler> movaps = a -> a.movaps(XMM0, at(RBX));
    Consumer<Assembler> fld1 = a -> a.x87(0xD9, 0xE8);
    return List.of(
        new Case("aligned load", 0, 0, 0, movaps, NONE),
        new Case("misaligned MOVAPS", 0, 0, 8, movaps, Vector.GP),
        new Case("misaligned MOVUPS", 0, 0, 1, a -> a.movups(XMM0, at(RBX)), NONE),
        new Case("misaligned ADDPS", 0, 0, 4, a -> a.sse(0x0F58, XMM0, at(RBX)), Vector.GP),
        new Case("misaligned ADDSD", 0, 0, 4, a -> a.addsd(XMM0, at(RBX)), NONE),
        new Case("misaligned FXSAVE", 0, 0, 8, a -> a.fxsave64(at(RBX)), Vector.GP),
        new Case("SSE with TS", TS, 0, 0, movaps, Vector.NM),
        new Case("SSE with EM", EM, 0, 0, movaps, Vector.UD),
        new Case("SSE without OSFXSR", 0, OSFXSR, 0, movaps, Vector.UD),
        new Case("x87 with TS", TS, 0, 0, fld1, Vector.NM),
        new Case("x87 with EM", EM, 0, 0, fld1, Vector.NM),
        new Case("FXSAVE with TS", TS, 0, 0, a -> a.fxsave64(at(RBX)), Vector.NM),
        new Case("FWAIT with TS alone", TS, 0, 0, Assembler::fwait, NONE),
        new Case("FWAIT with TS and MP", TS | MP, 0, 0, Assembler::fwait, Vector.NM));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void controlRegistersAndAlignmentDecide(Case one) {
    cpu.c.paging.setCr0(cpu.c.paging.cr0() | one.cr0);
    cpu.c.paging.setCr4(cpu.c.paging.cr4() & ~one.cr4Without);
    assertThat(run(one.code, one.misalignment)).isEqualTo(one.vector);
  }

  @Test
  void anUnmaskedSseExceptionRaisesXmAndWritesNoResult() {
    in.set32(ProcessorState.MXCSR, FpuState.MXCSR_RESET & ~(1 << 9));
    in.set64(ProcessorState.XMM, Double.doubleToRawLongBits(1));
    assertThat(run(a -> a.divsd(XMM0, XMM1), 0)).isEqualTo(Vector.XM);
    assertThat(out.get64(ProcessorState.XMM)).isEqualTo(Double.doubleToRawLongBits(1));
    assertThat(out.get32(ProcessorState.MXCSR) & FloatUnit.DIVIDE_BY_ZERO).isNotZero();
  }

  @Test
  void anUnmaskedSseExceptionIsUndefinedWithoutSupport() {
    cpu.c.paging.setCr4(cpu.c.paging.cr4() & ~OSXMMEXCPT);
    in.set32(ProcessorState.MXCSR, FpuState.MXCSR_RESET & ~(1 << 9));
    in.set64(ProcessorState.XMM, Double.doubleToRawLongBits(1));
    assertThat(run(a -> a.divsd(XMM0, XMM1), 0)).isEqualTo(Vector.UD);
  }

  @Test
  void anUnmaskedX87ExceptionWaitsForTheNextInstruction() {
    in.set16(ProcessorState.FXSAVE, FpuState.CONTROL_RESET & ~FloatUnit.INVALID);
    assertThat(run(a -> a.x87(0xD9, 0xFA), 0)).as("FSQRT of an empty register").isEqualTo(NONE);
    in.copyFrom(out);
    in.setGpr(Vcpu.RBX, HostProcessor.SCRATCH);
    assertThat(run(Assembler::fwait, 0)).isEqualTo(Vector.MF);
    assertThat(run(Assembler::fninit, 0)).isEqualTo(NONE);
    in.copyFrom(out);
    assertThat(run(Assembler::fwait, 0)).isEqualTo(NONE);
  }

  @Test
  void loadingReservedMxcsrBitsIsRefused() {
    in.set32(ProcessorState.MEMORY, 1 << 16);
    assertThat(run(a -> a.ldmxcsr(at(RBX)), 0)).isEqualTo(Vector.GP);
  }

  @Test
  void fxrstorBringsBackWhatFxsaveSaved() {
    for (int i = 0; i < 32; i++) {
      in.set64(ProcessorState.XMM + 8 * i, 0x0101_0101_0101_0101L * i);
    }
    for (int i = 0; i < 8; i++) {
      in.set64(ProcessorState.ST + 16 * i, Long.MIN_VALUE | i);
      in.set16(ProcessorState.ST + 16 * i + 8, 0x3FFF + i);
    }
    in.set16(ProcessorState.FXSAVE + 2, 5 << 11);
    in.set16(ProcessorState.FXSAVE + 4, 0xE0);
    assertThat(run(a -> a.fxsave64(at(RBX)), 0)).isEqualTo(NONE);
    ProcessorState blank = new ProcessorState();
    for (int i = 0; i < ProcessorState.MEMORY_BYTES; i += 8) {
      blank.set64(ProcessorState.MEMORY + i, out.get64(ProcessorState.MEMORY + i));
    }
    ProcessorState restored = new ProcessorState();
    blank.setGpr(Vcpu.RBX, HostProcessor.SCRATCH);
    assertThat(cpu.run(bytes(a -> a.fxrstor64(at(RBX))), blank, restored)).isEqualTo(NONE);
    for (int at = ProcessorState.ST; at < ProcessorState.XMM + 256; at += 8) {
      assertThat(restored.get64(at)).as("offset %d", at).isEqualTo(in.get64(at));
    }
    assertThat(restored.get64(ProcessorState.FXSAVE)).isEqualTo(in.get64(ProcessorState.FXSAVE));
  }

  private int run(Consumer<Assembler> code, int misalignment) {
    in.setGpr(Vcpu.RBX, HostProcessor.SCRATCH + misalignment);
    return cpu.run(bytes(code), in, out);
  }

  private static byte[] bytes(Consumer<Assembler> code) {
    Assembler a = new Assembler(HostProcessor.SLOT);
    code.accept(a);
    return a.assemble();
  }
}
