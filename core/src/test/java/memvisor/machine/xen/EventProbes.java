package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.AL;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.R13;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RSI;
import static memvisor.cpu.x86.asm.Register.RSP;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;

/** Event channels of the 2-level interface, their delivery, timers and vcpu_info. */
final class EventProbes {
  private static final int CALL = Hypercalls.EVENT_CHANNEL_OP;
  private static final int EVENT = 0x100;
  private static final long UNMAPPED = 0x1000;

  /** The guest's page at which shared_info is mapped. */
  private static final int SHARED = 6;

  private static final int PENDING = 2048;
  private static final int MASK = 2560;

  private EventProbes() {}

  static List<PvProbe> all() {
    List<PvProbe> all = new ArrayList<>();
    add(all, "shared-info", EventProbes::mapShared);
    operations(all);
    delivery(all);
    timers(all);
    vcpu(all);
    return all;
  }

  private static void add(List<PvProbe> all, String name, Consumer<PvKit> ask) {
    all.add(PvProbe.of(name, ask));
  }

  private static void mapShared(PvKit k) {
    k.a.mov(RAX, Memory.at(k.startInfo));
    k.a.mov(RSI, Memory.at(RAX, 40));
    k.a.or(RSI, 0x63);
    k.a.lea(RDI, k.page(SHARED));
    k.answer(Hypercalls.UPDATE_VA_MAPPING, RDI, RSI, 2);
    k.a.movzx(EAX, k.page(SHARED).plus(1).byteWide());
    k.result(RAX);
    k.a.movzx(EAX, k.page(SHARED).plus(64 + 1).byteWide());
    k.result(RAX);
    k.answer(Hypercalls.CALLBACK_OP, 0, k.words(0, k.handler(EVENT)));
    // All ports masked, as a kernel starts.
    k.a.cld();
    k.a.lea(RDI, k.page(SHARED).plus(MASK));
    k.a.mov(RAX, -1);
    k.a.mov(ECX, 64);
    k.a.rep();
    k.a.stos(8);
  }

  private static void operation(List<PvProbe> all, String name, int operation, Object... words) {
    add(all, name, k -> k.answer(CALL, operation, k.words(words)));
  }

