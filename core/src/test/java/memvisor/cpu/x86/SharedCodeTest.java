package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import memvisor.cpu.jit.JitCounters;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Register;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Processors that share a library run the same translations, and never see each other do so. */
class SharedCodeTest {
  private static final int ROUNDS = 200;
  private static final int ADDEND = 1;

  private final CodeLibrary library = new CodeLibrary();

  private JitTranslator share(TestCpu t, JitMode mode) {
    JitTranslator translator =
        new JitTranslator(JitOptions.of(mode).withThreshold(2).withHotThreshold(500));
    t.c.setTranslator(translator);
    t.c.setLibrary(library);
    return translator;
  }

  /** RAX = ROUNDS times an addend, in a loop of two blocks. */
  private static void sum(Assembler a) {
    a.mov(Register.ECX, ROUNDS);
    Label again = a.labelHere();
    a.add(Register.RAX, ADDEND);
    Label over = a.label();
    a.test(Register.RAX, Register.RAX);
    a.j(Condition.E, over);
    a.inc(Register.RDX);
    a.bind(over);
    a.dec(Register.ECX);
    a.j(Condition.NE, again);
  }

  private static void restart(TestCpu t) {
    t.c.rip = TestCpu.CODE;
    t.c.halted = false;
    t.c.gpr[Vcpu.RAX] = 0;
  }

  @ParameterizedTest
  @EnumSource(names = {"BLOCKS", "REGIONS"})
  void theSecondProcessorTranslatesNothing(JitMode mode) {
    TestCpu first = new TestCpu().program(SharedCodeTest::sum);
    JitTranslator firstTranslator = share(first, mode);
    first.run();
    TestCpu second = new TestCpu().program(SharedCodeTest::sum);
    JitTranslator secondTranslator = share(second, mode);
    second.run();
    assertThat(second.rax()).isEqualTo(first.rax()).isEqualTo(ROUNDS);
    JitCounters made = firstTranslator.counters();
    assertThat(made.blocks() + made.regions()).isPositive();
    assertThat(secondTranslator.counters().blocks()).isZero();
    assertThat(secondTranslator.counters().regions()).isZero();
    assertThat(secondTranslator.counters().adoptions()).isPositive();
    assertThat(second.c.translatedInstructions()).isGreaterThan(first.c.translatedInstructions());
  }

  @ParameterizedTest
  @EnumSource(names = {"BLOCKS", "REGIONS"})
  void aStoreIntoCodeChangesTheRunOfItsOwnProcessorOnly(JitMode mode) {
    TestCpu writer = new TestCpu().program(SharedCodeTest::sum);
    TestCpu other = new TestCpu().program(SharedCodeTest::sum);
    JitTranslator translator = share(writer, mode);
    share(other, mode);
    writer.run();
    other.run();
    // ADD RAX, imm8 is at CODE + 5; its immediate is its last byte
    long immediate = TestCpu.CODE + 8;
    assertThat(writer.read(immediate) & 0xFF).isEqualTo(ADDEND);
    writer.write(immediate, new byte[] {7});
    restart(writer);
    restart(other);
    writer.run();
    other.run();
    assertThat(writer.rax()).isEqualTo(7 * ROUNDS);
    assertThat(other.rax()).isEqualTo(ROUNDS);
    // and code that comes back is found again
    long translated = translator.counters().blocks();
    writer.write(immediate, new byte[] {ADDEND});
    restart(writer);
    writer.run();
    assertThat(writer.rax()).isEqualTo(ROUNDS);
    assertThat(translator.counters().blocks()).isEqualTo(translated);
  }

