package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.stream.Stream;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;
import memvisor.cpu.x86.asm.SegmentRegister;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random descriptor tables, gates, stacks and selectors: whatever a guest puts there, the processor
 * ends in a state of the architecture, in bounded time.
 */
final class RandomDescriptorsTest {
  private static final int CASES = 60;

  static Stream<Long> seeds() {
    return Stream.of(1L, 2L, 3L, 4L, System.nanoTime());
  }

  @ParameterizedTest(name = "seed {0}")
  @MethodSource("seeds")
  void noTableMakesTheProcessorFailOrLoop(long seed) {
    Random random = new Random(seed);
    for (int i = 0; i < CASES; i++) {
      SystemVm vm = random.nextInt(3) == 0 ? SystemVm.protectedMode() : SystemVm.longMode();
      boolean paged = vm.c.paging.paging();
      corrupt(vm, random);
      if (random.nextInt(3) == 0) {
        vm.user();
      }
      vm.program(a -> instruction(a, random));

      RunExit exit = vm.c.run(50);

      assertThat(vm.c.cpl).isBetween(0, 3);
      assertThat(exit).isIn(RunExit.HALTED, RunExit.SHUTDOWN, RunExit.BUDGET, RunExit.FAILED);
      if (paged) {
        assertThat(exit).as("paging keeps to RAM: case=%d", i).isNotEqualTo(RunExit.FAILED);
        assertThat(Segments.isCanonical(vm.c, vm.c.rip)).isTrue();
      }
    }
  }

  /** Changes a few words of the tables and registers that transfers depend on. */
  private static void corrupt(SystemVm vm, Random random) {
    for (int n = random.nextInt(6); n >= 0; n--) {
      long value = random.nextBoolean() ? random.nextLong() : 1L << random.nextInt(64);
      switch (random.nextInt(5)) {
        case 0 -> flip(vm, SystemVm.GDT + 8 * random.nextInt(21), value);
        case 1 -> flip(vm, SystemVm.IDT + 8 * random.nextInt(64), value);
        case 2 -> flip(vm, SystemVm.TSS + 4 * random.nextInt(25), value);
        case 3 -> vm.c.idtLimit = random.nextInt(0x1000);
        default -> vm.c.gdtLimit = random.nextInt(0x100);
      }
    }
    long rsp = SystemVm.STACK - 40;
    long[] frame = {
      SystemVm.CODE + 64, random.nextInt(0xB0), random.nextLong(), SystemVm.STACK, selector(random)
    };
    for (int i = 0; i < frame.length; i++) {
      vm.write64(rsp + 8L * i, frame[i]);
    }
    vm.set(RegisterName.RSP, rsp);
    vm.set(RegisterName.RAX, selector(random));
    vm.write64(SystemVm.SPARE, (long) selector(random) << 32 | SystemVm.GATE_TARGET);
  }

  private static void flip(SystemVm vm, int gpa, long bits) {
    vm.write64(gpa, vm.read64(gpa) ^ bits);
  }

  private static int selector(Random random) {
    return random.nextInt(0xB0);
  }

  private static void instruction(Assembler a, Random random) {
    Memory pointer = Memory.absolute(SystemVm.SPARE);
    switch (random.nextInt(8)) {
      case 0 -> a.int_(random.nextInt(32));
      case 1 -> a.ud2();
      case 2 -> a.db(0x48, 0xCF);
      case 3 -> a.callFar(pointer, 4);
      case 4 -> a.jmpFar(pointer, 4);
      case 5 -> a.mov(SegmentRegister.SS, Register.AX);
      case 6 -> a.db(0x48, 0xCB);
      default -> a.ltr(Register.AX);
    }
    a.hlt();
  }
}
