package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.R12;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;

import java.util.ArrayList;
import java.util.List;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;

/** What hypercalls answer, asked one by one. */
final class CallProbes {
  private static final long NOT_CANONICAL = 0x8000_0000_0000_0000L;
  private static final long MONITORS = 0xFFFF_8300_0000_0000L;
  private static final long UNMAPPED = 0x1000;

  private CallProbes() {}

  static List<PvProbe> all() {
    List<PvProbe> all = new ArrayList<>();
    numbers(all);
    versions(all);
    memory(all);
    segments(all);
    multicalls(all);
    processor(all);
    return all;
  }

  private static void ask(List<PvProbe> all, String name, int number, Object... arguments) {
    all.add(PvProbe.of(name, k -> k.answer(number, arguments)));
  }

  private static void numbers(List<PvProbe> all) {
    ask(all, "call-11", 11);
    ask(all, "call-41", 41);
    ask(all, "call-63", 63);
    ask(all, "call-64", 64);
    ask(all, "call-4095", 4095);
    all.add(
        PvProbe.of(
            "call-minus-1",
            k -> {
              k.a.mov(RAX, -1);
              k.a.syscall();
              k.result(RAX);
            }));
    all.add(
        PvProbe.of(
            "call-number-of-64-bits",
            k -> {
              k.a.mov(RAX, 1L << 32 | Hypercalls.XEN_VERSION);
              k.a.mov(RDI, 0);
              k.a.syscall();
              k.result(RAX);
            }));
    all.add(
        PvProbe.of(
            "registers-survive",
            k -> {
              k.a.mov(RBX, 5);
              k.a.mov(RDX, 6);
              k.call(Hypercalls.XEN_VERSION, 0);
              k.result(RBX);
              k.result(RDX);
            }));
  }

  private static void versions(List<PvProbe> all) {
    ask(all, "version", Hypercalls.XEN_VERSION, 0, 0);
    ask(all, "page-size", Hypercalls.XEN_VERSION, 7, 0);
    ask(all, "version-unknown", Hypercalls.XEN_VERSION, 99, 0);
    ask(all, "extraversion-unmapped", Hypercalls.XEN_VERSION, 1, UNMAPPED);
    ask(all, "extraversion-monitors", Hypercalls.XEN_VERSION, 1, MONITORS);
    ask(all, "extraversion-not-canonical", Hypercalls.XEN_VERSION, 1, NOT_CANONICAL);
    ask(all, "features-unmapped", Hypercalls.XEN_VERSION, 6, UNMAPPED);
    all.add(
        PvProbe.of(
            "features",
            k -> {
              Label buffer = k.words(0, 0);
              k.answer(Hypercalls.XEN_VERSION, 6, buffer);
              k.a.mov(EAX, Memory.at(buffer).plus(4));
              k.a.and(RAX, 1 << 2 | 1 << 3 | 1 << 5 | 1 << 7);
              k.result(RAX);
            }));
    for (int submap : new int[] {1, 2, 9}) {
      all.add(
          PvProbe.of(
              "features-" + submap,
              k -> {
                Label buffer = k.words(submap, 0);
                k.answer(Hypercalls.XEN_VERSION, 6, buffer);
                k.resultWord(Memory.at(buffer));
              }));
    }
    all.add(
        PvProbe.of(
            "platform-parameters",
            k -> {
              Label buffer = k.words(0, 0);
              k.answer(Hypercalls.XEN_VERSION, 5, buffer);
              k.resultWord(Memory.at(buffer));
            }));
    all.add(
        PvProbe.of(
            "capabilities",
            k -> {
              k.answer(Hypercalls.XEN_VERSION, 3, pageLabel(k, 0));
              k.resultWord(k.page(0));
            }));
    all.add(
        PvProbe.of(
            "guest-handle",
            k -> {
              k.a.mov(k.page(0).qword(), -1);
              k.a.mov(k.page(0).plus(8).qword(), -1);
              k.answer(Hypercalls.XEN_VERSION, 8, pageLabel(k, 0));
              k.resultWord(k.page(0));
              k.resultWord(k.page(0).plus(8));
            }));
  }

