package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.AL;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.R12;
import static memvisor.cpu.x86.asm.Register.R13;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBP;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;

/** Page tables: how entries are checked, stored and refused, and emulated stores to tables. */
final class TableProbes {
  private static final long FLAGS = 0xFFF0_0000_0000_0FFFL;
  private static final long READ_ONLY = 0x61;
  private static final long READ_WRITE = 0x63;
  private static final long UNMAPPED = 0x1000;
  private static final long MONITORS = 0xFFFF_8300_0000_0000L;
  private static final long NOT_CANONICAL = 0x8000_0000_0000_0000L;

  private static final int PIN_L1 = 0;
  private static final int PIN_L2 = 1;
  private static final int PIN_L4 = 3;
  private static final int UNPIN = 4;
  private static final int NEW_BASEPTR = 5;
  private static final int NEW_USER_BASEPTR = 15;

  private TableProbes() {}

  static List<PvProbe> all() {
    List<PvProbe> all = new ArrayList<>();
    leaves(all);
    mappings(all);
    updates(all);
    pins(all);
    extended(all);
    stores(all);
    return all;
  }

  private static void add(List<PvProbe> all, String name, Consumer<PvKit> ask) {
    all.add(PvProbe.of(name, ask));
  }

  private static void ask(List<PvProbe> all, String name, int number, Object... arguments) {
    all.add(PvProbe.of(name, k -> k.answer(number, arguments)));
  }

  // ---- leaves --------------------------------------------------------------------------------

  private static PvProbe leaf(String name, long flags) {
    return PvProbe.of(
        "leaf-" + name,
        k -> {
          k.mapPage(0, READ_WRITE);
          k.mapPage(0, flags);
          k.result(RAX);
          k.leafOfPage(0);
          k.a.mov(RAX, Memory.at(RAX));
          k.a.mov(RCX, FLAGS);
          k.a.and(RAX, RCX);
          k.result(RAX);
        });
  }

  private static void leaves(List<PvProbe> all) {
    all.add(leaf("absent", 0));
    all.add(leaf("absent-with-bits", 0x7FE));
    all.add(leaf("read-only", 0x1));
    all.add(leaf("read-write", 0x3));
    all.add(leaf("user", 0x5));
    all.add(leaf("user-read-write-accessed-dirty", 0x67));
    all.add(leaf("global", 0x101));
    all.add(leaf("global-user", 0x105));
    all.add(leaf("no-execute", 1L << 63 | 0x61));
    all.add(leaf("available", 0xE61));
    all.add(leaf("guest-kernel", 1L << 52 | 0x61));
    all.add(leaf("guest-kernel-user", 1L << 52 | 0x65));
    all.add(leaf("available-high", 0x7EL << 52 | 0x61));
    all.add(leaf("bit-59", 1L << 59 | 0x61));
    all.add(leaf("bit-60", 1L << 60 | 0x61));
    all.add(leaf("bit-61", 1L << 61 | 0x61));
    all.add(leaf("grant", 1L << 62 | 0x61));
    all.add(leaf("attribute", 0xE1));
    all.add(leaf("cache-disable", 0x71));
    all.add(leaf("write-through", 0x69));
    all.add(leaf("restored", READ_WRITE));
  }

  // ---- update_va_mapping ---------------------------------------------------------------------

  private static void mappings(List<PvProbe> all) {
    int call = Hypercalls.UPDATE_VA_MAPPING;
    ask(all, "mapping-without-table", call, 0x4000_0000_0000L, 0, 0);
    ask(all, "mapping-of-the-list", call, PvKit.M2P, 0, 0);
    ask(all, "mapping-of-the-monitors", call, MONITORS, 0, 0);
    ask(all, "mapping-not-canonical", call, NOT_CANONICAL, 0, 0);
    for (int flags : new int[] {0, 1, 2, 3, 4, 5, 6, 7}) {
      add(
          all,
          "mapping-flags-" + flags,
          k -> {
            k.mapPage(0, READ_WRITE);
            k.leafOfPage(0);
            k.a.mov(RSI, Memory.at(RAX));
            k.a.lea(R12, k.page(0));
            k.answer(call, R12, RSI, flags);
          });
    }
    for (long pointer : new long[] {UNMAPPED & ~7, MONITORS, 0xFFFF_FFFF_FFFF_F000L}) {
      add(
          all,
          "mapping-flushes-vcpus-at-" + Long.toHexString(pointer),
          k -> {
            k.leafOfPage(0);
            k.a.mov(RSI, Memory.at(RAX));
            k.a.lea(R12, k.page(0));
            k.answer(call, R12, RSI, pointer | 1);
          });
    }
  }

