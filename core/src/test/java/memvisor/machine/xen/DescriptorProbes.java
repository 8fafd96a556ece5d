package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.AX;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.R12;
import static memvisor.cpu.x86.asm.Register.R13;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RSP;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.ControlRegister;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.SegmentRegister;

/** Descriptor tables of the guest's own: the GDT by its frames, the LDT by its address. */
final class DescriptorProbes {
  private static final long CODE = 0x00AF_9B00_0000_FFFFL;
  private static final long DATA = 0x00CF_9300_0000_FFFFL;
  private static final long USER_DATA = 0x00CF_F300_0000_FFFFL;
  private static final long CALL_GATE = 0x0000_EC00_0008_0000L;
  private static final long TASK_STATE = 0x0000_8900_0000_0067L;
  private static final long ABSENT = 0x0000_7300_0000_FFFFL;
  private static final int READ_ONLY = 0x61;
  private static final int READ_WRITE = 0x63;

  /** Pages of the guest's own for the tables. */
  private static final int GDT = 8;

  private static final int LDT = 9;

  private DescriptorProbes() {}

  static List<PvProbe> all() {
    List<PvProbe> all = new ArrayList<>();
    globalTable(all);
    updates(all);
    localTable(all);
    return all;
  }

  private static void add(List<PvProbe> all, String name, Consumer<PvKit> ask) {
    all.add(PvProbe.of(name, ask));
  }

  private static void fill(PvKit k, int page, long... descriptors) {
    for (int i = 0; i < descriptors.length; i++) {
      k.a.mov(RAX, descriptors[i]);
      k.a.mov(k.page(page).plus(8 * i), RAX);
    }
  }

  private static void setGdt(PvKit k, int page, int entries) {
    Label list = k.words(0);
    k.mfnOfPage(RBX, page);
    k.a.mov(Memory.at(list), RBX);
    k.answer(Hypercalls.SET_GDT, list, entries);
  }

  private static void load(PvKit k, int selector) {
    k.caught(
        () -> {
          k.a.mov(EAX, selector);
          k.a.mov(SegmentRegister.ES, AX);
        });
  }

  private static void mapped(PvKit k, int page, int flags) {
    k.mapPage(page, flags);
    k.result(RAX);
  }

  // ---- the GDT -------------------------------------------------------------------------------

  private static void globalTable(List<PvProbe> all) {
    add(all, "gdt-of-a-writable-page", k -> setGdt(k, GDT, 8));
    add(
        all,
        "gdt-with-a-gate",
        k -> {
          fill(k, GDT, 0, CODE, CALL_GATE);
          k.mapPage(GDT, READ_ONLY);
          setGdt(k, GDT, 8);
          k.call(Hypercalls.SET_GDT, 0, 0);
          k.mapPage(GDT, READ_WRITE);
        });
    add(
        all,
        "gdt-with-a-task-state",
        k -> {
          fill(k, GDT, 0, CODE, TASK_STATE);
          k.mapPage(GDT, READ_ONLY);
          setGdt(k, GDT, 8);
          k.call(Hypercalls.SET_GDT, 0, 0);
          k.mapPage(GDT, READ_WRITE);
        });
    add(
        all,
        "gdt",
        k -> {
          fill(k, GDT, 0, CODE, DATA, ABSENT, USER_DATA, CODE | 1L << 54);
          mapped(k, GDT, READ_ONLY);
          setGdt(k, GDT, 512);
          // DPL has become 3.
          k.resultWord(k.page(GDT).plus(8));
          k.resultWord(k.page(GDT).plus(16));
          k.resultWord(k.page(GDT).plus(24));
          mapped(k, GDT, READ_WRITE);
        });
    add(all, "gdt-too-long", k -> k.answer(Hypercalls.SET_GDT, k.words(0), 7169));
    add(all, "gdt-unmapped-list", k -> k.answer(Hypercalls.SET_GDT, 0x1000, 8));
    add(all, "gdt-past-the-machine", k -> k.answer(Hypercalls.SET_GDT, k.words(1L << 40), 8));
    for (int selector :
        new int[] {0x10, 0x13, 0x18, 0x20, 0x23, 0x28, 0x08, 0x800, 0x1003, 0xF000}) {
      add(
          all,
          "load-of-" + Integer.toHexString(selector),
          k -> {
            load(k, selector);
            k.resultFrame(PvKit.Frame.ERROR);
            k.a.mov(EAX, SegmentRegister.ES);
            k.result(RAX);
            k.a.mov(EAX, 0);
            k.a.mov(SegmentRegister.ES, AX);
          });
    }
    for (int selector : new int[] {0x0B, 0x08}) {
      add(
          all,
          "code-of-the-gdt-" + selector,
          k -> {
            Label target = k.a.label();
            k.caught(
                () -> {
                  k.a.push(selector);
                  k.a.lea(RAX, Memory.at(target));
                  k.a.push(RAX);
                  k.a.retfq();
                  k.a.bind(target);
                  k.a.ud2();
                });
            k.resultFrame(PvKit.Frame.ERROR);
            k.resultFrame(PvKit.Frame.CS);
            k.resultFrame(PvKit.Frame.SS);
          });
    }
    add(
        all,
        "a-trap-to-code-of-the-gdt",
        k -> {
          k.call(Hypercalls.SET_TRAP_TABLE, k.words(0x000B_0380L, k.handler(0x80), 0, 0));
          k.caught(() -> k.a.int_(0x80));
          k.a.mov(EAX, SegmentRegister.CS);
          k.result(RAX);
        });
    add(
        all,
        "return-to-code-of-the-gdt",
        k -> {
          Label target = k.a.label();
          k.caught(
              () -> {
                k.interruptReturn(0, target, 0x8, 0x202, RSP, 0x23);
                k.a.bind(target);
                k.a.ud2();
              });
          k.resultFrame(PvKit.Frame.ERROR);
          k.resultFrame(PvKit.Frame.CS);
          k.resultFrame(PvKit.Frame.SS);
        });
  }