  /** A region is for all the bytes of its blocks, wherever they are in the page. */
  @Test
  void aRegionIsNotAdoptedWhereAnotherBlockOfItDiffers() {
    TestCpu first = new TestCpu().program(SharedCodeTest::sum);
    share(first, JitMode.REGIONS);
    first.c.run(1_000_000);
    restart(first);
    first.run();
    TestCpu second =
        new TestCpu()
            .program(
                a -> {
                  a.mov(Register.ECX, ROUNDS);
                  Label again = a.labelHere();
                  a.add(Register.RAX, ADDEND);
                  Label over = a.label();
                  a.test(Register.RAX, Register.RAX);
                  a.j(Condition.E, over);
                  a.dec(Register.RDX);
                  a.bind(over);
                  a.dec(Register.ECX);
                  a.j(Condition.NE, again);
                });
    share(second, JitMode.REGIONS);
    second.run();
    assertThat(second.rax()).isEqualTo(ROUNDS);
    assertThat(second.c.gpr[Vcpu.RDX]).isEqualTo(-ROUNDS);
  }

  /** Each thread runs every program, some at the same time, and finds what others translated. */
  @ParameterizedTest
  @EnumSource(names = {"BLOCKS", "REGIONS"})
  void threadsThatShareTranslationsEndWhereInterpretationEnds(JitMode mode)
      throws InterruptedException, ExecutionException {
    long seed = Long.getLong("memvisor.seed", System.nanoTime());
    System.out.printf("shared code: seed=%d%n", seed);
    int programs = Integer.getInteger("memvisor.shared", 20);
    int threads = 3;
    List<byte[]> codes = new ArrayList<>();
    List<String> expected = new ArrayList<>();
    for (int n = 0; n < programs; n++) {
      SplittableRandom random = new SplittableRandom(seed + n);
      codes.add(new RandomProgram(random).make(2 + random.nextInt(40)));
      expected.add(end(codes.get(n), seed + n, null));
    }
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      List<Future<List<String>>> all = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        int from = thread * programs / (2 * threads);
        all.add(
            pool.submit(
                () -> {
                  List<String> ends = new ArrayList<>(expected);
                  for (int i = 0; i < programs; i++) {
                    int n = (from + i) % programs;
                    ends.set(n, end(codes.get(n), seed + n, mode));
                  }
                  return ends;
                }));
      }
      for (Future<List<String>> ends : all) {
        assertThat(ends.get()).as("seed=%d", seed).isEqualTo(expected);
      }
    }
  }

  private String end(byte[] program, long seed, @org.jspecify.annotations.Nullable JitMode mode) {
    RandomRun run = new RandomRun(program, seed);
    if (mode != null) {
      share(run.t, mode);
    }
    run.t.c.run(100_000);
    return run.state(true) + java.util.Arrays.hashCode(run.memory());
  }

  /** What several threads execute must not change after it was made. */
  @Test
  void operationsAreImmutable() throws ReflectiveOperationException {
    Deque<Class<?>> open = new ArrayDeque<>(operationClasses());
    assertThat(open).hasSizeGreaterThan(150);
    Set<Class<?>> seen = new HashSet<>(open);
    while (!open.isEmpty()) {
      Class<?> next = open.remove();
      for (Field field : next.getDeclaredFields()) {
        if (Modifier.isStatic(field.getModifiers())) {
          continue;
        }
        assertThat(Modifier.isFinal(field.getModifiers())).as("%s is final", field).isTrue();
        Class<?> type = field.getType();
        boolean ours = type.getName().startsWith("memvisor.") && !type.isEnum();
        if (ours && !type.isInterface() && seen.add(type)) {
          open.add(type);
        }
      }
    }
  }

  private static List<Class<?>> operationClasses() throws ReflectiveOperationException {
    List<Class<?>> found = new ArrayList<>();
    String folder = MicroOp.class.getPackageName().replace('.', '/');
    java.nio.file.Path root =
        java.nio.file.Path.of(
            java.net.URI.create(
                MicroOp.class.getProtectionDomain().getCodeSource().getLocation().toString()));
    String[] names = root.resolve(folder).toFile().list((dir, name) -> name.endsWith(".class"));
    assertThat(names).isNotNull();
    for (String name : names) {
      Class<?> type =
          Class.forName(
              MicroOp.class.getPackageName() + "." + name.substring(0, name.length() - 6),
              false,
              MicroOp.class.getClassLoader());
      if (MicroOp.class.isAssignableFrom(type)) {
        found.add(type);
      }
    }
    return found;
  }
}
