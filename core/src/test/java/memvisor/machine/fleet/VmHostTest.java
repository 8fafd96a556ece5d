package memvisor.machine.fleet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import memvisor.boot.BootRequest;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Register;
import memvisor.host.HostMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.lab.Workload;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import memvisor.machine.pc.TinyGuest;
import memvisor.memory.FrameRole;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Many VMs on one machine memory, each on its own thread. */
@Timeout(120)
final class VmHostTest {
  private static final long MIB = 1L << 20;
  private static final Duration LONG = Duration.ofSeconds(60);

  @TempDir private Path directory = Path.of("");

  private HostMemory small(long hostBytes) throws IOException {
    HostMemory memory = HostMemory.create(hostBytes);
    memory.enableReclaim(
        ReclaimOptions.none(hostBytes)
            .withDedup(DedupOptions.ON)
            .withCompression(true)
            .withPoolPercent(25)
            .withSwap(SwapFile.create(directory.resolve("swap"), 256 * MIB)));
    return memory;
  }

  private static PcConfiguration pc(TechniqueKind technique) {
    return PcConfiguration.of(64 * MIB, technique, ClockMode.VIRTUAL);
  }

  private static BootRequest builtin(Workload workload) {
    return BootRequest.of(BuiltinGuest.image(workload, workload.defaults()));
  }

  private static BootRequest endless() {
    return BootRequest.of(
        TinyGuest.of(
            a -> {
              Label here = a.label();
              a.bind(here);
              a.jmp(here);
            }));
  }

  private static String alone(Workload workload, TechniqueKind technique) {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (HostMemory memory = HostMemory.create(256 * MIB);
        PcMachine machine = new PcMachine(pc(technique), memory, console::write, b -> {})) {
      machine.boot(builtin(workload));
      assertThat(machine.run(Long.MAX_VALUE, Long.MAX_VALUE))
          .isEqualTo(new RunOutcome.DebugExit(0));
    }
    return console.toString(StandardCharsets.US_ASCII);
  }

  private static String printed(Vm vm) throws InterruptedException {
    byte[] bytes = vm.console().read(0, 1 << 16, 1).bytes();
    return new String(bytes, StandardCharsets.US_ASCII);
  }

  private static void awaitRunning(Vm vm) throws InterruptedException {
    vm.awaitStarted();
    while (vm.sample().isEmpty()) {
      Thread.sleep(1);
    }
  }

  private static void assertNothingIsLeft(VmHost host) {
    host.audit();
    long used =
        host.memory().ledger().frameCount()
            - host.memory().ledger().totals().count(FrameRole.FREE)
            - host.memory().ledger().totals().count(FrameRole.ZERO_PAGE);
    assertThat(used).isZero();
  }

  @ParameterizedTest
  @EnumSource(names = {"NESTED", "SHADOW"})
  void guestsThatTogetherDoNotFitPrintAtOnceWhatEachPrintsAlone(TechniqueKind technique)
      throws Exception {
    List<Workload> workloads = List.of(Workload.RANDOM_UPDATE, Workload.COPY_ON_WRITE);
    try (VmHost host = new VmHost(small(8 * MIB))) {
      for (Workload workload : workloads) {
        for (int copy = 1; copy <= 2; copy++) {
          host.add(
                  VmSpec.of(workload.label() + copy, pc(technique), builtin(workload))
                      .withTrustDomain("tests"))
              .start();
        }
      }
      for (Vm vm : host.vms()) {
        while (!vm.awaitEnd(Duration.ofMillis(20))) {
          host.audit();
        }
        assertThat(vm.end().orElseThrow().sentence()).isEqualTo("the guest ended itself");
      }
      for (Vm vm : host.vms()) {
        Workload workload = workloads.get(vm.name().startsWith("random") ? 0 : 1);
        assertThat(printed(vm)).as(vm.name()).isEqualTo(alone(workload, technique));
      }
      assertNothingIsLeft(host);
    }
  }

  @Test
  void aGuestThatCrashesTakesNobodyWithItAndLeavesItsRegisters() throws Exception {
    try (VmHost host = new VmHost(small(32 * MIB))) {
      Vm good = host.add(VmSpec.of("good", pc(TechniqueKind.NESTED), endless()));
      good.start();
      awaitRunning(good);
      Vm bad =
          host.add(
              VmSpec.of(
                  "bad", pc(TechniqueKind.SHADOW), BootRequest.of(TinyGuest.of(Assembler::ud2))));
      for (int time = 0; time < 3; time++) {
        bad.start();
        assertThat(bad.awaitEnd(LONG)).isTrue();
        assertThat(bad.state()).isEqualTo(VmState.CRASHED);
        assertThat(bad.end().orElseThrow().sentence()).contains("triple fault");
        assertThat(bad.end().orElseThrow().postMortem()).contains("RIP").contains("TRIPLE_FAULT");
        host.audit();
      }
      long before = good.inspect(PcMachine::instructions);
      assertThat(good.state()).isEqualTo(VmState.RUNNING);
      while (good.inspect(PcMachine::instructions) == before) {
        Thread.onSpinWait();
      }
      good.switchOff();
      assertThat(good.awaitEnd(LONG)).isTrue();
      assertNothingIsLeft(host);
    }
  }

