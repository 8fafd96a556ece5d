package memvisor.machine.xen;

import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.EDX;
import static memvisor.cpu.x86.asm.Register.R12;
import static memvisor.cpu.x86.asm.Register.R13;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBP;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;
import static memvisor.cpu.x86.asm.Register.RSP;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.boot.BootRequest;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Domains that attack the monitor, beside one that does not: the attacker gets an error or its end,
 * the other one notices nothing, and all memory comes back.
 *
 * <p>What only ends in an error number is asked by {@link PvProbe}.
 */
final class HostileDomainTest {
  private static final long MEMORY_BYTES = 16 << 20;
  private static final long SLICE = 2_000;
  private static final int SLICES = 200;

  /** No slice may hold the thread longer: milliseconds of CPU time, with a wide margin. */
  private static final long HELD_NANOS = 2_000_000_000L;

  /**
   * An attack.
   *
   * @param dies part of the reason of the attacker's end; empty if it lives
   * @param runsOn whether the attacker is still at it when the test has seen enough
   */
  record Attack(String name, Consumer<PvKit> code, String dies, boolean runsOn) {
    static Attack fatal(String name, String reason, Consumer<PvKit> code) {
      return new Attack(name, code, reason, false);
    }

    static Attack endless(String name, Consumer<PvKit> code) {
      return new Attack(name, code, "", true);
    }

