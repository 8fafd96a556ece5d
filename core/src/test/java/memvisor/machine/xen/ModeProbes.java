package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.AL;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.R12;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSP;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.ControlRegister;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.SegmentRegister;

/** Kernel mode and user mode: what crosses between them, and iret. */
final class ModeProbes {
  private static final int SYSTEM_CALL = 0x101;
  private static final int SYSENTER = 0x102;
  private static final int FAILSAFE = 0x103;
  private static final long NOT_CANONICAL = 0x8000_0000_0000_0000L;

  private ModeProbes() {}

  static List<PvProbe> all() {
    List<PvProbe> all = new ArrayList<>();
    all.add(PvProbe.of("user-tables", PvKit::installUser));
    all.add(user("user-system-call-without-callback", k -> k.a.syscall()));
    all.add(user("user-sysenter-without-callback", k -> k.a.db(0x0F, 0x34)));
    all.add(
        PvProbe.of(
            "callbacks",
            k -> {
              callback(k, 2, 0, k.handler(SYSTEM_CALL));
              callback(k, 5, 0, k.handler(SYSENTER));
              Label over = k.a.label();
              k.a.jmp(over);
              Label failsafe = k.a.labelHere();
              k.catchRaw(FAILSAFE);
              k.a.bind(over);
              callback(k, 1, 0, failsafe);
            }));
    traps(all);
    systemCalls(all);
    bases(all);
    returns(all);
    impossible(all);
    return all;
  }

  private static void callback(PvKit k, int type, int flags, Label handler) {
    k.answer(Hypercalls.CALLBACK_OP, 0, k.words(type | (long) flags << 16, handler));
  }

  /** All of the frame, and where the handler's stack is. */
  private static PvProbe user(String name, Consumer<PvKit> code) {
    return PvProbe.of(
        name,
        k -> {
          k.user(() -> code.accept(k));
          frame(k);
        });
  }

  private static void frame(PvKit k) {
    for (PvKit.Frame word : PvKit.Frame.values()) {
      if (word != PvKit.Frame.R11) {
        k.resultFrame(word);
      }
    }
    k.kernelStack();
    k.a.mov(RAX, k.handlerRsp());
    k.a.sub(RAX, R12);
    k.result(RAX);
    k.a.mov(EAX, SegmentRegister.CS);
    k.result(RAX);
  }

  private static void traps(List<PvProbe> all) {
    all.add(user("user-ud2", k -> k.a.ud2()));
    all.add(user("user-int80", k -> k.a.int_(0x80)));
    all.add(user("user-int3", k -> k.a.int3()));
    all.add(user("user-int-3", k -> k.a.int_(3)));
    all.add(user("user-hlt", k -> k.a.hlt()));
    all.add(user("user-cli", k -> k.a.cli()));
    all.add(user("user-in", k -> k.a.in(AL, 0x21)));
    all.add(user("user-clts", k -> k.a.clts()));
    all.add(user("user-rdmsr", k -> k.a.rdmsr()));
    all.add(user("user-wrmsr", k -> k.a.wrmsr()));
    all.add(user("user-cr3", k -> k.a.mov(RAX, ControlRegister.CR3)));
    all.add(user("user-write-to-read-only", k -> k.a.mov(Memory.absolute(PvKit.USER_CODE), AL)));
    all.add(
        user(
            "user-read-of-the-kernel",
            k -> {
              k.a.mov(RAX, PvGuest.VIRT_BASE + PvGuest.CODE_GPA);
              k.a.mov(AL, Memory.at(RAX));
            }));
    all.add(
        user(
            "user-read-of-the-list",
            k -> {
              k.a.mov(RAX, PvKit.M2P);
              k.a.mov(AL, Memory.at(RAX));
              k.a.ud2();
            }));
    all.add(user("user-read-of-nothing", k -> k.a.mov(AL, Memory.absolute(0x10000))));
    all.add(
        user(
            "user-jump-to-nothing",
            k -> {
              k.a.mov(EAX, 0x10000);
              k.a.jmp(RAX);
            }));
    all.add(
        user(
            "user-cpuid-of-xen",
            k -> {
              k.a.mov(EAX, 0x4000_0000);
              k.a.db(0x0F, 0x0B, 'x', 'e', 'n');
              k.a.cpuid();
              k.a.mov(ECX, EAX);
              k.a.ud2();
            }));
    all.add(
        PvProbe.of(
            "user-interrupt-flag",
            k -> {
              // The guest's interrupt flag is the event mask, whatever RFLAGS says.
              k.user(() -> k.a.ud2(), 0x2, 0);
              k.resultFrame(PvKit.Frame.CS);
              k.resultFrame(PvKit.Frame.RFLAGS);
              k.user(() -> k.a.ud2(), 0x202, 0);
              k.resultFrame(PvKit.Frame.CS);
              k.resultFrame(PvKit.Frame.RFLAGS);
            }));
    all.add(
        PvProbe.of(
            "user-flags",
            k -> {
              k.user(() -> k.a.ud2(), 0x24_7ED7 & ~(1 << 8), 0);
              k.resultFrame(PvKit.Frame.RFLAGS);
              k.a.pushf();
              k.a.pop(RAX);
              k.a.cld();
              k.result(RAX);
            }));
    all.add(
        PvProbe.of(
            "user-single-step",
            k -> {
              k.user(
                  () -> {
                    k.a.nop();
                    k.a.nop();
                    k.a.ud2();
                  },
                  0x302,
                  0);
              k.resultFrame(PvKit.Frame.RIP);
              k.resultFrame(PvKit.Frame.RFLAGS);
            }));
    all.add(
        PvProbe.of(
            "kernel-stack-misaligned",
            k -> {
              k.kernelStack();
              k.a.sub(R12, 5);
              k.call(Hypercalls.STACK_SWITCH, 0xE02B, R12);
              k.user(() -> k.a.ud2());
              k.kernelStack();
              k.a.mov(RAX, k.handlerRsp());
              k.a.sub(RAX, R12);
              k.result(RAX);
              k.call(Hypercalls.STACK_SWITCH, 0xE02B, k.kernelStack());
            }));
  }