  // ---- mmu_update ----------------------------------------------------------------------------

  /** One request on the entry of page 0, its pointer changed by {@code bits}. */
  private static void onLeaf(List<PvProbe> all, String name, long bits) {
    add(
        all,
        name,
        k -> {
          k.mapPage(0, READ_WRITE);
          k.leafOfPage(0);
          k.a.mov(RBX, Memory.at(RAX));
          k.a.mov(RCX, bits);
          k.a.or(RDX, RCX);
          k.update(RDX, RBX);
          k.result(RAX);
        });
  }

  private static void updates(List<PvProbe> all) {
    int call = Hypercalls.MMU_UPDATE;
    int self = PvKit.DOMID_SELF;
    onLeaf(all, "update-normal", 0);
    onLeaf(all, "update-keeping-flags", 2);
    onLeaf(all, "update-untranslated", 3);
    onLeaf(all, "update-misaligned", 4);
    ask(all, "update-none", call, UNMAPPED, 0, 0, self);
    ask(all, "update-unmapped", call, UNMAPPED, 1, 0, self);
    ask(all, "update-monitors", call, MONITORS, 1, 0, self);
    ask(all, "update-of-another-domain", call, UNMAPPED, 1, 0, 77);
    ask(all, "update-interrupted-none", call, UNMAPPED, 1L << 31, 0, self);
    ask(all, "update-done-unmapped", call, UNMAPPED, 0, UNMAPPED, self);
    add(all, "update-past-the-machine", k -> k.answer(call, k.words(1L << 52, 0), 1, 0, self));
    add(
        all,
        "update-says-how-many",
        k -> {
          Label done = k.words(77);
          k.mapPage(0, READ_WRITE);
          k.leafOfPage(0);
          k.a.mov(RBX, Memory.at(RAX));
          Label list = k.words(0, 0, 0, 0, 4, 0, 0, 0);
          for (int i = 0; i < 2; i++) {
            k.a.mov(Memory.at(list).plus(16 * i), RDX);
            k.a.mov(Memory.at(list).plus(16 * i + 8), RBX);
          }
          k.answer(call, list, 4, done, self);
          k.resultWord(Memory.at(done));
        });
    add(
        all,
        "update-of-a-plain-page",
        k -> {
          k.mfnOfPage(RDX, 0);
          k.a.shl(RDX, 12);
          k.a.mov(RBX, 0x1122_3344_5566_7788L);
          k.update(RDX, RBX);
          k.result(RAX);
          k.resultWord(k.page(0));
        });
    add(
        all,
        "update-of-the-list",
        k -> {
          k.mfnOfPage(R12, 0);
          k.a.mov(RDX, R12);
          k.a.shl(RDX, 12);
          k.a.or(RDX, 1);
          k.a.mov(RBX, 0x4242);
          k.update(RDX, RBX);
          k.result(RAX);
          k.a.mov(RCX, PvKit.M2P);
          k.resultWord(Memory.at(RCX, R12, 8, 0));
          k.a.lea(RBX, k.page(0));
          k.a.mov(RCX, PvGuest.VIRT_BASE);
          k.a.sub(RBX, RCX);
          k.a.shr(RBX, 12);
          k.a.mov(RDX, R12);
          k.a.shl(RDX, 12);
          k.a.or(RDX, 1);
          k.update(RDX, RBX);
          k.result(RAX);
        });
    for (int slot : new int[] {255, 256, 257, 271, 272}) {
      add(
          all,
          "update-top-slot-" + slot,
          k -> {
            topTable(k);
            k.a.add(RDX, 8 * slot);
            k.a.mov(RBX, 0);
            k.update(RDX, RBX);
            k.result(RAX);
          });
    }
    add(
        all,
        "update-top-slot-to-a-page",
        k -> {
          topTable(k);
          k.a.mov(RBP, RDX);
          k.mfnOfPage(RBX, 0);
          k.a.shl(RBX, 12);
          k.a.or(RBX, 0x67);
          k.a.lea(RDX, Memory.at(RBP, 8 * 100));
          k.update(RDX, RBX);
          k.result(RAX);
        });
    add(
        all,
        "update-top-slot-to-itself-writable",
        k -> {
          topTable(k);
          k.a.lea(RBX, Memory.at(RDX, 0x67));
          k.a.add(RDX, 8 * 100);
          k.update(RDX, RBX);
          k.result(RAX);
        });
    add(
        all,
        "update-top-slot-to-itself",
        k -> {
          topTable(k);
          k.a.lea(RBX, Memory.at(RDX, 0x25));
          k.a.add(RDX, 8 * 100);
          k.a.mov(R12, RDX);
          k.update(RDX, RBX);
          k.result(RAX);
          k.a.mov(RBX, 0);
          k.update(R12, RBX);
        });
  }