    static Attack harmless(String name, Consumer<PvKit> code) {
      return new Attack(name, code, "", false);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Attack> attacks() {
    return Stream.of(
        Attack.fatal("an exception without a handler", "no handler", HostileDomainTest::noHandler),
        Attack.fatal(
            "a stack in nowhere",
            "cannot take a frame",
            k -> {
              k.a.mov(RSP, 0x1000);
              k.a.ud2();
            }),
        Attack.fatal(
            "a stack in the monitor's part",
            "cannot take a frame",
            k -> {
              k.a.mov(RSP, 0xFFFF_8300_0000_1000L);
              k.a.ud2();
            }),
        Attack.fatal(
            "a stack in its page tables",
            "cannot take a frame",
            k -> {
              k.a.mov(RAX, Memory.at(k.startInfo));
              k.a.mov(RSP, Memory.at(RAX, 88));
              k.a.add(RSP, 0x800);
              k.a.ud2();
            }),
        Attack.fatal(
            "iret from nowhere",
            "cannot be read",
            k -> {
              k.a.mov(RSP, 0x1000);
              k.call(Hypercalls.IRET);
            }),
        Attack.fatal(
            "iret to user mode without tables",
            "without a user page table",
            k -> k.interruptReturn(0, 0x1000, 0xE033, 0x202, 0x2000, 0xE02B)),
        Attack.endless(
            "a batch without end",
            k -> k.call(Hypercalls.MMU_UPDATE, repeated(k), 0x7FFF_FFFF, 0, PvKit.DOMID_SELF)),
        Attack.endless("a multicall without end", HostileDomainTest::endlessMulticall),
        Attack.endless("a trap table without end", HostileDomainTest::endlessTrapTable),
        Attack.endless("a text without end", HostileDomainTest::endlessText),
        Attack.endless("tables that are pinned and unpinned", HostileDomainTest::pinForEver),
        Attack.endless("a port string without end", HostileDomainTest::endlessPortString),
        Attack.harmless("every frame given back", HostileDomainTest::giveEverythingBack),
        Attack.harmless("every frame pinned", HostileDomainTest::pinEverything));
  }

  @ParameterizedTest
  @MethodSource("attacks")
  void theOthersLive(Attack attack) {
    try (HostMemory host = HostMemory.create(4 * MEMORY_BYTES)) {
      long free = host.freeBytes();
      StringBuilder spoken = new StringBuilder();
      try (XenMachine attacker = machine(host, new StringBuilder());
          XenMachine other = machine(host, spoken)) {
        attacker.boot(BootRequest.of(image(attack.code)));
        other.boot(BootRequest.of(image(HostileDomainTest::speak)));
        RunOutcome end = attack(attacker, other);
        if (!attack.runsOn && end instanceof RunOutcome.LimitReached) {
          end = attacker.run(Long.MAX_VALUE, Long.MAX_VALUE);
        }
        if (attack.runsOn) {
          assertThat(end).isEqualTo(new RunOutcome.LimitReached());
        } else if (attack.dies.isEmpty()) {
          assertThat(end).isEqualTo(new RunOutcome.PoweredOff());
        } else {
          assertThat(end).isInstanceOf(RunOutcome.Died.class);
          assertThat(end.toString()).contains(attack.dies);
        }
        attacker.technique().types().audit();
        assertThat(other.run(Long.MAX_VALUE, Long.MAX_VALUE))
            .isEqualTo(new RunOutcome.PoweredOff());
        other.technique().types().audit();
        host.audit();
      }
      assertThat(spoken.toString()).isEqualTo("still here");
      assertThat(host.freeBytes()).as("memory that came back").isEqualTo(free);
    }
  }

  /** Lets both run by turns; how the attacker ended. */
  private static RunOutcome attack(XenMachine attacker, XenMachine other) {
    RunOutcome end = new RunOutcome.LimitReached();
    for (int i = 0; i < SLICES && end instanceof RunOutcome.LimitReached; i++) {
      long began = System.nanoTime();
      // One millisecond by the wall clock: only calls that return keep to it.
      end = attacker.run(SLICE, 1_000_000);
      assertThat(System.nanoTime() - began).as("the thread was held").isLessThan(HELD_NANOS);
      assertThat(other.run(10, Long.MAX_VALUE)).isNotInstanceOf(RunOutcome.Died.class);
    }
    return end;
  }

  private static XenMachine machine(HostMemory host, StringBuilder console) {
    return new XenMachine(
        XenConfiguration.of(MEMORY_BYTES, ClockMode.VIRTUAL),
        host,
        value -> console.append((char) value));
  }

  private static byte[] image(Consumer<PvKit> code) {
    Assembler a = new Assembler(PvGuest.VIRT_BASE + PvGuest.CODE_GPA);
    a.code64();
    PvKit kit = new PvKit(a);
    kit.installTraps();
    code.accept(kit);
    PvGuest.shutDown(a, 0);
    kit.emitRoutines();
    return PvImage.of(a.assemble()).bytes();
  }

  /** Works for longer than any attack is watched, then says so. */
  private static void speak(PvKit k) {
    k.a.mov(ECX, 2 * SLICES * 10);
    Label again = k.a.labelHere();
    k.a.dec(ECX);
    k.a.j(Condition.NE, again);
    PvGuest.print(k.a, "still here");
  }

  // ---- attacks -------------------------------------------------------------------------------

  private static void noHandler(PvKit k) {
    k.call(Hypercalls.SET_TRAP_TABLE, 0);
    k.a.ud2();
  }

  /** An address space in which every page is one page, so that a list has no end. */
  private static Object repeated(PvKit k) {
    fillPage(k, 1, 0);
    mapForEver(k, 1);
    k.a.mov(R12, FOR_EVER);
    return R12;
  }

  private static final long FOR_EVER = 0x4000_0000_0000L;

  /**
   * Maps page {@code page} at every address of the L4 slot of {@link #FOR_EVER}, by three tables
   * each of whose entries are the same.
   */
  private static void mapForEver(PvKit k, int page) {
    for (int level = 1; level <= 3; level++) {
      k.mfnOfPage(RBX, level == 1 ? page : 10 + level - 1);
      k.a.shl(RBX, 12);
      k.a.or(RBX, 0x67);
      k.a.mov(RAX, RBX);
      k.a.cld();
      k.a.lea(RDI, k.page(10 + level));
      k.a.mov(ECX, 512);
      k.a.rep();
      k.a.stos(8);
    }
    for (int level = 1; level <= 3; level++) {
      k.mapPage(10 + level, 0x61);
    }
    k.mfnOfPage(RBP, 13);
    k.a.shl(RBP, 12);
    k.a.or(RBP, 0x67);
    k.a.mov(RAX, Memory.at(k.startInfo));
    k.a.mov(RAX, Memory.at(RAX, 88));
    k.mfnOfRax(RDX);
    k.a.shl(RDX, 12);
    k.a.add(RDX, (int) (8 * (FOR_EVER >>> 39 & 511)));
    k.update(RDX, RBP);
    k.a.mov(RBX, RAX);
    k.a.test(RBX, RBX);
    Label mapped = k.a.label();
    k.a.j(Condition.E, mapped);
    PvGuest.shutDown(k.a, 3);
    k.a.bind(mapped);
  }

  /** Fills a page with requests that succeed and change nothing: a raw write of 0 to page 2. */
  private static void fillPage(PvKit k, int page, long value) {
    k.mfnOfPage(RBX, 2);
    k.a.shl(RBX, 12);
    k.a.mov(RDX, value);
    k.a.lea(RDI, k.page(page));
    k.a.mov(ECX, 256);
    Label again = k.a.labelHere();
    k.a.mov(Memory.at(RDI), RBX);
    k.a.mov(Memory.at(RDI, 8), RDX);
    k.a.add(RDI, 16);
    k.a.dec(ECX);
    k.a.j(Condition.NE, again);
  }

  private static void endlessMulticall(PvKit k) {
    // 64 entries of xen_version(0).
    k.a.lea(RDI, k.page(1));
    k.a.mov(ECX, 64);
    Label again = k.a.labelHere();
    k.a.mov(Memory.at(RDI).qword(), Hypercalls.XEN_VERSION);
    k.a.add(RDI, 64);
    k.a.dec(ECX);
    k.a.j(Condition.NE, again);
    mapForEver(k, 1);
    k.call(Hypercalls.MULTICALL, FOR_EVER, 0xFFFF_FFFFL);
  }

  private static void endlessTrapTable(PvKit k) {
    k.a.mov(RAX, 0x1234_0000_0000L);
    k.a.lea(RDI, k.page(1));
    k.a.mov(ECX, 512);
    k.a.cld();
    k.a.rep();
    k.a.stos(8);
    mapForEver(k, 1);
    k.call(Hypercalls.SET_TRAP_TABLE, FOR_EVER);
  }

  private static void endlessText(PvKit k) {
    mapForEver(k, 1);
    k.call(Hypercalls.CONSOLE_IO, 0, 0x7FFF_FFFF, FOR_EVER);
  }

  private static void pinForEver(PvKit k) {
    mapForEver(k, 1);
    // The tables leave the L4, and are pinned and unpinned for ever.
    Label again = k.a.labelHere();
    k.mfnOfPage(R13, 13);
    k.extended(2, R13, 0);
    k.mfnOfPage(R13, 13);
    k.extended(4, R13, 0);
    k.a.jmp(again);
  }

  private static void endlessPortString(PvKit k) {
    k.call(Hypercalls.PHYSDEV_OP, 6, k.words(1));
    k.a.lea(RSI, k.page(1));
    k.a.mov(EAX, 0);
    k.a.mov(EDX, 0x80);
    Label again = k.a.labelHere();
    k.a.lea(RSI, k.page(1));
    // No further than what the domain builder maps beyond the image; a slice that did not end in
    // the middle of a string would still be hundreds of strings long.
    k.a.mov(RCX, 0x8_0000);
    k.a.rep();
    k.a.outs(1);
    k.a.jmp(again);
  }

  /** Asks for every frame of the list to be taken back, used as they are. */
  private static void giveEverythingBack(PvKit k) {
    Label reservation = k.words(0, 4096, 0, PvKit.DOMID_SELF);
    k.a.mov(RAX, Memory.at(k.startInfo));
    k.a.mov(RAX, Memory.at(RAX, 104));
    k.a.mov(Memory.at(reservation), RAX);
    k.call(Hypercalls.MEMORY_OP, 1, reservation);
  }

  /** Pins every frame of the list at every level, and unpins it. */
  private static void pinEverything(PvKit k) {
    k.a.mov(RBP, 0);
    Label next = k.a.labelHere();
    for (int command : new int[] {0, 1, 2, 3, 4}) {
      k.a.mov(RAX, Memory.at(k.startInfo));
      k.a.mov(RAX, Memory.at(RAX, 104));
      k.a.mov(R13, Memory.at(RAX, RBP, 8, 0));
      // The frame of the first L4 stays pinned.
      k.a.mov(RAX, Memory.at(k.startInfo));
      k.a.mov(RAX, Memory.at(RAX, 88));
      k.mfnOfRax(RDX);
      Label skip = k.a.label();
      k.a.cmp(RDX, R13);
      k.a.j(Condition.E, skip);
      k.extended(command, R13, 0);
      k.a.bind(skip);
    }
    k.a.inc(RBP);
    k.a.cmp(RBP, 4096);
    k.a.j(Condition.B, next);
  }
}