  private static void systemCalls(List<PvProbe> all) {
    all.add(user("user-system-call", k -> k.a.syscall()));
    all.add(
        PvProbe.of(
            "user-system-call-flags",
            k -> {
              k.user(
                  () -> {
                    k.a.std();
                    k.a.syscall();
                  });
              k.resultFrame(PvKit.Frame.R11);
              k.resultFrame(PvKit.Frame.RFLAGS);
              k.a.pushf();
              k.a.pop(RAX);
              k.a.cld();
              k.result(RAX);
            }));
    all.add(
        PvProbe.of(
            "return-from-a-system-call",
            k -> {
              // With the frame's flag 256 the frame's RCX and R11 do not count.
              k.user(() -> k.a.ud2(), 0x202, 0x100);
              k.resultFrame(PvKit.Frame.RCX);
              k.resultFrame(PvKit.Frame.R11);
              k.user(() -> k.a.ud2(), 0x202, 0);
              k.resultFrame(PvKit.Frame.RCX);
              k.resultFrame(PvKit.Frame.R11);
            }));
    all.add(user("user-sysenter", k -> k.a.db(0x0F, 0x34)));
  }

  private static void bases(List<PvProbe> all) {
    all.add(
        PvProbe.of(
            "gs-is-exchanged",
            k -> {
              k.call(Hypercalls.SET_SEGMENT_BASE, 2, 0x1111_0000L);
              k.call(Hypercalls.SET_SEGMENT_BASE, 1, PvKit.USER_CODE);
              k.call(Hypercalls.SET_SEGMENT_BASE, 0, 0x2222_0000L);
              k.user(
                  () -> {
                    k.a.mov(RCX, Memory.absolute(0).in(SegmentRegister.GS));
                    k.a.ud2();
                  });
              k.a.mov(RAX, k.word(PvKit.Frame.RCX));
              k.a.and(RAX, 0xFFFF);
              k.result(RAX);
              for (long index : new long[] {0xC000_0100L, 0xC000_0101L, 0xC000_0102L}) {
                k.a.mov(ECX, index);
                k.a.rdmsr();
                k.result(RAX);
              }
              k.call(Hypercalls.SET_SEGMENT_BASE, 2, 0);
              k.call(Hypercalls.SET_SEGMENT_BASE, 1, 0);
              k.call(Hypercalls.SET_SEGMENT_BASE, 0, 0);
            }));
  }

  // ---- iret within the kernel ----------------------------------------------------------------