  private static void operations(List<PvProbe> all) {
    for (int operation : new int[] {2, 10, 12, 13, 14, 99}) {
      operation(all, "event-op-" + operation, operation, 0xFFFF_FFFFL, 0, 0, 0);
    }
    for (int operation = 0; operation < 10; operation++) {
      int number = operation;
      add(all, "event-op-" + operation + "-unmapped", k -> k.answer(CALL, number, UNMAPPED));
    }
    operation(all, "bind-virq-24", 1, 24, 0);
    operation(all, "bind-virq-of-vcpu-1", 1, 1L << 32, 0);
    operation(all, "bind-virq-of-vcpu-9999", 1, 9999L << 32, 0);
    operation(all, "bind-ipi-of-vcpu-1", 7, 1, 0);
    for (Object[] c :
        new Object[][] {
          {"timer", 0}, {"debug", 1},
        }) {
      add(
          all,
          "bind-virq-" + c[0],
          k -> {
            Label first = k.words(c[1], 0);
            k.answer(CALL, 1, first);
            k.answer(CALL, 1, k.words(c[1], 0));
            // status: {dom, port, status, vcpu, u}
            Label status = k.words(0x7FF0, 0, 0);
            k.a.mov(EAX, Memory.at(first).plus(8));
            k.a.mov(Memory.at(status).plus(4), EAX);
            k.answer(CALL, 5, status);
            k.resultWord(Memory.at(status).plus(8));
            k.resultHalf(Memory.at(status).plus(16));
            // A VIRQ takes no send.
            k.answer(CALL, 4, port(k, first, 8));
            if ((int) c[1] != 0) {
              k.answer(CALL, 3, port(k, first, 8));
              k.answer(CALL, 3, port(k, first, 8));
            }
          });
    }
    for (long port : new long[] {0, 4095, 4096, 1 << 17, 0xFFFF_FFFFL}) {
      operation(all, "send-to-" + port, 4, port);
      operation(all, "close-" + port, 3, port);
      operation(all, "unmask-" + port, 9, port);
      operation(all, "status-of-" + port, 5, 0x7FF0 | port << 32, 0, 0);
      operation(all, "bind-vcpu-of-" + port, 8, port, 0);
    }
    operation(all, "status-of-another-domain", 5, 77, 0, 0);
    add(
        all,
        "alloc-unbound",
        k -> {
          Label request = k.words(0x7FF0L | 0x7FF0L << 16, 0);
          k.answer(CALL, 6, request);
          Label status = k.words(0x7FF0, 0, 0);
          k.a.mov(EAX, Memory.at(request).plus(4));
          k.a.mov(Memory.at(status).plus(4), EAX);
          k.answer(CALL, 5, status);
          k.resultHalf(Memory.at(status).plus(8));
          k.answer(CALL, 4, port(k, request, 4));
          // Bound to itself: both ends are the guest's.
          Label bind = k.words(0x7FF0, 0);
          k.a.mov(EAX, Memory.at(request).plus(4));
          k.a.mov(Memory.at(bind).plus(4), EAX);
          k.answer(CALL, 0, bind);
          k.answer(CALL, 4, port(k, request, 4));
          k.answer(CALL, 4, port(k, bind, 8));
          k.answer(CALL, 3, port(k, bind, 8));
          k.answer(CALL, 3, port(k, request, 4));
        });
    operation(all, "bind-interdomain-to-another", 0, 77 | 1L << 32, 0);
    operation(all, "bind-interdomain-to-nothing", 0, 0x7FF0 | 4000L << 32, 0);
  }

  /** A request of one port, copied from where another call left it. */
  private static Label port(PvKit k, Label from, int offset) {
    Label request = k.words(0, 0);
    k.a.mov(EAX, Memory.at(from).plus(offset));
    k.a.mov(Memory.at(request).dword(), EAX);
    return request;
  }

  // ---- delivery ------------------------------------------------------------------------------

  private static void results(PvKit k) {
    k.a.movzx(EAX, k.page(SHARED).byteWide());
    k.result(RAX);
    k.a.movzx(EAX, k.page(SHARED).plus(1).byteWide());
    k.result(RAX);
    k.resultWord(k.page(SHARED).plus(8));
  }

  /** Acknowledges all, and masks again. */
  private static void reset(PvKit k) {
    k.a.mov(k.page(SHARED).plus(1).byteWide(), 1);
    k.a.mov(k.page(SHARED).byteWide(), 0);
    k.a.mov(k.page(SHARED).plus(8).qword(), 0);
    for (int i = 0; i < 64; i++) {
      k.a.mov(k.page(SHARED).plus(PENDING + 8 * i).qword(), 0);
    }
  }