  /** RDX: the machine address of the first L4. */
  private static void topTable(PvKit k) {
    k.a.mov(RAX, Memory.at(k.startInfo));
    k.a.mov(RAX, Memory.at(RAX, 88));
    k.mfnOfRax(RDX);
    k.a.shl(RDX, 12);
  }

  // ---- pins ----------------------------------------------------------------------------------

  private static void pinned(PvKit k, int command, int page) {
    k.mfnOfPage(R13, page);
    k.extended(command, R13, 0);
    k.result(RAX);
  }

  private static void pins(List<PvProbe> all) {
    add(all, "pin-a-writable-page", k -> pinned(k, PIN_L1, 1));
    add(all, "unpin-what-is-not-pinned", k -> pinned(k, UNPIN, 1));
    add(
        all,
        "pin-and-unpin",
        k -> {
          k.mapPage(1, READ_ONLY);
          pinned(k, PIN_L1, 1);
          pinned(k, PIN_L1, 1);
          pinned(k, PIN_L2, 1);
          pinned(k, UNPIN, 1);
          pinned(k, UNPIN, 1);
          pinned(k, PIN_L4, 1);
          pinned(k, UNPIN, 1);
          k.mapPage(1, READ_WRITE);
          k.result(RAX);
        });
    add(
        all,
        "a-pinned-table-does-not-become-writable",
        k -> {
          // Validation as an L4 left its marks.
          clear(k, 1);
          k.mapPage(1, READ_ONLY);
          pinned(k, PIN_L1, 1);
          k.mapPage(1, READ_WRITE);
          k.result(RAX);
          pinned(k, UNPIN, 1);
          k.mapPage(1, READ_WRITE);
          k.result(RAX);
        });
    add(
        all,
        "a-table-that-maps-itself",
        k -> {
          clear(k, 1);
          selfEntry(k, 1, 0x61);
          k.mapPage(1, READ_ONLY);
          pinned(k, PIN_L1, 1);
          pinned(k, UNPIN, 1);
          k.mapPage(1, READ_WRITE);
          selfEntry(k, 1, 0x63);
          k.mapPage(1, READ_ONLY);
          pinned(k, PIN_L1, 1);
          k.mapPage(1, READ_WRITE);
          clear(k, 1);
        });
    add(
        all,
        "a-directory-with-a-large-page",
        k -> {
          selfEntry(k, 1, 0xE7);
          k.mapPage(1, READ_ONLY);
          pinned(k, PIN_L2, 1);
          k.mapPage(1, READ_WRITE);
          clear(k, 1);
        });
    add(
        all,
        "a-directory-over-a-page-table",
        k -> {
          clear(k, 2);
          k.mfnOfPage(RBX, 2);
          k.a.shl(RBX, 12);
          k.a.or(RBX, 0x67);
          k.a.mov(k.page(1), RBX);
          k.mapPage(1, READ_ONLY);
          // Still writable.
          pinned(k, PIN_L2, 1);
          k.mapPage(2, READ_ONLY);
          pinned(k, PIN_L2, 1);
          k.mapPage(2, READ_WRITE);
          k.result(RAX);
          k.a.mov(RAX, k.page(1));
          k.a.mov(RCX, FLAGS);
          k.a.and(RAX, RCX);
          k.result(RAX);
          pinned(k, UNPIN, 1);
          k.mapPage(2, READ_WRITE);
          k.result(RAX);
          k.mapPage(1, READ_WRITE);
          clear(k, 1);
        });
    add(
        all,
        "pin-past-the-machine",
        k -> {
          k.a.mov(R13, 1L << 40);
          k.extended(PIN_L1, R13, 0);
          k.result(RAX);
          k.a.mov(R13, -1);
          k.extended(PIN_L4, R13, 0);
          k.result(RAX);
          k.extended(UNPIN, R13, 0);
          k.result(RAX);
        });
  }