  /** The address of a page, as an argument. */
  static Object pageLabel(PvKit k, int index) {
    k.a.lea(R12, k.page(index));
    return R12;
  }

  private static void memory(List<PvProbe> all) {
    all.add(
        PvProbe.of(
            "machphys-mapping",
            k -> {
              Label buffer = k.words(0, 0, 0);
              k.answer(Hypercalls.MEMORY_OP, 12, buffer);
              k.resultWord(Memory.at(buffer));
            }));
    ask(all, "machphys-mapping-unmapped", Hypercalls.MEMORY_OP, 12, UNMAPPED);
    ask(all, "memory-op-unknown", Hypercalls.MEMORY_OP, 40, 0);
    ask(all, "memory-op-unmapped", Hypercalls.MEMORY_OP, 1, UNMAPPED);
    ask(all, "memory-map-unmapped", Hypercalls.MEMORY_OP, 9, UNMAPPED);
    for (long domid : new long[] {0x7FF1, 0x7FFF, 77}) {
      all.add(
          PvProbe.of(
              "current-reservation-of-" + Long.toHexString(domid),
              k -> k.answer(Hypercalls.MEMORY_OP, 3, k.words(domid))));
    }
    reservation(all, "order-too-large", 0, 1, 60, PvKit.DOMID_SELF);
    reservation(all, "other-domain", 1, 1, 0, 77);
    reservation(all, "nothing", 1, 0, 0, PvKit.DOMID_SELF);
    all.add(
        PvProbe.of(
            "decrease-and-populate",
            k -> {
              // A page of the guest's own, unmapped, is given back and taken again.
              Label list = k.words(0);
              k.mfnOfPage(RBX, 1);
              k.a.mov(Memory.at(list), RBX);
              k.mapPage(1, 0);
              Label reservation = k.words(list, 1, 0, PvKit.DOMID_SELF);
              k.answer(Hypercalls.MEMORY_OP, 1, reservation);
              k.answer(Hypercalls.MEMORY_OP, 1, reservation);
              k.a.lea(RAX, k.page(1));
              k.a.mov(RCX, PvGuest.VIRT_BASE);
              k.a.sub(RAX, RCX);
              k.a.shr(RAX, 12);
              k.a.mov(RBX, RAX);
              k.a.mov(Memory.at(list), RAX);
              k.answer(Hypercalls.MEMORY_OP, 6, reservation);
              // The machine-to-physical table knows it.
              k.a.mov(RSI, Memory.at(list));
              k.a.mov(RCX, PvKit.M2P);
              k.a.mov(RAX, Memory.at(RCX, RSI, 8, 0));
              k.a.sub(RAX, RBX);
              k.result(RAX);
              // It is the guest's, and zero.
              k.a.shl(RSI, 12);
              k.a.or(RSI, 0x63);
              k.a.lea(RDI, k.page(1));
              k.answer(Hypercalls.UPDATE_VA_MAPPING, RDI, RSI, 2);
            }));
    all.add(
        PvProbe.of(
            "decrease-a-mapped-frame",
            k -> {
              Label list = k.words(0);
              k.mfnOfPage(RBX, 2);
              k.a.mov(Memory.at(list), RBX);
              k.answer(Hypercalls.MEMORY_OP, 1, k.words(list, 1, 0, PvKit.DOMID_SELF));
            }));
    all.add(
        PvProbe.of(
            "decrease-a-frame-past-the-machine",
            k ->
                k.answer(
                    Hypercalls.MEMORY_OP, 1, k.words(k.words(1L << 40), 1, 0, PvKit.DOMID_SELF))));
  }

  private static void reservation(
      List<PvProbe> all, String name, int operation, long count, int order, int domid) {
    all.add(
        PvProbe.of(
            "reservation-" + name,
            k ->
                k.answer(
                    Hypercalls.MEMORY_OP, operation, k.words(k.words(0), count, order, domid))));
  }