  private static void delivery(List<PvProbe> all) {
    // One IPI port for all of these; its number lies in page 5.
    add(
        all,
        "bind-ipi",
        k -> {
          Label request = k.words(0, 0);
          k.answer(CALL, 7, request);
          k.a.mov(EAX, Memory.at(request).plus(4));
          k.a.mov(k.page(5), RAX);
        });
    add(
        all,
        "send-to-a-masked-port",
        k -> {
          reset(k);
          k.answer(CALL, 4, ipi(k));
          results(k);
          k.a.mov(ECX, k.page(5));
          k.a.mov(RAX, k.page(SHARED).plus(PENDING));
          k.a.shrCl(RAX);
          k.result(RAX);
        });
    add(
        all,
        "unmask-a-pending-port",
        k -> {
          k.answer(CALL, 9, ipi(k));
          results(k);
        });
    add(
        all,
        "delivery-after-unmasking",
        k -> {
          k.caught(
              () -> {
                k.a.mov(k.page(SHARED).plus(1).byteWide(), 0);
                k.call(Hypercalls.XEN_VERSION, 0, 0);
                k.a.ud2();
              });
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.RFLAGS);
          results(k);
        });
    add(
        all,
        "no-delivery-while-masked",
        k -> {
          k.caught(
              () -> {
                k.call(Hypercalls.XEN_VERSION, 0, 0);
                k.a.ud2();
              });
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.RFLAGS);
        });
    add(
        all,
        "delivery-by-iret",
        k -> {
          Label target = k.a.label();
          k.caught(
              () -> {
                k.interruptReturn(0, target, 0xE030, 0x202, RSP, 0xE02B);
                k.a.bind(target);
                k.a.ud2();
              });
          k.resultRip(target);
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.RFLAGS);
        });
    add(
        all,
        "send-to-an-open-port",
        k -> {
          reset(k);
          k.a.mov(k.page(SHARED).plus(1).byteWide(), 0);
          k.caught(
              () -> {
                k.call(CALL, 4, ipi(k));
                k.a.ud2();
              });
          k.resultFrame(PvKit.Frame.CS);
          results(k);
          reset(k);
        });
    add(
        all,
        "exception-with-events-open",
        k -> {
          k.a.mov(k.page(SHARED).plus(1).byteWide(), 0);
          k.caught(() -> k.a.ud2());
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.RFLAGS);
          results(k);
          reset(k);
        });
    add(
        all,
        "gate-that-masks",
        k -> {
          k.call(Hypercalls.SET_TRAP_TABLE, k.words(0xE033_0780L, k.handler(0x80), 0, 0));
          k.a.mov(k.page(SHARED).plus(1).byteWide(), 0);
          k.caught(() -> k.a.int_(0x80));
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.RFLAGS);
          results(k);
          reset(k);
        });
    add(
        all,
        "block-with-an-event-pending",
        k -> {
          reset(k);
          k.call(CALL, 4, ipi(k));
          k.caught(
              () -> {
                k.call(Hypercalls.SCHED_OP, 1, 0);
                k.a.ud2();
              });
          k.resultFrame(PvKit.Frame.CS);
          reset(k);
        });
    add(
        all,
        "poll-a-pending-port",
        k -> {
          k.call(CALL, 4, ipi(k));
          Label ports = k.words(0);
          k.a.mov(EAX, k.page(5));
          k.a.mov(Memory.at(ports).dword(), EAX);
          k.answer(Hypercalls.SCHED_OP, 3, k.words(ports, 1, 0));
          results(k);
          reset(k);
        });
    add(all, "poll-until-a-deadline", k -> k.answer(Hypercalls.SCHED_OP, 3, k.words(0, 0, 1)));
  }

  private static Label ipi(PvKit k) {
    Label request = k.words(0, 0);
    k.a.mov(EAX, k.page(5));
    k.a.mov(Memory.at(request).dword(), EAX);
    return request;
  }

  // ---- timers --------------------------------------------------------------------------------

  private static void timers(List<PvProbe> all) {
    add(
        all,
        "timer-by-set-timer-op",
        k -> {
          reset(k);
          // Every port of the first word open: the timer's is among them.
          k.a.mov(k.page(SHARED).plus(MASK).qword(), 0);
          k.answer(Hypercalls.SET_TIMER_OP, 1);
          k.caught(
              () -> {
                k.call(Hypercalls.SCHED_OP, 1, 0);
                k.a.ud2();
              });
          results(k);
          reset(k);
        });
    add(
        all,
        "timer-single-shot",
        k -> {
          k.answer(Hypercalls.VCPU_OP, 8, 0, k.words(1, 0));
          k.caught(
              () -> {
                k.call(Hypercalls.SCHED_OP, 1, 0);
                k.a.ud2();
              });
          results(k);
          reset(k);
        });
    add(
        all,
        "timer-stopped",
        k -> {
          k.answer(Hypercalls.VCPU_OP, 7, 0, 0);
          k.a.mov(k.page(SHARED).plus(MASK).qword(), -1);
        });
    add(
        all,
        "event-while-running",
        k -> {
          // A loop without calls is interrupted too.
          reset(k);
          k.a.mov(k.page(SHARED).plus(MASK).qword(), 0);
          k.answer(Hypercalls.VCPU_OP, 6, 0, k.words(2_000_000));
          k.a.mov(k.page(SHARED).plus(1).byteWide(), 0);
          k.caught(
              () -> {
                k.a.mov(ECX, 0x7FFF_FFFF);
                Label again = k.a.labelHere();
                k.a.dec(ECX);
                k.a.j(Condition.NE, again);
                k.a.ud2();
              });
          k.answer(Hypercalls.VCPU_OP, 7, 0, 0);
          reset(k);
          k.a.mov(k.page(SHARED).plus(MASK).qword(), -1);
        });
  }

  // ---- vcpu_info and the run state -----------------------------------------------------------

  private static void vcpu(List<PvProbe> all) {
    add(
        all,
        "run-state-area",
        k -> {
          Label request = k.words(0);
          k.a.lea(RAX, k.page(8));
          k.a.mov(Memory.at(request), RAX);
          k.answer(Hypercalls.VCPU_OP, 5, 0, request);
          k.resultHalf(k.page(8));
          k.answer(Hypercalls.VCPU_OP, 4, 0, CallProbes.pageLabel(k, 9));
          k.resultHalf(k.page(9));
        });
    add(
        all,
        "time-of-the-vcpu",
        k -> {
          k.a.mov(EAX, k.page(SHARED).plus(32));
          k.a.and(RAX, 1);
          k.result(RAX);
          k.a.mov(EAX, k.page(SHARED).plus(3072));
          k.a.and(RAX, 1);
          k.result(RAX);
          k.a.movzx(EAX, k.page(SHARED).plus(32 + 29).byteWide());
          k.result(RAX);
        });
    add(
        all,
        "register-vcpu-info",
        k -> {
          reset(k);
          k.a.mov(k.page(SHARED).plus(1).byteWide(), 1);
          k.mfnOfPage(RBX, 7);
          Label request = k.words(0, 0x100);
          k.a.mov(Memory.at(request), RBX);
          k.answer(Hypercalls.VCPU_OP, 10, 0, request);
          k.answer(Hypercalls.VCPU_OP, 10, 0, request);
          k.a.movzx(EAX, k.page(7).plus(0x100).byteWide());
          k.result(RAX);
          k.a.movzx(EAX, k.page(7).plus(0x101).byteWide());
          k.result(RAX);
          k.resultWord(k.page(7).plus(0x108));
          k.a.mov(EAX, k.page(7).plus(0x120));
          k.a.test(EAX, EAX);
          k.a.mov(EAX, 0);
          k.a.set(Condition.NE, AL);
          k.result(RAX);
        });
    add(
        all,
        "event-in-the-new-vcpu-info",
        k -> {
          k.caught(
              () -> {
                k.a.mov(k.page(7).plus(0x101).byteWide(), 0);
                k.call(Hypercalls.XEN_VERSION, 0, 0);
                k.a.ud2();
              });
          k.a.movzx(EAX, k.page(7).plus(0x101).byteWide());
          k.result(RAX);
          k.a.movzx(EAX, k.page(SHARED).plus(1).byteWide());
          k.result(RAX);
        });
    add(
        all,
        "the-frame-of-vcpu-info-stays-writable",
        k -> {
          k.mapPage(7, 0x61);
          k.mfnOfPage(R13, 7);
          k.extended(0, R13, 0);
          k.result(RAX);
          k.mapPage(7, 0x63);
          k.result(RAX);
        });
  }
}