  private static void clear(PvKit k, int page) {
    k.a.cld();
    k.a.lea(RDI, k.page(page));
    k.a.mov(EAX, 0);
    k.a.mov(ECX, 512);
    k.a.rep();
    k.a.stos(8);
  }

  private static void selfEntry(PvKit k, int page, long flags) {
    k.mfnOfPage(RBX, page);
    k.a.shl(RBX, 12);
    k.a.or(RBX, flags);
    k.a.mov(k.page(page), RBX);
  }

  // ---- mmuext_op -----------------------------------------------------------------------------

  private static void extended(List<PvProbe> all) {
    add(all, "base-pointer-to-a-page", k -> pinned(k, NEW_BASEPTR, 0));
    add(all, "user-base-pointer-to-a-page", k -> pinned(k, NEW_USER_BASEPTR, 0));
    add(
        all,
        "base-pointer-to-the-same",
        k -> {
          topTable(k);
          k.a.shr(RDX, 12);
          k.a.mov(R13, RDX);
          k.extended(NEW_BASEPTR, R13, 0);
          k.result(RAX);
          k.extended(NEW_USER_BASEPTR, R13, 0);
          k.result(RAX);
          k.a.mov(R13, 0);
          k.extended(NEW_USER_BASEPTR, R13, 0);
          k.result(RAX);
        });
    for (int command : new int[] {6, 7, 8, 9, 10, 11, 12, 14, 18, 19, 20, 99}) {
      add(
          all,
          "extended-" + command,
          k -> {
            k.a.mov(R13, 0);
            k.extended(command, R13, UNMAPPED);
            k.result(RAX);
          });
    }
    for (int command : new int[] {7, 9, 11}) {
      add(
          all,
          "invalidate-not-canonical-" + command,
          k -> {
            k.a.mov(R13, NOT_CANONICAL);
            k.extended(command, R13, k.words(1));
            k.result(RAX);
          });
    }
    add(
        all,
        "clear-page",
        k -> {
          k.a.mov(k.page(0).qword(), 5);
          pinned(k, 16, 0);
          k.resultWord(k.page(0));
          topTable(k);
          k.a.shr(RDX, 12);
          k.a.mov(R13, RDX);
          k.extended(16, R13, 0);
          k.result(RAX);
        });
    add(
        all,
        "copy-page",
        k -> {
          k.a.mov(k.page(0).qword(), 5);
          k.mfnOfPage(RBX, 0);
          k.mfnOfPage(R13, 1);
          k.extended(17, R13, RBX);
          k.result(RAX);
          k.resultWord(k.page(1));
          topTable(k);
          k.a.shr(RDX, 12);
          k.a.mov(R13, RDX);
          k.mfnOfPage(RBX, 0);
          k.extended(17, R13, RBX);
          k.result(RAX);
          clear(k, 1);
        });
    int call = Hypercalls.MMUEXT_OP;
    ask(all, "extended-none", call, UNMAPPED, 0, 0, PvKit.DOMID_SELF);
    ask(all, "extended-unmapped", call, UNMAPPED, 1, 0, PvKit.DOMID_SELF);
    ask(all, "extended-of-another-domain", call, UNMAPPED, 1, 0, 77);
    add(
        all,
        "extended-says-how-many",
        k -> {
          Label done = k.words(77);
          k.answer(call, k.words(6, 0, 0, 6, 0, 0, 99, 0, 0, 6, 0, 0), 4, done, PvKit.DOMID_SELF);
          k.resultWord(Memory.at(done));
        });
    for (Object[] c :
        new Object[][] {
          {"misaligned", 0x1008L, 1},
          {"not-canonical", NOT_CANONICAL, 1},
          {"too-long", 0L, 8193},
          {"of-monitors", MONITORS, 1},
          {"empty-misaligned", 0x1008L, 0},
          {"empty", 0L, 0}
        }) {
      add(
          all,
          "ldt-" + c[0],
          k -> {
            k.a.mov(R13, ((Number) c[1]).longValue());
            k.extended(13, R13, c[2]);
            k.result(RAX);
          });
    }
  }

  // ---- emulated stores -----------------------------------------------------------------------

