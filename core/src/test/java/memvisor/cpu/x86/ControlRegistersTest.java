package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.ControlRegister;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.tlb.Intercepts;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Writes of control registers and MSRs, and the instructions that need them. */
final class ControlRegistersTest {
  private static final int CR0 = 0x8001_0033;
  private static final int CR4 = 0xA0;

  record Write(String name, ControlRegister register, long value, boolean allowed) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Write> longModeWrites() {
    return Stream.of(
        new Write("CR0 unchanged", ControlRegister.CR0, CR0 & 0xFFFF_FFFFL, true),
        new Write("CR0 without WP", ControlRegister.CR0, 0x8000_0033L, true),
        new Write("CR0 bit 32", ControlRegister.CR0, 0x1_8001_0033L, false),
        new Write("PG without PE", ControlRegister.CR0, 0x8001_0032L, false),
        new Write("NW without CD", ControlRegister.CR0, 0xA001_0033L, false),
        new Write("PG cleared in 64-bit code", ControlRegister.CR0, 0x0001_0033, false),
        new Write("CR3 with PWT and PCD", ControlRegister.CR3, SystemVm.PML4 | 0x18, true),
        new Write("CR3 above MAXPHYADDR", ControlRegister.CR3, 1L << 40 | SystemVm.PML4, false),
        new Write("CR3 bit 63 without PCIDE", ControlRegister.CR3, 1L << 63 | 0x8000, false),
        new Write("CR4 without PAE", ControlRegister.CR4, 0x80, false),
        new Write("CR4.LA57 switched", ControlRegister.CR4, CR4 | 0x1000, false),
        new Write("CR4.VMXE does not exist", ControlRegister.CR4, CR4 | 0x2000, false),
        new Write("CR4.PKE does not exist", ControlRegister.CR4, CR4 | 0x40_0000, false),
        new Write("CR4 bit 40", ControlRegister.CR4, CR4 | 1L << 40, false),
        new Write("CR4.OSXSAVE without XSAVE", ControlRegister.CR4, CR4 | 0x4_0000, false),
        new Write("CR4.PCIDE", ControlRegister.CR4, CR4 | 0x2_0000, true),
        new Write("CR4.SMEP", ControlRegister.CR4, CR4 | 0x600, true),
        new Write("CR8 within range", ControlRegister.CR8, 15, true),
        new Write("CR8 beyond 15", ControlRegister.CR8, 16, false));
  }

  @ParameterizedTest
  @MethodSource("longModeWrites")
  void aWriteIsAllowedOrRaisesGpAndChangesNothing(Write w) {
    SystemVm vm = SystemVm.longMode();
    long before = vm.c.paging.cr0() ^ vm.c.paging.cr3() ^ vm.c.paging.cr4();
    vm.set(RegisterName.RAX, w.value);
    vm.run(
        a -> {
          a.mov(w.register, Register.RAX);
          a.mov(Register.RBX, w.register);
          a.hlt();
        });
    if (w.allowed) {
      assertThat(vm.vector()).isEqualTo(-1);
      assertThat(vm.get(RegisterName.RBX)).isEqualTo(w.value);
    } else {
      assertThat(vm.vector()).isEqualTo(Vector.GP);
      assertThat(vm.stack(0)).isZero();
      assertThat(vm.c.paging.cr0() ^ vm.c.paging.cr3() ^ vm.c.paging.cr4()).isEqualTo(before);
    }
  }

