package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.util.function.Predicate;
import memvisor.cpu.jit.JitCounters;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import org.junit.jupiter.api.Test;

/**
 * Guests that make new code for ever: what the JVM holds of it stays within bounds.
 *
 * <p>{@code -Dmemvisor.codeSeconds=N} sets the processor time that each of them gets; {@code
 * bench/nightly} gives minutes.
 */
class EndlessCodeTest {
  private static final long CPU_NANOS = Long.getLong("memvisor.codeSeconds", 2) * 1_000_000_000L;
  private static final JitOptions OPTIONS =
      JitOptions.of(JitMode.BLOCKS).withThreshold(2).withCodeMemory(8L << 20);

  /*
   * About twice what was measured in a minute. Of the memory for code, as much again is held by the
   * library.
   */
  private static final long ALLOWED_METASPACE = 8L << 20;
  private static final long ALLOWED_CODE_CACHE = 8L << 20;
  private static final long ALLOWED_HEAP = 40L << 20;

  private static final long SLICE = 200_000;

  /**
   * Writes functions that return other sums than any before, and calls each {@code calls} times.
   */
  private static TestCpu functions(int strideBytes, int calls) {
    return new TestCpu()
        .program(
            a -> {
              a.mov(Register.R12, 0);
              Label next = a.labelHere();
              a.inc(Register.R12);
              a.mov(Register.RBX, Register.R12);
              a.imul(Register.RBX, Register.RBX, strideBytes);
              a.and(Register.RBX, 0x7_FFC0);
              a.add(Register.RBX, (int) TestCpu.DATA);
              // MOV EAX, n; ADD RAX, RAX; RET
              a.mov(Register.RDX, Register.R12);
              a.shl(Register.RDX, 8);
              a.or(Register.RDX, 0xB8);
              a.mov(Memory.at(Register.RBX).qword(), Register.RDX);
              a.mov(Register.RDX, 0xC3C0_0148L);
              a.mov(Memory.at(Register.RBX, 5).qword(), Register.RDX);
              a.mov(Register.ECX, calls);
              Label again = a.labelHere();
              a.call(Register.RBX);
              a.add(Register.R8, Register.RAX);
              a.dec(Register.ECX);
              a.j(Condition.NE, again);
              a.jmp(next);
            });
  }

  /** Jumps to every byte of pages of one-byte instructions, so that each byte begins a block. */
  private static TestCpu entries() {
    int pages = 64;
    TestCpu t =
        new TestCpu()
            .program(
                a -> {
                  a.mov(Register.R12, 0);
                  Label next = a.labelHere();
                  a.inc(Register.R12);
                  a.mov(Register.RBX, Register.R12);
                  a.and(Register.RBX, pages * 4096 - 1);
                  a.add(Register.RBX, (int) TestCpu.DATA);
                  a.mov(Register.RDX, next);
                  a.jmp(Register.RBX);
                });
    byte[] page = new byte[4096];
    for (int n = 0; n < page.length; n += 64) {
      java.util.Arrays.fill(page, n, n + 62, (byte) 0xF8); // CLC
      page[n + 62] = (byte) 0xFF; // JMP RDX
      page[n + 63] = (byte) 0xE2;
    }
    for (int n = 0; n < pages; n++) {
      t.write(TestCpu.DATA + 4096L * n, page);
    }
    return t;
  }

  private record Growth(long metaspace, long codeCache, long heap) {}

  private static long used(Predicate<String> pools) {
    long sum = 0;
    for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
      if (pools.test(pool.getName())) {
        sum += pool.getUsage().getUsed();
      }
    }
    return sum;
  }

  private static Growth now() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return new Growth(
        used(name -> name.equals("Metaspace")),
        used(name -> name.startsWith("CodeHeap") || name.startsWith("CodeCache")),
        runtime.totalMemory() - runtime.freeMemory());
  }

  /** Runs a guest for the time; what the JVM holds more at any of several moments is asserted. */
  private static JitCounters run(TestCpu t) {
    JitTranslator translator = new JitTranslator(OPTIONS);
    t.c.setTranslator(translator);
    t.c.setLibrary(OPTIONS.newLibrary());
    t.c.setMaxDecodedOperations(OPTIONS.maxOperations());
    assertThat(t.c.run(SLICE)).isEqualTo(RunExit.BUDGET); // the machine's own classes are loaded
    Growth before = now();
    int moments = 4;
    long start = cpuNanos();
    for (int moment = 1; moment <= moments; moment++) {
      while (cpuNanos() - start < CPU_NANOS * moment / moments) {
        assertThat(t.c.run(SLICE)).isEqualTo(RunExit.BUDGET);
      }
      Growth after = now();
      System.out.printf(
          "endless code: %,d made; metaspace %+,d KiB, code cache %+,d KiB, heap %+,d KiB; %s%n",
          t.c.gpr[12],
          after.metaspace - before.metaspace >> 10,
          after.codeCache - before.codeCache >> 10,
          after.heap - before.heap >> 10,
          translator.counters());
      assertThat(after.metaspace - before.metaspace).as("metaspace").isLessThan(ALLOWED_METASPACE);
      assertThat(after.codeCache - before.codeCache)
          .as("code cache")
          .isLessThan(ALLOWED_CODE_CACHE);
      assertThat(after.heap - before.heap).as("heap").isLessThan(ALLOWED_HEAP);
    }
    return translator.counters();
  }

  private static long cpuNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  @Test
  void functionsInOnePlaceAreUnloaded() {
    assertThat(run(functions(0, 20)).blocks()).isGreaterThan(1000);
  }

  @Test
  void functionsAllOverMemoryAreEvicted() {
    JitCounters counters = run(functions(64, 20));
    assertThat(counters.evictions()).isPositive();
    assertThat(counters.liveCodeBytes()).isLessThanOrEqualTo(OPTIONS.maxCodeBytes());
  }

  /** Called often enough for the JVM to compile them. */
  @Test
  void compiledFunctionsAreUnloaded() {
    assertThat(run(functions(64, 400)).blocks()).isPositive();
  }

  @Test
  void aBlockAtEveryByteIsDroppedBeforeTheHeapIsFull() {
    TestCpu t = entries();
    run(t);
    assertThat(t.c.codeFlushes()).isPositive();
  }

  @Test
  void rewritingAnInstructionAcrossTwoPagesLeavesNothingBehind() {
    long boundary = TestCpu.DATA + 4096;
    TestCpu t =
        new TestCpu()
            .program(
                a -> {
                  a.mov(Register.RBX, boundary - 2);
                  a.mov(Register.R12, 0);
                  Label next = a.labelHere();
                  a.inc(Register.R12);
                  // MOV EAX, imm32 whose opcode alone is rewritten, in the first of the pages
                  a.mov(Memory.at(Register.RBX).byteWide(), 0xB8);
                  a.call(Register.RBX);
                  a.jmp(next);
                });
    t.write8(boundary + 3, 0xC3);
    t.c.run(100);
    t.c.run(10_000);
    assertThat(t.c.gpr[12]).isGreaterThan(1000);
    assertThat(t.c.code.crossingBlocks(t.baseHpa + boundary)).isLessThanOrEqualTo(1);
  }
}