  private static void returns(List<PvProbe> all) {
    for (int selector : new int[] {0xE030, 0xE031, 0xE032, 0}) {
      all.add(
          PvProbe.of(
              "return-to-kernel-" + Integer.toHexString(selector),
              k -> {
                Label target = k.a.label();
                k.caught(
                    () -> {
                      k.a.mov(RBX, RSP);
                      k.interruptReturn(0, target, selector, 0x202, RBX, 0xE02B);
                      k.a.bind(target);
                      k.a.ud2();
                    });
                k.resultFrame(PvKit.Frame.CS);
                k.resultFrame(PvKit.Frame.SS);
                k.resultFrame(PvKit.Frame.RFLAGS);
                k.resultFrame(PvKit.Frame.RCX);
                k.resultFrame(PvKit.Frame.R11);
              }));
    }
    all.add(
        PvProbe.of(
            "return-to-kernel-masks",
            k -> {
              Label target = k.a.label();
              k.caught(
                  () -> {
                    k.interruptReturn(0, target, 0xE030, 0x2, RSP, 0xE02B);
                    k.a.bind(target);
                    k.a.ud2();
                  });
              k.resultFrame(PvKit.Frame.CS);
              k.resultFrame(PvKit.Frame.RFLAGS);
            }));
    all.add(
        PvProbe.of(
            "return-in-a-multicall",
            k -> {
              // iret ends the list: the call behind it is not made.
              Label list =
                  k.words(
                      Hypercalls.XEN_VERSION,
                      77,
                      0,
                      0,
                      0,
                      0,
                      0,
                      0, //
                      Hypercalls.IRET,
                      77,
                      0,
                      0,
                      0,
                      0,
                      0,
                      0, //
                      Hypercalls.XEN_VERSION,
                      77,
                      0,
                      0,
                      0,
                      0,
                      0,
                      0);
              Label target = k.a.label();
              k.caught(
                  () -> {
                    k.a.mov(RBX, RSP);
                    k.a.mov(RAX, 0xE02B);
                    k.a.push(RAX);
                    k.a.push(RBX);
                    k.a.push(0x202);
                    k.a.mov(RAX, 0xE030);
                    k.a.push(RAX);
                    k.a.lea(RAX, Memory.at(target));
                    k.a.push(RAX);
                    k.a.push(0);
                    k.a.push(0xC);
                    k.a.push(0xB);
                    k.a.push(0xA);
                    k.call(Hypercalls.MULTICALL, list, 3);
                    k.a.bind(target);
                    k.a.mov(RBX, RAX);
                    k.a.ud2();
                  });
              k.result(RBX);
              k.resultFrame(PvKit.Frame.RCX);
              for (int i = 0; i < 3; i++) {
                k.resultWord(Memory.at(list).plus(64 * i + 8));
              }
            }));
  }

  // ---- iret to nowhere -----------------------------------------------------------------------

  private static PvProbe refused(String name, Object rip, int code, int stack, boolean ripIsCode) {
    return PvProbe.of(
        name,
        k -> {
          Label target = k.a.label();
          k.caught(
              () -> {
                k.a.mov(RDX, RSP);
                k.interruptReturn(0, ripIsCode ? target : rip, code, 0x202, RDX, stack);
                k.a.bind(target);
                k.a.ud2();
              });
          k.resultFrame(PvKit.Frame.ERROR);
          k.resultRip(target);
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.SS);
          k.resultFrame(PvKit.Frame.RFLAGS);
        });
  }

  private static void impossible(List<PvProbe> all) {
    all.add(refused("return-to-a-bad-selector", 0, 0x50, 0xE02B, true));
    all.add(refused("return-to-a-data-selector", 0, 0xE028, 0xE02B, true));
    all.add(refused("return-with-a-bad-stack", 0, 0xE030, 0x53, true));
    all.add(refused("return-to-user-with-a-bad-selector", 0, 0x53, 0xE02B, true));
    all.add(
        PvProbe.of(
            "return-to-not-canonical",
            k -> {
              k.caught(() -> k.interruptReturn(0, NOT_CANONICAL, 0xE030, 0x202, RSP, 0xE02B));
              k.resultFrame(PvKit.Frame.ERROR);
              k.resultFrame(PvKit.Frame.RIP);
              k.resultFrame(PvKit.Frame.CS);
            }));
    all.add(
        PvProbe.of(
            "return-to-unmapped",
            k -> {
              k.caught(() -> k.interruptReturn(0, 0x10000, 0xE030, 0x202, RSP, 0xE02B));
              k.resultFrame(PvKit.Frame.RIP);
              k.resultFrame(PvKit.Frame.ERROR);
            }));
    all.add(
        PvProbe.of(
            "return-to-nowhere-with-a-failsafe-callback",
            k -> {
              Label over = k.a.label();
              k.a.jmp(over);
              Label failsafe = k.a.labelHere();
              k.catchRaw(FAILSAFE);
              k.a.bind(over);
              callback(k, 1, 1, failsafe);
              k.caught(() -> k.interruptReturn(0, 0, 0x50, 0x202, RSP, 0xE02B));
              // It is an exception, and the callback is not asked.
              k.caught(() -> k.a.ud2());
              k.resultFrame(PvKit.Frame.CS);
              k.resultFrame(PvKit.Frame.RFLAGS);
            }));
  }
}