  /** Runs a store to the entry of page 3 (its address in RBX, its value in RBP). */
  private static void store(List<PvProbe> all, String name, Consumer<PvKit> body) {
    add(
        all,
        "store-" + name,
        k -> {
          k.mapPage(3, READ_WRITE);
          k.leafOfPage(3);
          k.a.mov(RBX, RAX);
          k.a.mov(RBP, Memory.at(RBX));
          k.caught(() -> body.accept(k));
          k.resultFrame(PvKit.Frame.ERROR);
          k.leafOfPage(3);
          k.a.mov(RAX, Memory.at(RAX));
          k.a.mov(RCX, FLAGS);
          k.a.and(RAX, RCX);
          k.result(RAX);
        });
  }

  private static void stores(List<PvProbe> all) {
    store(all, "move", k -> k.a.mov(Memory.at(RBX), RBP));
    store(
        all,
        "exchange",
        k -> {
          k.a.mov(RAX, 0);
          k.a.xchg(Memory.at(RBX), RAX);
        });
    store(
        all,
        "and-byte",
        k -> {
          k.a.lock();
          k.a.and(Memory.at(RBX).byteWide(), 0xFD);
        });
    store(all, "and-byte-unlocked", k -> k.a.and(Memory.at(RBX).byteWide(), 0xFD));
    store(
        all,
        "btr",
        k -> {
          k.a.lock();
          k.a.btr(Memory.at(RBX).qword(), 1);
        });
    store(
        all,
        "btr-register",
        k -> {
          k.a.mov(EAX, 1);
          k.a.lock();
          k.a.btr(Memory.at(RBX), RAX);
        });
    store(
        all,
        "compare-exchange",
        k -> {
          k.a.mov(RAX, RBP);
          k.a.mov(RCX, 0);
          k.a.lock();
          k.a.cmpxchg(Memory.at(RBX), RCX);
        });
    store(
        all,
        "compare-exchange-failing",
        k -> {
          k.a.mov(RAX, 0);
          k.a.mov(RCX, 0);
          k.a.lock();
          k.a.cmpxchg(Memory.at(RBX), RCX);
        });
    store(all, "low-half", k -> k.a.mov(Memory.at(RBX).dword(), 0));
    store(all, "high-half", k -> k.a.mov(Memory.at(RBX, 4).dword(), 0x8000_0000L));
    store(all, "byte", k -> k.a.mov(Memory.at(RBX, 7).byteWide(), 0x80));
    store(
        all,
        "string",
        k -> {
          k.a.mov(RDI, RBX);
          k.a.mov(RAX, 0);
          k.a.stos(8);
        });
    store(
        all,
        "add",
        k -> {
          k.a.lock();
          k.a.add(Memory.at(RBX).qword(), 0x200);
        });
    store(
        all,
        "across-entries",
        k -> {
          k.a.mov(RAX, Memory.at(RBX, 4));
          k.a.mov(Memory.at(RBX, 4), RAX);
        });
    store(
        all,
        "large-page-bit",
        k -> {
          k.a.or(RBP, 0x80);
          k.a.mov(Memory.at(RBX), RBP);
        });
    store(all, "grant-bit", k -> k.a.bts(Memory.at(RBX).qword(), 62));
    add(
        all,
        "store-that-makes-a-table-writable",
        k -> {
          // The entry of the first L4 itself.
          k.a.mov(RAX, Memory.at(k.startInfo));
          k.leafOf(Memory.at(RAX, 88));
          k.a.mov(RBX, RAX);
          k.a.mov(RBP, Memory.at(RBX));
          k.a.or(RBP, 2);
          k.caught(() -> k.a.mov(Memory.at(RBX), RBP));
          k.resultFrame(PvKit.Frame.ERROR);
        });
    add(
        all,
        "store-to-the-top-table",
        k -> {
          k.a.mov(RAX, Memory.at(k.startInfo));
          k.a.mov(RBX, Memory.at(RAX, 88));
          k.a.mov(RAX, 0);
          k.caught(() -> k.a.mov(Memory.at(RBX, 8 * 100), RAX));
          k.resultFrame(PvKit.Frame.ERROR);
        });
    for (long gva :
        new long[] {PvKit.M2P, 0xFFFF_8080_0000_0000L, MONITORS, 0xFFFF_87FF_0000_0000L}) {
      add(
          all,
          "read-of-" + Long.toHexString(gva),
          k -> {
            k.a.mov(RBX, gva);
            k.caught(() -> k.a.mov(AL, Memory.at(RBX)));
            k.resultFrame(PvKit.Frame.ERROR);
            k.caught(() -> k.a.mov(Memory.at(RBX), AL));
            k.resultFrame(PvKit.Frame.ERROR);
          });
    }
  }
}