  @Test
  void whatCannotBeBootedEndsInASentenceAndGivesItsMemoryBack() throws Exception {
    try (VmHost host = new VmHost(small(32 * MIB))) {
      Vm vm =
          host.add(
              VmSpec.of("torn", pc(TechniqueKind.NESTED), BootRequest.of(new byte[] {1, 2, 3})));
      vm.start();
      assertThatThrownBy(vm::awaitStarted)
          .isInstanceOf(VmException.class)
          .hasMessageStartingWith("torn did not start: ");
      assertThat(vm.end().orElseThrow().sentence()).doesNotContain("please report");
      assertNothingIsLeft(host);
    }
  }

  /** An image that is followed by as much that looks random, as an initial RAM disk does. */
  private static BootRequest withDisk(BootRequest request, long seed, int bytes) {
    byte[] disk = new byte[bytes];
    new Random(seed).nextBytes(disk);
    return request.withInitrd(disk);
  }

  private static HostMemory withoutSwap(long hostBytes) {
    HostMemory memory = HostMemory.create(hostBytes);
    memory.enableReclaim(
        ReclaimOptions.none(hostBytes).withDedup(DedupOptions.ON).withCompression(true));
    return memory;
  }

  @Test
  void aVmThatFindsNoFrameForItsImageWaitsForOneThatEnds() throws Exception {
    try (VmHost host = new VmHost(withoutSwap(8 * MIB))) {
      Vm first =
          host.add(
              VmSpec.of(
                  "first", pc(TechniqueKind.NESTED), withDisk(endless(), 1, (int) (5 * MIB))));
      Vm second =
          host.add(
              VmSpec.of(
                  "second", pc(TechniqueKind.SHADOW), withDisk(endless(), 2, (int) (5 * MIB))));
      first.start();
      awaitRunning(first);
      second.start();
      while (host.memory().freeBytes() > 0) {
        Thread.sleep(1);
      }
      host.audit();
      assertThat(second.state()).isEqualTo(VmState.STARTING);
      first.switchOff();
      second.awaitStarted();
      assertThat(second.state()).isEqualTo(VmState.RUNNING);
      host.audit();
      second.switchOff();
      assertThat(second.awaitEnd(LONG)).isTrue();
      assertNothingIsLeft(host);
    }
  }

  @Test
  void aVmThatWaitsForFramesIsSwitchedOffAtOnce() throws Exception {
    try (VmHost host = new VmHost(withoutSwap(8 * MIB))) {
      for (int i = 1; i <= 2; i++) {
        BootRequest request = withDisk(endless(), i, (int) (6 * MIB));
        Vm vm = host.add(VmSpec.of("vm" + i, pc(TechniqueKind.NESTED), request));
        vm.start();
        if (i == 1) {
          awaitRunning(vm);
        }
      }
      Vm waiting = host.vms().getLast();
      while (host.memory().freeBytes() > 0) {
        Thread.sleep(1);
      }
      waiting.switchOff();
      assertThat(waiting.awaitEnd(LONG)).isTrue();
      assertThat(waiting.end().orElseThrow().sentence()).isEqualTo("switched off");
      assertThat(host.vms().getFirst().state()).isEqualTo(VmState.RUNNING);
    }
  }

  @Test
  void anImageThatNeverFindsFramesEndsItsVmInASentenceAndNoOther() throws Exception {
    try (VmHost host = new VmHost(withoutSwap(4 * MIB))) {
      Vm other = host.add(VmSpec.of("other", pc(TechniqueKind.NESTED), endless()));
      other.start();
      awaitRunning(other);
      BootRequest request = withDisk(endless(), 3, (int) (6 * MIB));
      Vm vm = host.add(VmSpec.of("wide", pc(TechniqueKind.NESTED), request));
      vm.start();
      assertThatThrownBy(vm::awaitStarted)
          .hasMessageStartingWith("wide did not start: ")
          .hasMessageContaining("machine memory is exhausted");
      assertThat(other.state()).isEqualTo(VmState.RUNNING);
      long before = other.inspect(PcMachine::instructions);
      while (other.inspect(PcMachine::instructions) == before) {
        Thread.onSpinWait();
      }
      host.audit();
    }
  }

  @Test
  void aPartitionThatDoesNotFitIsRefusedAndOthersStart() throws Exception {
    try (VmHost host = new VmHost(small(32 * MIB))) {
      Vm vm = host.add(VmSpec.of("wide", pc(TechniqueKind.PARTITION), endless()));
      vm.start();
      assertThatThrownBy(vm::awaitStarted).hasMessageContaining("does not fit");
      Vm other = host.add(VmSpec.of("other", pc(TechniqueKind.NESTED), endless()));
      other.start();
      other.awaitStarted();
      assertThat(other.state()).isEqualTo(VmState.RUNNING);
    }
  }

