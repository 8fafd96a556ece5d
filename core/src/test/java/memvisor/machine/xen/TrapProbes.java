package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.AL;
import static memvisor.cpu.x86.asm.Register.AX;
import static memvisor.cpu.x86.asm.Register.DX;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.EDX;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBP;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;
import static memvisor.cpu.x86.asm.Register.RSP;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.ControlRegister;
import memvisor.cpu.x86.asm.DebugRegister;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.SegmentRegister;

/** Exceptions of the guest's kernel, as frames on its stack, and the instructions of ring 0. */
final class TrapProbes {
  private static final long NOT_CANONICAL = 0x8000_0000_0000_0000L;
  private static final long MONITORS = 0xFFFF_8300_0000_0000L;

  private TrapProbes() {}

  static List<PvProbe> all() {
    List<PvProbe> all = new ArrayList<>();
    exceptions(all);
    interrupts(all);
    debugging(all);
    controls(all);
    ports(all);
    modelSpecific(all);
    cpuid(all);
    return all;
  }

  /** The vector and all of the frame that does not depend on where the guest lies. */
  private static PvProbe trap(String name, Consumer<PvKit> body) {
    return PvProbe.of(
        name,
        k -> {
          Label at = k.a.label();
          k.caught(() -> body.accept(k), at);
          k.resultFrame(PvKit.Frame.ERROR);
          k.resultRip(at);
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.RFLAGS);
          k.resultFrame(PvKit.Frame.SS);
          k.a.mov(RAX, k.word(PvKit.Frame.RSP));
          k.a.sub(RAX, RSP);
          k.result(RAX);
          k.a.mov(RAX, k.handlerRsp());
          k.a.sub(RAX, RSP);
          k.result(RAX);
        });
  }

  private static void exceptions(List<PvProbe> all) {
    all.add(trap("trap-ud2", k -> k.a.ud2()));
    all.add(
        trap(
            "trap-division",
            k -> {
              k.a.mov(ECX, 0);
              k.a.div(ECX);
            }));
    all.add(trap("trap-hlt", k -> k.a.hlt()));
    all.add(
        trap(
            "trap-selector",
            k -> {
              k.a.mov(EAX, 0x53);
              k.a.mov(SegmentRegister.DS, AX);
            }));
    all.add(
        trap(
            "trap-selector-of-the-monitor",
            k -> {
              k.a.mov(EAX, 0xE040);
              k.a.mov(SegmentRegister.ES, AX);
            }));
    all.add(
        trap(
            "load-of-flat-data",
            k -> {
              k.a.mov(EAX, 0xE02B);
              k.a.mov(SegmentRegister.DS, AX);
              k.a.mov(SegmentRegister.ES, AX);
              k.a.mov(EAX, 0);
              k.a.mov(SegmentRegister.DS, AX);
              k.a.mov(SegmentRegister.ES, AX);
              k.a.ud2();
            }));
    all.add(
        trap(
            "trap-not-canonical",
            k -> {
              k.a.mov(RAX, NOT_CANONICAL);
              k.a.mov(AL, Memory.at(RAX));
            }));
    all.add(
        trap(
            "trap-stack-not-canonical",
            k -> {
              k.a.mov(RBP, NOT_CANONICAL);
              k.a.mov(AL, Memory.at(RBP));
            }));
    for (Object[] c : new Object[][] {{"read", 0}, {"write", 1}, {"fetch", 2}}) {
      all.add(
          PvProbe.of(
              "page-fault-" + c[0],
              k -> {
                k.a.mov(RBX, 0x12_3456);
                k.caught(
                    () -> {
                      switch ((int) c[1]) {
                        case 0 -> k.a.mov(AL, Memory.at(RBX));
                        case 1 -> k.a.mov(Memory.at(RBX), AL);
                        default -> k.a.jmp(RBX);
                      }
                    });
                k.resultFrame(PvKit.Frame.ERROR);
                k.a.mov(RAX, ControlRegister.CR2);
                k.result(RAX);
              }));
    }
    all.add(
        PvProbe.of(
            "page-fault-write-protected",
            k -> {
              k.mapPage(0, 0x61);
              k.caught(() -> k.a.mov(k.page(0), AL));
              k.resultFrame(PvKit.Frame.ERROR);
              k.mapPage(0, 0x63);
            }));
    all.add(
        PvProbe.of(
            "page-fault-no-execute",
            k -> {
              k.mapPage(0, 1L << 63 | 0x63);
              k.a.lea(RBX, k.page(0));
              k.caught(() -> k.a.jmp(RBX));
              k.resultFrame(PvKit.Frame.ERROR);
              k.mapPage(0, 0x63);
            }));
    all.add(
        trap(
            "stack-misaligned",
            k -> {
              k.a.sub(RSP, 12);
              k.a.ud2();
            }));
    all.add(
        trap(
            "flags-of-the-handler",
            k -> {
              k.a.pushf();
              k.a.pop(RAX);
              k.a.or(RAX, 1 << 14 | 1 << 18 | 1 << 10);
              k.a.push(RAX);
              k.a.popf();
              k.a.ud2();
            }));
    all.add(
        PvProbe.of(
            "flags-seen-in-the-handler",
            k -> {
              // The last trap left the handler's flags in force.
              k.a.pushf();
              k.a.pop(RAX);
              k.a.cld();
              k.result(RAX);
            }));
    all.add(
        PvProbe.of(
            "segments-at-the-start",
            k -> {
              k.a.mov(EAX, SegmentRegister.CS);
              k.result(RAX);
              k.a.mov(EAX, SegmentRegister.SS);
              k.result(RAX);
              k.a.mov(EAX, SegmentRegister.DS);
              k.result(RAX);
              k.a.mov(EAX, SegmentRegister.ES);
              k.result(RAX);
            }));
  }

  private static void interrupts(List<PvProbe> all) {
    for (int vector : new int[] {0x80, 0x81, 0x20, 0x03, 0x0D, 0x06, 0xFF}) {
      all.add(trap("int-" + Integer.toHexString(vector), k -> k.a.int_(vector)));
    }
    all.add(trap("int3", k -> k.a.int3()));
    all.add(
        trap(
            "int-of-dpl-0",
            k -> {
              Label handler = k.a.label();
              Label over = k.a.label();
              k.a.jmp(over);
              k.a.bind(handler);
              k.catchFrame(0x90, false);
              k.a.bind(over);
              Label table = k.words(0xE033_0090L, handler, 0, 0);
              k.call(Hypercalls.SET_TRAP_TABLE, table);
              k.a.int_(0x90);
            }));
    all.add(
        trap(
            "int-of-dpl-1",
            k -> {
              Label handler = k.a.label();
              Label over = k.a.label();
              k.a.jmp(over);
              k.a.bind(handler);
              k.catchFrame(0x91, false);
              k.a.bind(over);
              Label table = k.words(0xE033_0191L, handler, 0, 0);
              k.call(Hypercalls.SET_TRAP_TABLE, table);
              k.a.int_(0x91);
            }));
    all.add(
        trap(
            "task-switched",
            k -> {
              k.call(Hypercalls.FPU_TASKSWITCH, 1);
              k.a.db(0xD9, 0xE8); // fld1
            }));
    all.add(
        trap(
            "task-switched-is-cleared-by-the-trap",
            k -> {
              k.a.db(0xD9, 0xE8);
              k.a.db(0xDD, 0xD8); // fstp st0
              k.a.ud2();
            }));
    all.add(
        trap(
            "clts",
            k -> {
              k.call(Hypercalls.FPU_TASKSWITCH, 1);
              k.a.clts();
              k.a.db(0xD9, 0xE8);
              k.a.db(0xDD, 0xD8);
              k.a.ud2();
            }));
  }

  private static void debugging(List<PvProbe> all) {
    all.add(
        trap(
            "single-step",
            k -> {
              k.a.pushf();
              k.a.or(Memory.at(RSP).qword(), 1 << 8);
              k.a.popf();
              k.a.nop();
              k.a.nop();
            }));
    all.add(
        PvProbe.of(
            "single-step-status",
            k -> {
              k.answer(Hypercalls.GET_DEBUGREG, 6);
              k.a.mov(RAX, DebugRegister.DR6);
              k.result(RAX);
            }));
    all.add(
        trap(
            "execution-breakpoint",
            k -> {
              Label at = k.a.label();
              k.a.lea(RSI, Memory.at(at));
              k.call(Hypercalls.SET_DEBUGREG, 0, RSI);
              k.call(Hypercalls.SET_DEBUGREG, 7, 0x2);
              k.a.nop();
              k.a.bind(at);
              k.a.nop();
              k.a.ud2();
            }));
    all.add(
        trap(
            "write-breakpoint",
            k -> {
              k.a.lea(RSI, k.page(0));
              k.call(Hypercalls.SET_DEBUGREG, 0, RSI);
              k.call(Hypercalls.SET_DEBUGREG, 7, 0x1_0002L);
              k.a.mov(k.page(0), AL);
              k.a.nop();
              k.a.ud2();
            }));
    all.add(
        PvProbe.of(
            "debug-registers-cleared",
            k -> {
              k.answer(Hypercalls.SET_DEBUGREG, 7, 0);
              k.answer(Hypercalls.SET_DEBUGREG, 6, 0);
              k.answer(Hypercalls.GET_DEBUGREG, 6);
              k.answer(Hypercalls.GET_DEBUGREG, 7);
              k.answer(Hypercalls.GET_DEBUGREG, 0);
              k.answer(Hypercalls.SET_DEBUGREG, 0, 0);
            }));
    for (int number : new int[] {0, 3, 4, 5, 6, 7, 8, 99}) {
      for (long value : new long[] {0x1234, NOT_CANONICAL, MONITORS, 0x1_0000_0000L}) {
        all.add(
            PvProbe.of(
                "debug-register-%d-to-%x".formatted(number, value),
                k -> {
                  k.answer(Hypercalls.SET_DEBUGREG, number, value);
                  k.answer(Hypercalls.GET_DEBUGREG, number);
                  k.call(Hypercalls.SET_DEBUGREG, number, 0);
                }));
      }
    }
    for (long value : new long[] {0x402, 0x2000, 0x2_0002L, 0x300, 0x8, 0xF000_0400L}) {
      all.add(
          PvProbe.of(
              "debug-control-%x".formatted(value),
              k -> {
                k.answer(Hypercalls.SET_DEBUGREG, 7, value);
                k.answer(Hypercalls.GET_DEBUGREG, 7);
                k.call(Hypercalls.SET_DEBUGREG, 7, 0);
              }));
    }
    all.add(
        trap(
            "move-to-debug-register",
            k -> {
              k.a.mov(EAX, 0x1234);
              k.a.mov(DebugRegister.DR1, RAX);
              k.a.mov(RBX, DebugRegister.DR1);
              k.a.mov(EAX, 0);
              k.a.mov(DebugRegister.DR1, RAX);
              k.a.cmp(RBX, 0x1234);
              k.a.ud2();
            }));
    all.add(
        trap(
            "move-to-debug-register-of-the-monitors",
            k -> {
              k.a.mov(RAX, MONITORS);
              k.a.mov(DebugRegister.DR1, RAX);
            }));
  }

  private static void controls(List<PvProbe> all) {
    all.add(value("control-register-0", k -> k.a.mov(RAX, ControlRegister.CR0)));
    all.add(value("control-register-4", k -> k.a.mov(RAX, ControlRegister.CR4)));
    all.add(value("control-register-8", k -> k.a.mov(RAX, ControlRegister.CR8)));
    all.add(
        value(
            "control-register-2",
            k -> {
              k.a.mov(RAX, 0x1234_5678);
              k.a.mov(ControlRegister.CR2, RAX);
              k.a.mov(RAX, ControlRegister.CR2);
            }));
    all.add(
        value(
            "control-register-3",
            k -> {
              k.a.mov(RAX, Memory.at(k.startInfo));
              k.a.mov(RAX, Memory.at(RAX, 88));
              k.mfnOfRax(RDX);
              k.a.shl(RDX, 12);
              k.a.mov(RAX, ControlRegister.CR3);
              k.a.sub(RAX, RDX);
            }));
    all.add(
        value(
            "control-register-3-written",
            k -> {
              k.a.mov(RAX, ControlRegister.CR3);
              k.a.mov(ControlRegister.CR3, RAX);
              k.a.mov(RAX, 0);
            }));
    all.add(
        value(
            "control-register-3-to-a-page",
            k -> {
              k.mfnOfPage(RDX, 0);
              k.a.shl(RDX, 12);
              k.a.mov(ControlRegister.CR3, RDX);
            }));
    for (long bit : new long[] {1 << 3, 1 << 1, 1 << 16, 1L << 31, 1L << 29}) {
      all.add(
          value(
              "control-register-0-flip-%x".formatted(bit),
              k -> {
                k.a.mov(RAX, ControlRegister.CR0);
                k.a.mov(RBX, RAX);
                k.a.mov(RCX, bit);
                k.a.xor(RAX, RCX);
                k.a.mov(ControlRegister.CR0, RAX);
                k.a.mov(RAX, ControlRegister.CR0);
                k.a.mov(ControlRegister.CR0, RBX);
              }));
    }
    for (int bit = 0; bit < 24; bit++) {
      long mask = 1L << bit;
      all.add(
          value(
              "control-register-4-flip-%x".formatted(mask),
              k -> {
                k.a.mov(RAX, ControlRegister.CR4);
                k.a.mov(RBX, RAX);
                k.a.mov(RCX, mask);
                k.a.xor(RAX, RCX);
                k.a.mov(ControlRegister.CR4, RAX);
                k.a.mov(RAX, ControlRegister.CR4);
                k.a.mov(ControlRegister.CR4, RBX);
              }));
    }
    all.add(value("wbinvd", k -> k.a.wbinvd()));
    all.add(value("invd", k -> k.a.db(0x0F, 0x08)));
    all.add(value("invlpg", k -> k.a.invlpg(k.page(0))));
    all.add(value("swapgs", k -> k.a.swapgs()));
    all.add(value("lldt", k -> k.a.lldt(AX)));
    all.add(value("ltr", k -> k.a.ltr(AX)));
    all.add(value("lgdt", k -> k.a.lgdt(k.page(0))));
    all.add(value("iretq-from-kernel", k -> {}));
    all.add(value("sysret", k -> k.a.sysretq()));
    all.add(value("lmsw", k -> k.a.lmsw(AX)));
    all.add(
        value(
            "rdtsc",
            k -> {
              k.a.rdtsc();
              k.a.mov(RAX, 0);
            }));
  }

  /** RAX after the body, unless it trapped: then the vector and the error code. */
  private static PvProbe value(String name, Consumer<PvKit> body) {
    return PvProbe.of(
        name,
        k -> {
          Label at = k.a.label();
          k.caught(
              () -> {
                k.a.mov(EAX, 0);
                body.accept(k);
                k.a.mov(k.page(5), RAX);
              },
              at);
          k.a.mov(RAX, k.page(5));
          k.result(RAX);
          k.a.mov(k.page(5).qword(), 0);
          k.resultFrame(PvKit.Frame.ERROR);
        });
  }

  private static void setIopl(PvKit k, int level) {
    k.call(Hypercalls.PHYSDEV_OP, 6, k.words(level));
  }

  private static void ports(List<PvProbe> all) {
    for (int level = 0; level <= 3; level++) {
      int iopl = level;
      all.add(
          value(
              "cli-at-iopl-" + iopl,
              k -> {
                setIopl(k, iopl);
                k.a.cli();
                k.a.sti();
                k.a.pushf();
                k.a.pop(RAX);
              }));
      all.add(
          value(
              "in-at-iopl-" + iopl,
              k -> {
                setIopl(k, iopl);
                k.a.mov(RAX, 0x1122_3344_5566_7788L);
                k.a.in(AL, 0x21);
              }));
    }
    all.add(
        value(
            "in-word",
            k -> {
              k.a.mov(RAX, 0x1122_3344_5566_7788L);
              k.a.mov(DX, 0x40);
              k.a.in(AX);
            }));
    all.add(
        value(
            "in-long",
            k -> {
              k.a.mov(RAX, 0x1122_3344_5566_7788L);
              k.a.mov(EDX, 0xA0);
              k.a.in(EAX);
            }));
    all.add(
        value(
            "out",
            k -> {
              k.a.mov(EAX, 0);
              k.a.out(0x21, AL);
            }));
    all.add(
        value(
            "ins",
            k -> {
              k.a.mov(k.page(0).qword(), 0);
              k.a.lea(RDI, k.page(0));
              k.a.mov(ECX, 3);
              k.a.mov(EDX, 0x21);
              k.a.rep();
              k.a.ins(1);
              k.a.mov(RAX, k.page(0));
            }));
    all.add(
        value(
            "ins-to-nowhere",
            k -> {
              k.a.mov(RDI, 0x1000);
              k.a.mov(ECX, 3);
              k.a.mov(EDX, 0x21);
              k.a.rep();
              k.a.ins(1);
            }));
    all.add(
        value(
            "outs",
            k -> {
              k.a.lea(RSI, k.page(0));
              k.a.mov(ECX, 3);
              k.a.mov(EDX, 0x21);
              k.a.rep();
              k.a.outs(1);
              k.a.mov(RAX, RCX);
            }));
    for (int architectural = 0; architectural < 2; architectural++) {
      int on = architectural;
      for (int level : new int[] {0, 1, 3}) {
        all.add(
            PvProbe.of(
                "frame-at-iopl-" + level + (on == 1 ? "-architectural" : ""),
                k -> {
                  k.call(Hypercalls.VM_ASSIST, 1 - on, 4);
                  setIopl(k, level);
                  k.caught(() -> k.a.ud2());
                  k.resultFrame(PvKit.Frame.RFLAGS);
                  k.caught(() -> k.a.cli());
                }));
      }
    }
    all.add(
        PvProbe.of(
            "iopl-restored",
            k -> {
              k.answer(Hypercalls.VM_ASSIST, 1, 4);
              setIopl(k, 1);
            }));
  }

  private static PvProbe read(long index) {
    return read("rdmsr-%x", index);
  }

  private static PvProbe read(String name, long index) {
    return value(
        name.formatted(index),
        k -> {
          k.a.mov(ECX, index);
          k.a.rdmsr();
          k.a.shl(RDX, 32);
          k.a.or(RAX, RDX);
        });
  }

  private static PvProbe write(long index, long written) {
    return value(
        "wrmsr-%x-to-%x".formatted(index, written),
        k -> {
          k.a.mov(ECX, index);
          k.a.mov(EAX, written & 0xFFFF_FFFFL);
          k.a.mov(EDX, written >>> 32);
          k.a.wrmsr();
          k.a.mov(EAX, 0);
        });
  }

  private static void modelSpecific(List<PvProbe> all) {
    for (long index :
        new long[] {
          0x1B,
          0x3A,
          0x48,
          0x8B,
          0xCE,
          0xFE,
          0x10A,
          0x140,
          0x174,
          0x175,
          0x176,
          0x179,
          0x1A0,
          0x1D9,
          0x200,
          0x277,
          0x2FF,
          0x345,
          0x400,
          0x401,
          0x480,
          0x800,
          0x830,
          0xC90,
          0xDA0,
          0x1234_5678L,
          0x4000_0000L,
          0x4000_0001L,
          0x4000_0200L,
          0xC000_0080L,
          0xC000_0081L,
          0xC000_0082L,
          0xC000_0083L,
          0xC000_0084L,
          0xC000_0102L,
          0xC000_0103L,
          0xC001_0015L,
          0xC001_001FL,
          0xC001_0055L,
          0xC001_0114L,
          0xC001_1029L
        }) {
      all.add(read(index));
    }
    all.add(write(0xC000_0080L, 0xD01));
    all.add(write(0xC000_0080L, 0x500));
    all.add(write(0x277, 0x0501_0007_0406L));
    all.add(write(0x277, 0x0007_0406_0007_0406L));
    all.add(write(0xC000_0100L, 0x1234_5000));
    all.add(read("rdmsr-%x-written", 0xC000_0100L));
    all.add(write(0xC000_0100L, NOT_CANONICAL));
    all.add(write(0xC000_0100L, 0));
    all.add(write(0xC000_0102L, 0x2345_6000));
    all.add(read("rdmsr-%x-written", 0xC000_0102L));
    all.add(write(0xC000_0102L, NOT_CANONICAL));
    all.add(write(0xC000_0102L, MONITORS));
    all.add(write(0xC000_0102L, 0));
    all.add(write(0xC000_0101L, 0x3456_7000));
    all.add(read("rdmsr-%x-written", 0xC000_0101L));
    all.add(write(0xC000_0101L, NOT_CANONICAL));
    all.add(write(0xC000_0101L, 0));
    for (long index :
        new long[] {
          0x10,
          0x1B,
          0x8B,
          0x174,
          0x1A0,
          0x1D9,
          0x200,
          0x830,
          0xC000_0081L,
          0xC000_0082L,
          0xC000_0103L,
          0x1234_5678L,
          0x4000_0000L
        }) {
      all.add(write(index, 0));
    }
  }

  private static PvProbe leaf(String name, long leaf, long subleaf, int registers) {
    return PvProbe.of(
        name,
        k -> {
          k.a.mov(EAX, leaf);
          k.a.mov(ECX, subleaf);
          k.a.db(0x0F, 0x0B, 'x', 'e', 'n');
          k.a.cpuid();
          k.a.push(RDX);
          k.a.push(RCX);
          k.a.push(RBX);
          k.a.push(RAX);
          for (int i = 0; i < 4; i++) {
            k.a.pop(RAX);
            if ((registers >>> i & 1) != 0) {
              k.result(RAX);
            }
          }
        });
  }

  private static void cpuid(List<PvProbe> all) {
    all.add(leaf("cpuid-xen", 0x4000_0000L, 0, 15));
    all.add(leaf("cpuid-xen-version", 0x4000_0001L, 0, 15));
    all.add(leaf("cpuid-xen-pages", 0x4000_0002L, 0, 15));
    all.add(leaf("cpuid-xen-5", 0x4000_0005L, 0, 1));
    all.add(leaf("cpuid-xen-unknown", 0x4000_0077L, 0, 15));
    all.add(leaf("cpuid-hypervisor-next", 0x4000_0100L, 0, 15));
  }
}
