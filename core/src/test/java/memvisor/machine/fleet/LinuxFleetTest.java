package memvisor.machine.fleet;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.host.HostMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.pc.GuestModules;
import memvisor.machine.pc.LinuxGuest;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.VirtioSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Debian guests on a fraction of the memory that they were promised, each verifying its own data
 * while its balloon moves, it is held, its pages are merged, compressed and swapped, and the swap
 * file fails: no byte changes, nobody ends, and the books are exact. The campaign {@code
 * bench/endurance} does the same for as long as one likes.
 */
@Timeout(value = 20, unit = TimeUnit.MINUTES)
final class LinuxFleetTest {
  private static final long MIB = 1L << 20;
  private static final int GUESTS = 3;
  private static final long GUEST_BYTES = 128 * MIB;
  private static final long HOST_BYTES = 80 * MIB;
  private static final int SWAP_BYTES = (int) (256 * MIB);
  private static final long MOST_BALLOON_PAGES = 4096;
  private static final int PAGES_AT_ONCE = 500;

  /** Rounds that each guest has to verify, and how often each disturbance has to happen. */
  private static final int ROUNDS = Integer.getInteger("memvisor.fleetRounds", 3);

  /** What has to have happened to the pages of one guest at least. */
  private static final List<TransitionReason> EVERYWHERE =
      List.of(
          TransitionReason.DEDUPLICATED,
          TransitionReason.COMPRESSED,
          TransitionReason.DECOMPRESSED,
          TransitionReason.SWAPPED_OUT,
          TransitionReason.SWAPPED_IN);

  /** What is done to one guest while all run. */
  private enum Disturbance {
    RESIZE,
    HOLD,
    MERGE,
    COMPRESS,
    SWAP,
    AUDIT
  }

  /** What a guest said about its data so far. */
  private static final class Witness {
    private final Vm vm;
    private final StringBuilder console = new StringBuilder();
    private long position;

    Witness(Vm vm) {
      this.vm = vm;
    }

    void listen() throws InterruptedException {
      ConsoleLog.Part part = vm.console().read(position, 1 << 16, 1);
      position = part.next();
      console.append(new String(part.bytes(), StandardCharsets.ISO_8859_1));
    }

    boolean isReady() {
      return console.indexOf("@@ready") >= 0;
    }

    long count(TransitionReason reason) {
      return vm.sample().map(sample -> sample.transition(reason).count()).orElse(0L);
    }

    int rounds() {
      return console.toString().split("@@verified", -1).length - 1;
    }
  }

  private int disturbances;
  private final List<Witness> witnesses = new ArrayList<>();

  private static BootRequest request() throws IOException {
    Path directory = LinuxGuest.directory();
    byte[] init = Files.readAllBytes(Path.of("..", "bench", "endurance-init.sh"));
    return GuestModules.with(
        BootRequest.of(Files.readAllBytes(directory.resolve("vmlinuz")))
            .withInitrd(Files.readAllBytes(directory.resolve("initrd"))),
        init,
        "virtio_balloon");
  }

  private void add(VmHost host, BootRequest request, int number) {
    TechniqueKind technique = number % 2 == 1 ? TechniqueKind.NESTED : TechniqueKind.SHADOW;
    PcConfiguration configuration =
        PcConfiguration.of(GUEST_BYTES, technique, ClockMode.VIRTUAL)
            .withJit(JitOptions.of(JitMode.REGIONS))
            .withDevices(List.of(new VirtioSpec.Balloon(true, true)));
    String name = "guest-" + number;
    String commandLine =
        "console=ttyS0 quiet cryptomgr.notests panic=-1 endurance.files=6 endurance.pause=0"
            + " endurance.name="
            + name;
    VmSpec spec = VmSpec.of(name, configuration, request.withCommandLine(commandLine));
    witnesses.add(new Witness(host.add(spec.withTrustDomain("fleet"))));
  }

  @Test
  void guestsThatVerifyTheirDataNoticeNothingOfWhatIsDoneToTheirMemory() throws Exception {
    long seed = 20_261;
    System.out.println("fleet: seed=" + seed);
    BootRequest request = request();
    BadSwap storage = new BadSwap(SWAP_BYTES, new Random(seed));
    HostMemory memory = HostMemory.create(HOST_BYTES);
    memory.enableReclaim(
        ReclaimOptions.none(HOST_BYTES)
            .withDedup(DedupOptions.ON)
            .withCompression(true)
            .withSwap(new SwapFile(storage, SWAP_BYTES / SwapFile.SLOT_BYTES)));
    try (VmHost host = new VmHost(memory)) {
      for (int number = 1; number <= GUESTS; number++) {
        add(host, request, number);
      }
      host.vms().forEach(Vm::start);
      disturbUntilEnough(host, storage, new Random(seed));
      host.audit();
    }
  }

  private void disturbUntilEnough(VmHost host, BadSwap storage, Random random) throws Exception {
    while (!isEnough(storage)) {
      for (Witness witness : witnesses) {
        witness.listen();
        assertThat(witness.console.toString()).doesNotContain("@@CORRUPT");
        assertThat(witness.vm.end().map(VmEnd::sentence)).as(witness.vm.name()).isEmpty();
      }
      List<Witness> ready = witnesses.stream().filter(Witness::isReady).toList();
      if (ready.size() == GUESTS) {
        Disturbance what = Disturbance.values()[disturbances++ % Disturbance.values().length];
        disturb(host, ready.get(random.nextInt(GUESTS)).vm, what, random);
      }
      Thread.sleep(20);
    }
  }

  private boolean isEnough(BadSwap storage) {
    return witnesses.stream().allMatch(witness -> witness.rounds() >= ROUNDS)
        && disturbances >= ROUNDS * Disturbance.values().length
        && storage.failedWrites() > 0
        && storage.wrongReads() > 0
        && witnesses.stream().allMatch(witness -> witness.count(TransitionReason.BALLOONED) > 0)
        && EVERYWHERE.stream()
            .allMatch(why -> witnesses.stream().anyMatch(witness -> witness.count(why) > 0));
  }

  private static void disturb(VmHost host, Vm vm, Disturbance what, Random random)
      throws InterruptedException {
    switch (what) {
      case RESIZE -> {
        long pages = 1 + random.nextLong(MOST_BALLOON_PAGES);
        vm.inspect(
            machine -> {
              machine.balloon().orElseThrow().setTargetPages(pages);
              return pages;
            });
      }
      case HOLD -> {
        vm.pause();
        Thread.sleep(random.nextInt(50));
        vm.resume();
      }
      case MERGE -> vm.inspect(machine -> machine.memory().scanForEqualPages());
      case COMPRESS -> vm.inspect(machine -> machine.memory().compressPages(PAGES_AT_ONCE));
      case SWAP -> vm.inspect(machine -> machine.memory().swapOutPages(PAGES_AT_ONCE));
      case AUDIT -> host.audit();
    }
  }
}