  @Test
  void pcideNeedsAPcidOfZeroAndThenKeepsBit63OutOfCr3() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.CR3, SystemVm.PML4 | 0x18);
    vm.run(
        a -> {
          a.mov(Register.EAX, CR4 | 0x2_0000);
          a.mov(ControlRegister.CR4, Register.RAX);
        });
    assertThat(vm.vector()).isEqualTo(Vector.GP);

    SystemVm with = SystemVm.longMode();
    with.c.setIntercepts(Intercepts.ALL);
    with.set(RegisterName.RBX, 1L << 63 | SystemVm.PML4 | 5);
    with.run(
        a -> {
          a.mov(Register.EAX, CR4 | 0x2_0000);
          a.mov(ControlRegister.CR4, Register.RAX);
          a.mov(ControlRegister.CR3, Register.RBX);
          a.mov(Register.RCX, ControlRegister.CR3);
          a.hlt();
        });
    assertThat(with.get(RegisterName.RCX)).isEqualTo(SystemVm.PML4 | 5);
    assertThat(with.monitor.exits).containsExactly("controls", "cr3 keep=true");
  }

  @Test
  void switchingPagingOnEntersLongMode() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.CR0, 0x33);
    vm.set(RegisterName.EFER, 0x100);
    vm.c.registers().setSegment(SegmentName.CS, SegmentState.code32(SystemVm.CODE32));
    vm.run(
        a -> {
          a.mov(Register.EAX, CR0 & 0xFFFF_FFFFL);
          a.mov(ControlRegister.CR0, Register.EAX);
          a.hlt();
        });
    assertThat(vm.get(RegisterName.EFER)).isEqualTo(0x500);
    assertThat(vm.c.registers().codeBits()).isEqualTo(32);
    assertThat(vm.vector()).isEqualTo(-1);
  }

  @Test
  void longModeNeedsPae() {
    SystemVm vm = SystemVm.protectedMode();
    vm.set(RegisterName.EFER, 0x100);
    vm.run(
        a -> {
          a.mov(Register.EAX, CR0 & 0xFFFF_FFFFL);
          a.mov(ControlRegister.CR0, Register.EAX);
        });
    assertThat(vm.vector()).isEqualTo(Vector.GP);
    assertThat(vm.get(RegisterName.EFER)).isEqualTo(0x100);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 0x0000_1001, 0x100_0000_1001L, 3, 0x8000_0000_0000_0001L, 0x1FE})
  void loadingCr3InPaeModeChecksThePdptes(long pdpte) {
    SystemVm vm = SystemVm.protectedMode();
    long identity = 0x6000;
    vm.write64(0x5000, identity | 1);
    vm.write64(identity, 0x83);
    vm.write64(identity + 8, 0x20_0083);
    vm.write64(0x5020, identity | 1);
    vm.write64(0x5028, pdpte);
    boolean allowed = pdpte == 1 || pdpte == 0x1001 || pdpte == 0x1FE;
    vm.run(
        a -> {
          a.mov(Register.EAX, CR4);
          a.mov(ControlRegister.CR4, Register.EAX);
          a.mov(Register.EAX, 0x5000);
          a.mov(ControlRegister.CR3, Register.EAX);
          a.mov(Register.EAX, CR0 & 0xFFFF_FFFFL);
          a.mov(ControlRegister.CR0, Register.EAX);
          a.mov(Register.EAX, 0x5020);
          a.mov(ControlRegister.CR3, Register.EAX);
          a.hlt();
        });
    assertThat(vm.vector()).isEqualTo(allowed ? -1 : Vector.GP);
    assertThat(vm.c.paging.cr3()).isEqualTo(allowed ? 0x5020 : 0x5000);
    assertThat(vm.c.paging.pdpte(1)).isEqualTo(allowed ? pdpte : 0);
  }

  // ---- MSRs --------------------------------------------------------------------------------

  record Msr(String name, int index, long value, boolean allowed) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Msr> msrs() {
    long low = 0x7FFF_FFFF_FFFFL;
    long high = 0xFFFF_8000_0000_0000L;
    long hole = 0x8000_0000_0000L;
    Stream<Integer> addresses =
        Stream.of(
            Msrs.LSTAR,
            Msrs.CSTAR,
            Msrs.FS_BASE,
            Msrs.GS_BASE,
            Msrs.KERNEL_GS_BASE,
            Msrs.SYSENTER_ESP,
            Msrs.SYSENTER_EIP);
    Stream<Msr> canonical =
        addresses.flatMap(
            i ->
                Stream.of(
                    new Msr("%x lowest half".formatted(i), i, low, true),
                    new Msr("%x highest half".formatted(i), i, high, true),
                    new Msr("%x hole".formatted(i), i, hole, false),
                    new Msr("%x below the high half".formatted(i), i, high - 1, false)));
    return Stream.concat(
        canonical,
        Stream.of(
            new Msr("EFER unchanged", Msrs.EFER, 0xD01, true),
            new Msr("EFER reserved bit", Msrs.EFER, 0xD03, false),
            new Msr("EFER.LME while paging", Msrs.EFER, 0xC01, false),
            new Msr("STAR", Msrs.STAR, 0x0023_0010_0000_0000L, true),
            new Msr("FMASK high bits", Msrs.FMASK, 1L << 32, false),
            new Msr("PAT", Msrs.PAT, 0x0407_0506_0007_0106L, true),
            new Msr("PAT reserved type", Msrs.PAT, 0x02, false),
            new Msr("APIC base is the monitor's", Msrs.APIC_BASE, 0xFEE0_0900L, true),
            new Msr("no such register", 0xC001_0015, 0, false)));
  }

  @ParameterizedTest
  @MethodSource("msrs")
  void wrmsrChecksAndRdmsrReadsBack(Msr m) {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.RCX, m.index & 0xFFFF_FFFFL);
    vm.set(RegisterName.RAX, m.value & 0xFFFF_FFFFL);
    vm.set(RegisterName.RDX, m.value >>> 32);
    vm.run(
        a -> {
          a.wrmsr();
          a.xor(Register.EAX, Register.EAX);
          a.xor(Register.EDX, Register.EDX);
          a.rdmsr();
          a.hlt();
        });
    if (m.allowed) {
      assertThat(vm.vector()).isEqualTo(-1);
      long read = vm.get(RegisterName.RAX) | vm.get(RegisterName.RDX) << 32;
      assertThat(read).isEqualTo(m.value);
    } else {
      assertThat(vm.vector()).isEqualTo(Vector.GP);
      assertThat(vm.stack(1)).isEqualTo(SystemVm.CODE);
    }
  }

  @Test
  void writingTheTimeStampMovesTscAdjust() {
    SystemVm vm = SystemVm.longMode();
    vm.monitor.clock = 1000;
    vm.set(RegisterName.RCX, Msrs.TSC);
    vm.set(RegisterName.RAX, 400);
    vm.set(RegisterName.RDX, 0);
    vm.run(
        a -> {
          a.wrmsr();
          a.rdtsc();
          a.hlt();
        });
    assertThat(vm.get(RegisterName.RAX)).isEqualTo(400);
    assertThat(vm.get(RegisterName.TSC_ADJUST)).isEqualTo(-600);
  }

  // ---- privileges and features -------------------------------------------------------------

  record Refused(String name, int vector, Consumer<Assembler> code, Consumer<SystemVm> prepare) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static Refused user(String name, Consumer<Assembler> code) {
    return new Refused(name, Vector.GP, code, SystemVm::user);
  }

  private static Refused without(String name, CpuFeature feature, Consumer<Assembler> code) {
    return new Refused(name, Vector.UD, code, vm -> vm.c.setModel(vm.c.model().without(feature)));
  }

  static Stream<Refused> refused() {
    Memory memory = Memory.absolute(SystemVm.SPARE);
    return Stream.of(
        user("HLT", Assembler::hlt),
        user("CLI", Assembler::cli),
        user("STI", Assembler::sti),
        user("CLTS", Assembler::clts),
        user("WBINVD", Assembler::wbinvd),
        user("INVLPG", a -> a.invlpg(memory)),
        user("INVPCID", a -> a.invpcid(Register.RAX, memory)),
        user("SWAPGS", Assembler::swapgs),
        user("LGDT", a -> a.lgdt(memory)),
        user("LIDT", a -> a.lidt(memory)),
        user("LTR", a -> a.ltr(Register.AX)),
        user("LLDT", a -> a.lldt(Register.AX)),
        user("LMSW", a -> a.lmsw(Register.AX)),
        user("RDMSR", Assembler::rdmsr),
        user("WRMSR", Assembler::wrmsr),
        user("MOV from CR3", a -> a.mov(Register.RAX, ControlRegister.CR3)),
        user("MOV to CR8", a -> a.mov(ControlRegister.CR8, Register.RAX)),
        user("SYSRET", Assembler::sysretq),
        user("IN", a -> a.in(Register.AL, 0x80)),
        new Refused(
            "RDTSC with TSD",
            Vector.GP,
            Assembler::rdtsc,
            vm -> {
              vm.set(RegisterName.CR4, CR4 | 4);
              vm.user();
            }),
        new Refused("STAC in user mode", Vector.UD, Assembler::stac, SystemVm::user),
        new Refused("RDFSBASE without CR4", Vector.UD, a -> a.rdfsbase(Register.RAX), vm -> {}),
        new Refused("XGETBV without OSXSAVE", Vector.UD, Assembler::xgetbv, vm -> {}),
        without("STAC", CpuFeature.SMAP, Assembler::stac),
        without("RDTSCP", CpuFeature.RDTSCP, Assembler::rdtscp),
        without("INVPCID", CpuFeature.INVPCID, a -> a.invpcid(Register.RAX, memory)),
        new Refused("RDRAND", Vector.UD, a -> a.db(0x0F, 0xC7, 0xF0), vm -> {}),
        new Refused("MONITOR", Vector.UD, a -> a.db(0x0F, 0x01, 0xC8), vm -> {}),
        new Refused("RSM", Vector.UD, a -> a.db(0x0F, 0xAA), vm -> {}),
        new Refused("MOV to CS", Vector.UD, a -> a.db(0x8E, 0xC8), vm -> {}),
        new Refused("MOV from CR5", Vector.UD, a -> a.db(0x0F, 0x20, 0xE8), vm -> {}));
  }

  @ParameterizedTest
  @MethodSource("refused")
  void anInstructionIsRefused(Refused r) {
    SystemVm vm = SystemVm.longMode();
    r.prepare.accept(vm);
    vm.run(r.code);
    assertThat(vm.vector()).isEqualTo(r.vector);
    assertThat(vm.stack(r.vector == Vector.GP ? 1 : 0)).isEqualTo(SystemVm.CODE);
  }

  @ParameterizedTest
  @ValueSource(ints = {17, 20})
  void aFeatureThatIsNotAdvertisedHasNoBitInCr4(int bit) {
    CpuFeature feature = bit == 17 ? CpuFeature.PCID : CpuFeature.SMEP;
    SystemVm vm = SystemVm.longMode();
    vm.c.setModel(vm.c.model().without(feature));
    vm.set(RegisterName.RAX, CR4 | 1L << bit);
    vm.run(a -> a.mov(ControlRegister.CR4, Register.RAX));
    assertThat(vm.vector()).isEqualTo(Vector.GP);
  }

  // ---- INVPCID -----------------------------------------------------------------------------

  record Invpcid(String name, long type, long low, long address, boolean pcide, boolean allowed) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Invpcid> invpcids() {
    long hole = 0x8000_0000_0000L;
    return Stream.of(
        new Invpcid("one address", 0, 5, 0x1234, true, true),
        new Invpcid("one address, not canonical", 0, 5, hole, true, false),
        new Invpcid("one context", 1, 0xFFF, hole, true, true),
        new Invpcid("everything", 2, 0, hole, true, true),
        new Invpcid("everything but globals", 3, 0, 0, true, true),
        new Invpcid("no such type", 4, 0, 0, true, false),
        new Invpcid("type beyond 32 bits", 1L << 32, 0, 0, true, false),
        new Invpcid("reserved bit in the descriptor", 1, 0x1000, 0, true, false),
        new Invpcid("PCID without PCIDE", 1, 1, 0, false, false),
        new Invpcid("PCID 0 without PCIDE", 0, 0, 0x1000, false, true));
  }

  @ParameterizedTest
  @MethodSource("invpcids")
  void invpcidChecksItsOperands(Invpcid i) {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.CR4, i.pcide ? CR4 | 0x2_0000 : CR4);
    vm.c.setIntercepts(Intercepts.ALL);
    vm.write64(SystemVm.SPARE, i.low);
    vm.write64(SystemVm.SPARE + 8, i.address);
    vm.set(RegisterName.RAX, i.type);
    vm.run(
        a -> {
          a.invpcid(Register.RAX, Memory.absolute(SystemVm.SPARE));
          a.hlt();
        });
    assertThat(vm.vector()).isEqualTo(i.allowed ? -1 : Vector.GP);
    if (i.allowed) {
      assertThat(vm.monitor.exits)
          .containsExactly("invpcid %d %x %x".formatted(i.type, i.low, i.address));
    } else {
      assertThat(vm.monitor.exits).isEmpty();
    }
  }

  @Test
  void invlpgOfANonCanonicalAddressDoesNothing() {
    SystemVm vm = SystemVm.longMode();
    vm.c.setIntercepts(Intercepts.ALL);
    vm.set(RegisterName.RAX, 0x8000_0000_0000L);
    vm.run(
        a -> {
          a.invlpg(Memory.at(Register.RAX));
          a.invlpg(Memory.absolute(0x1000));
          a.hlt();
        });
    assertThat(vm.vector()).isEqualTo(-1);
    assertThat(vm.monitor.exits).containsExactly("invlpg 1000");
  }

  // ---- SMAP --------------------------------------------------------------------------------

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void stacLetsTheKernelReadUserPagesUntilClac(boolean stac) {
    SystemVm vm = SystemVm.longMode();
    vm.write64(SystemVm.PD, 0x83); // code, tables and stacks belong to the kernel
    vm.set(RegisterName.CR4, CR4 | 0x20_0000);
    vm.run(
        a -> {
          if (stac) {
            a.stac();
          }
          a.mov(Register.EAX, Memory.absolute(SystemVm.SPARE));
          a.clac();
          a.mov(Register.EBX, Memory.absolute(SystemVm.SPARE));
        });
    assertThat(vm.vector()).isEqualTo(Vector.PF);
    assertThat(vm.stack(0)).isEqualTo(1);
    assertThat(vm.stack(1)).isEqualTo(SystemVm.CODE + (stac ? 13 : 0));
  }

  // ---- FS and GS ---------------------------------------------------------------------------

  @Test
  void wrgsbaseAndSwapgsExchangeBases() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.CR4, CR4 | 0x1_0000);
    vm.set(RegisterName.KERNEL_GS_BASE, 0xFFFF_8880_0000_0000L);
    vm.set(RegisterName.RAX, 0x7FFF_0000_0000L);
    vm.run(
        a -> {
          a.wrgsbase(Register.RAX);
          a.swapgs();
          a.rdgsbase(Register.RBX);
          a.hlt();
        });
    assertThat(vm.get(RegisterName.RBX)).isEqualTo(0xFFFF_8880_0000_0000L);
    assertThat(vm.get(RegisterName.KERNEL_GS_BASE)).isEqualTo(0x7FFF_0000_0000L);
  }

  @Test
  void wrfsbaseRejectsANonCanonicalBase() {
    SystemVm vm = SystemVm.longMode();
    vm.set(RegisterName.CR4, CR4 | 0x1_0000);
    vm.set(RegisterName.RAX, 0x8000_0000_0000L);
    vm.run(a -> a.wrfsbase(Register.RAX));
    assertThat(vm.vector()).isEqualTo(Vector.GP);
  }
}