  private static void segments(List<PvProbe> all) {
    for (int which = 0; which < 3; which++) {
      ask(all, "segment-base-" + which, Hypercalls.SET_SEGMENT_BASE, which, 0x1234_5000L);
      ask(
          all,
          "segment-base-not-canonical-" + which,
          Hypercalls.SET_SEGMENT_BASE,
          which,
          NOT_CANONICAL);
      ask(all, "segment-base-monitors-" + which, Hypercalls.SET_SEGMENT_BASE, which, MONITORS);
    }
    ask(all, "segment-base-restored", Hypercalls.SET_SEGMENT_BASE, 2, 0);
    ask(all, "gs-selector-null", Hypercalls.SET_SEGMENT_BASE, 3, 0);
    ask(all, "gs-selector-data", Hypercalls.SET_SEGMENT_BASE, 3, 0xE02B);
    ask(all, "gs-selector-bad", Hypercalls.SET_SEGMENT_BASE, 3, 0x53);
    ask(all, "segment-base-4", Hypercalls.SET_SEGMENT_BASE, 4, 0);
  }

  private static void multicalls(List<PvProbe> all) {
    all.add(
        PvProbe.of(
            "multicall",
            k -> {
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
                      63,
                      77,
                      0,
                      0,
                      0,
                      0,
                      0,
                      0, //
                      Hypercalls.MULTICALL,
                      77,
                      0,
                      0,
                      0,
                      0,
                      0,
                      0, //
                      Hypercalls.XEN_VERSION,
                      77,
                      7,
                      0,
                      0,
                      0,
                      0,
                      0);
              k.answer(Hypercalls.MULTICALL, list, 4);
              for (int i = 0; i < 4; i++) {
                k.resultWord(Memory.at(list).plus(64 * i + 8));
              }
            }));
    ask(all, "multicall-of-none", Hypercalls.MULTICALL, UNMAPPED, 0);
    ask(all, "multicall-unmapped", Hypercalls.MULTICALL, UNMAPPED, 1);
    ask(all, "multicall-monitors", Hypercalls.MULTICALL, MONITORS, 1);
    ask(all, "multicall-runs-into-the-monitors", Hypercalls.MULTICALL, PvKit.M2P - 64, 2);
    ask(all, "multicall-too-many", Hypercalls.MULTICALL, UNMAPPED, 0x1_0000_0000L);
  }

  private static void processor(List<PvProbe> all) {
    ask(all, "stack-switch", Hypercalls.STACK_SWITCH, 0xE02B, 0x5000);
    ask(all, "stack-switch-not-canonical", Hypercalls.STACK_SWITCH, 0xE02B, NOT_CANONICAL);
    ask(all, "stack-switch-null-selector", Hypercalls.STACK_SWITCH, 0, 0x5000);
    ask(all, "fpu-taskswitch", Hypercalls.FPU_TASKSWITCH, 0);
    ask(all, "set-callbacks-not-canonical", Hypercalls.SET_CALLBACKS, NOT_CANONICAL, 0, 0);
    ask(all, "trap-table-unmapped", Hypercalls.SET_TRAP_TABLE, UNMAPPED);
    all.add(
        PvProbe.of(
            "trap-table-not-canonical",
            k ->
                k.answer(
                    Hypercalls.SET_TRAP_TABLE,
                    k.words(0xE033L << 16 | 0x90, NOT_CANONICAL, 0, 0))));
    for (int type : new int[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 99}) {
      callback(all, "callback-" + type, type, 0x1000);
    }
    callback(all, "callback-not-canonical", 0, NOT_CANONICAL);
    callback(all, "callback-monitors", 0, MONITORS);
    ask(all, "callback-unmapped", Hypercalls.CALLBACK_OP, 0, UNMAPPED);
    ask(all, "callback-op-unknown", Hypercalls.CALLBACK_OP, 9, 0);
    for (int type : new int[] {0, 1, 2, 4, 5, 6, 7, 8, 99}) {
      all.add(
          PvProbe.of(
              "callback-unregister-" + type,
              k -> k.answer(Hypercalls.CALLBACK_OP, 1, k.words(type))));
    }
    for (int type : new int[] {0, 1, 2, 3, 4, 5, 6, 7, 63, 64}) {
      ask(all, "assist-" + type, Hypercalls.VM_ASSIST, 0, type);
      ask(all, "assist-off-" + type, Hypercalls.VM_ASSIST, 1, type);
    }
    ask(all, "assist-command-2", Hypercalls.VM_ASSIST, 2, 0);
    ask(all, "sched-op-unknown", Hypercalls.SCHED_OP, 99, 0);
    ask(all, "yield", Hypercalls.SCHED_OP, 0, 0);
    ask(all, "shutdown-unmapped", Hypercalls.SCHED_OP, 2, UNMAPPED);
    ask(all, "poll-unmapped", Hypercalls.SCHED_OP, 3, UNMAPPED);
    all.add(
        PvProbe.of(
            "poll-too-many-ports",
            k -> k.answer(Hypercalls.SCHED_OP, 3, k.words(k.words(1), 129, 0))));
    all.add(
        PvProbe.of(
            "poll-a-port-that-does-not-exist",
            k -> k.answer(Hypercalls.SCHED_OP, 3, k.words(k.words(1 << 20), 1, 0))));
    all.add(PvProbe.of("console-write", k -> k.answer(Hypercalls.CONSOLE_IO, 0, 1, k.words(10))));
    ask(all, "console-write-unmapped", Hypercalls.CONSOLE_IO, 0, 1, UNMAPPED);
    ask(all, "console-write-monitors", Hypercalls.CONSOLE_IO, 0, 1, MONITORS);
    ask(all, "console-unknown", Hypercalls.CONSOLE_IO, 7, 1, UNMAPPED);
    for (int command : new int[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 99}) {
      ask(all, "vcpu-op-" + command + "-of-another", Hypercalls.VCPU_OP, command, 1, 0);
      ask(all, "vcpu-op-" + command + "-of-8192", Hypercalls.VCPU_OP, command, 8192, 0);
    }
    for (int command : new int[] {3, 7, 9, 99}) {
      ask(all, "vcpu-op-" + command, Hypercalls.VCPU_OP, command, 0, 0);
    }
    for (int command : new int[] {0, 4, 5, 6, 8, 10}) {
      ask(all, "vcpu-op-" + command + "-unmapped", Hypercalls.VCPU_OP, command, 0, UNMAPPED);
    }
    all.add(
        PvProbe.of(
            "periodic-timer-too-fast", k -> k.answer(Hypercalls.VCPU_OP, 6, 0, k.words(1000))));
    all.add(
        PvProbe.of(
            "single-shot-in-the-past", k -> k.answer(Hypercalls.VCPU_OP, 8, 0, k.words(1, 1))));
    all.add(
        PvProbe.of(
            "register-vcpu-info-of-a-foreign-frame",
            k -> k.answer(Hypercalls.VCPU_OP, 10, 0, k.words(1L << 40, 0))));
    all.add(
        PvProbe.of(
            "register-vcpu-info-across-pages",
            k -> k.answer(Hypercalls.VCPU_OP, 10, 0, k.words(0, 4096 - 63))));
    all.add(
        PvProbe.of(
            "register-vcpu-info-misaligned",
            k -> k.answer(Hypercalls.VCPU_OP, 10, 0, k.words(0, 4))));
    for (int command : new int[] {6, 7, 28}) {
      ask(all, "physdev-" + command + "-unmapped", Hypercalls.PHYSDEV_OP, command, UNMAPPED);
    }
    all.add(PvProbe.of("iopl-4", k -> k.answer(Hypercalls.PHYSDEV_OP, 6, k.words(4))));
    all.add(
        PvProbe.of(
            "iobitmap-too-long", k -> k.answer(Hypercalls.PHYSDEV_OP, 7, k.words(0, 65537))));
  }

  private static void callback(List<PvProbe> all, String name, int type, long address) {
    all.add(PvProbe.of(name, k -> k.answer(Hypercalls.CALLBACK_OP, 0, k.words(type, address))));
  }
}