  // ---- update_descriptor ---------------------------------------------------------------------

  private static void update(
      List<PvProbe> all, String name, int page, int offset, long descriptor) {
    add(
        all,
        "descriptor-" + name,
        k -> {
          k.mfnOfPage(RBX, page);
          k.a.shl(RBX, 12);
          k.a.add(RBX, offset);
          k.answer(Hypercalls.UPDATE_DESCRIPTOR, RBX, descriptor);
          k.resultWord(k.page(page).plus(offset & ~7));
        });
  }

  private static void updates(List<PvProbe> all) {
    update(all, "code", GDT, 48, CODE);
    update(all, "data", GDT, 56, DATA);
    update(all, "absent", GDT, 64, ABSENT);
    update(all, "null", GDT, 72, 0);
    update(all, "absent-gate", GDT, 80, CALL_GATE & ~(1L << 47));
    update(all, "call-gate", GDT, 88, CALL_GATE);
    update(all, "task-state", GDT, 96, TASK_STATE);
    update(all, "local-table", GDT, 104, 0x0000_8200_0000_0FFFL);
    update(all, "conforming-code", GDT, 112, 0x00AF_9F00_0000_FFFFL);
    update(all, "system-type-0", GDT, 120, 0x0000_8000_0000_0000L);
    update(all, "misaligned", GDT, 52, CODE);
    update(all, "in-a-plain-page", 10, 8, CODE);
    add(
        all,
        "descriptor-past-the-machine",
        k -> k.answer(Hypercalls.UPDATE_DESCRIPTOR, 1L << 52, CODE));
    add(
        all,
        "descriptor-in-a-table",
        k -> {
          k.a.mov(RAX, Memory.at(k.startInfo));
          k.a.mov(RAX, Memory.at(RAX, 88));
          k.mfnOfRax(RBX);
          k.a.shl(RBX, 12);
          k.answer(Hypercalls.UPDATE_DESCRIPTOR, RBX, CODE);
        });
    add(
        all,
        "descriptor-by-store",
        k -> {
          k.caught(() -> k.a.mov(k.page(GDT).qword(), 0));
          k.resultFrame(PvKit.Frame.ERROR);
        });
    add(
        all,
        "descriptor-by-update",
        k -> {
          k.mfnOfPage(R13, GDT);
          k.a.shl(R13, 12);
          k.a.mov(RBX, 0);
          k.update(R13, RBX);
          k.result(RAX);
        });
    add(
        all,
        "gdt-replaced",
        k -> {
          fill(k, 10, 0, DATA);
          k.mapPage(10, READ_ONLY);
          setGdt(k, 10, 512);
          mapped(k, GDT, READ_WRITE);
          load(k, 0x0B);
          load(k, 0x13);
          k.a.mov(EAX, 0);
          k.a.mov(SegmentRegister.ES, AX);
        });
    add(
        all,
        "gdt-taken-away",
        k -> {
          k.answer(Hypercalls.SET_GDT, 0, 0);
          mapped(k, 10, READ_WRITE);
          load(k, 0x0B);
        });
  }

  // ---- the LDT -------------------------------------------------------------------------------

  private static void setLdt(PvKit k, int entries) {
    k.a.lea(R13, k.page(LDT));
    k.extended(13, R13, entries);
    k.result(RAX);
  }

  private static void loaded(PvKit k, int selector) {
    load(k, selector);
    k.resultFrame(PvKit.Frame.ERROR);
    k.a.mov(EAX, 0);
    k.a.mov(SegmentRegister.ES, AX);
  }

  private static void localTable(List<PvProbe> all) {
    add(
        all,
        "ldt",
        k -> {
          fill(k, LDT, 0, DATA, CODE, ABSENT);
          k.mapPage(LDT, READ_ONLY);
          setLdt(k, 4);
          loaded(k, 0x0F);
          loaded(k, 0x0C);
          loaded(k, 0x1F);
          loaded(k, 0x27);
          // The page is in use as descriptors now.
          mapped(k, LDT, READ_WRITE);
        });
    add(
        all,
        "ldt-taken-away",
        k -> {
          k.a.mov(R13, 0);
          k.extended(13, R13, 0);
          k.result(RAX);
          mapped(k, LDT, READ_WRITE);
          loaded(k, 0x0F);
        });
    add(
        all,
        "ldt-in-a-writable-page",
        k -> {
          setLdt(k, 4);
          loaded(k, 0x0F);
          k.a.mov(RAX, ControlRegister.CR2);
          k.a.lea(RCX, k.page(LDT));
          k.a.sub(RAX, RCX);
          k.result(RAX);
        });
    add(
        all,
        "ldt-with-a-gate",
        k -> {
          fill(k, LDT, 0, DATA, CALL_GATE);
          k.mapPage(LDT, READ_ONLY);
          loaded(k, 0x0F);
          k.a.mov(R13, 0);
          k.extended(13, R13, 0);
        });
    add(
        all,
        "ldt-that-is-not-mapped",
        k -> {
          setLdt(k, 4);
          k.mapPage(LDT, 0);
          loaded(k, 0x0F);
          k.a.mov(RAX, ControlRegister.CR2);
          k.a.lea(R12, k.page(LDT));
          k.a.sub(RAX, R12);
          k.result(RAX);
          k.a.mov(R13, 0);
          k.extended(13, R13, 0);
          k.mapPage(LDT, READ_WRITE);
        });
  }
}