  @Test
  void aVmIsHeldAndGoesOnAndStartsAgain() throws Exception {
    try (VmHost host = new VmHost(small(32 * MIB))) {
      Vm vm = host.add(VmSpec.of("one", pc(TechniqueKind.NESTED), endless()));
      assertThatThrownBy(vm::pause).hasMessageContaining("one is off; start it first");
      for (int round = 1; round <= 2; round++) {
        vm.start();
        awaitRunning(vm);
        assertThatThrownBy(vm::start).hasMessage("one is running already");
        vm.pause();
        assertThat(vm.state()).isEqualTo(VmState.PAUSED);
        long instructions = vm.inspect(PcMachine::instructions);
        Thread.sleep(20);
        assertThat(vm.inspect(PcMachine::instructions)).isEqualTo(instructions);
        if (round == 1) {
          vm.resume();
          assertThat(vm.state()).isEqualTo(VmState.RUNNING);
        }
        vm.switchOff();
        assertThat(vm.awaitEnd(LONG)).as("also while it is held").isTrue();
        assertThat(vm.state()).isEqualTo(VmState.OFF);
        assertThat(vm.starts()).isEqualTo(round);
      }
      assertNothingIsLeft(host);
    }
  }

  @Test
  void aGuestThatResetsItselfIsStartedAgainWhereThatIsWanted() throws Exception {
    BootRequest resetting =
        BootRequest.of(
            TinyGuest.of(
                a -> {
                  a.mov(Register.AL, 0xFE);
                  a.out(0x64, Register.AL);
                }));
    try (VmHost host = new VmHost(small(32 * MIB))) {
      Vm once = host.add(VmSpec.of("once", pc(TechniqueKind.NESTED), resetting));
      VmSpec plain = VmSpec.of("often", pc(TechniqueKind.NESTED), resetting);
      Vm often =
          host.add(
              new VmSpec(
                  plain.name(),
                  plain.configuration(),
                  plain.request(),
                  plain.trustDomain(),
                  plain.shares(),
                  plain.floorBytes(),
                  true));
      once.start();
      often.start();
      assertThat(once.awaitEnd(LONG)).isTrue();
      assertThat(once.end().orElseThrow().sentence()).isEqualTo("the guest reset itself");
      while (often.starts() < 4) {
        Thread.onSpinWait();
      }
      often.switchOff();
      assertThat(often.awaitEnd(LONG)).isTrue();
      assertNothingIsLeft(host);
    }
  }

  @Test
  void aStormOfOrdersFromManyThreadsLeavesExactBooks() throws Exception {
    long seed = 4;
    System.out.println("storm: seed=" + seed);
    ConcurrentLinkedQueue<Throwable> failures = new ConcurrentLinkedQueue<>();
    try (VmHost host = new VmHost(small(16 * MIB))) {
      for (int i = 0; i < 3; i++) {
        host.add(
            VmSpec.of(
                "vm" + i,
                pc(i == 1 ? TechniqueKind.SHADOW : TechniqueKind.NESTED),
                i == 2 ? endless() : builtin(Workload.RANDOM_UPDATE)));
      }
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        SplittableRandom random = new SplittableRandom(seed + i);
        threads.add(Thread.ofPlatform().start(() -> order(host, random, failures)));
      }
      for (Thread thread : threads) {
        thread.join();
      }
      assertThat(failures).isEmpty();
      host.vms().forEach(Vm::switchOff);
      for (Vm vm : host.vms()) {
        assertThat(vm.awaitEnd(LONG)).isTrue();
        assertThat(vm.end().map(VmEnd::sentence).orElse("")).doesNotContain("please report");
      }
      assertNothingIsLeft(host);
    }
  }

  private static void order(
      VmHost host, SplittableRandom random, ConcurrentLinkedQueue<Throwable> failures) {
    for (int i = 0; i < 60; i++) {
      Vm vm = host.vms().get(random.nextInt(3));
      try {
        switch (random.nextInt(7)) {
          case 0, 1 -> vm.start();
          case 2 -> vm.switchOff();
          case 3 -> vm.pause();
          case 4 -> vm.resume();
          case 5 -> vm.inspect(machine -> machine.memory().scanForEqualPages());
          default -> host.audit();
        }
        Thread.sleep(random.nextInt(8));
      } catch (VmException refused) {
        assertThat(refused.getMessage()).startsWith("vm");
      } catch (Throwable unexpected) {
        failures.add(unexpected);
      }
    }
  }

  @Test
  void namesAreUniqueAndPlain() {
    try (VmHost host = new VmHost(HostMemory.create(8 * MIB))) {
      host.add(VmSpec.of("a", pc(TechniqueKind.NESTED), endless()));
      assertThatThrownBy(() -> host.add(VmSpec.of("a", pc(TechniqueKind.NESTED), endless())))
          .hasMessageContaining("two VMs called a");
      for (String name : List.of("", "-a", "a b", "a/b", "a\n", "x".repeat(65))) {
        assertThatThrownBy(() -> VmSpec.of(name, pc(TechniqueKind.NESTED), endless()))
            .as(name)
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("is no name");
      }
    }
  }
}
