package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.GuestState;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Guests that run, each on its own thread, while other threads move, merge, compress, swap, split
 * and collapse their pages end in the state that they reach alone: no store is lost, none comes
 * back. A replica kept by the dirty log alone ends equal to the memory it follows.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
final class RacingReclaimTest {
  private static final long MIB = 1L << 20;
  private static final long MEMORY = 32 * MIB;
  private static final int PAGE = 4096;
  private static final int LEAST_STEPS = 8;

  /** How many times longer than in the daily build the guests run. */
  private static final int LENGTH = Integer.getInteger("memvisor.racing", 1);

  private static final long SEED = Long.getLong("memvisor.seed", System.nanoTime());

  private static final Workload[] WORKLOADS = {Workload.RANDOM_UPDATE, Workload.COPY_ON_WRITE};

  @TempDir private Path directory;

  private static BootRequest request(Workload workload) {
    WorkloadParameters defaults = workload.defaults();
    long iterations = defaults.iterations() * LENGTH * (workload == Workload.COPY_ON_WRITE ? 1 : 3);
    return BootRequest.of(
        BuiltinGuest.image(
            workload,
            new WorkloadParameters(
                Math.min(defaults.pages(), 2048), iterations, defaults.spaces())));
  }

  private static PcMachine machine(HostMemory host, TechniqueKind technique, boolean huge) {
    return new PcMachine(
        PcConfiguration.of(MEMORY, technique, ClockMode.VIRTUAL).withHugePages(huge),
        host,
        new ByteArrayOutputStream()::write,
        b -> {});
  }

  private static RunOutcome run(PcMachine machine) {
    return machine.run(Long.MAX_VALUE, Long.MAX_VALUE);
  }

  private HostMemory host() throws IOException {
    HostMemory host = HostMemory.create(48 * MIB);
    host.enableReclaim(
        ReclaimOptions.none(48 * MIB)
            .withDedup(DedupOptions.ON)
            .withCompression(true)
            .withPoolPercent(25)
            .withSwap(SwapFile.create(directory.resolve("swap"), 128 * MIB)));
    return host;
  }

  @ParameterizedTest
  @EnumSource(names = {"NESTED", "SHADOW"})
  void guestsWhosePagesAreTakenAsTheyRunEndAsTheyWouldAlone(TechniqueKind technique)
      throws Exception {
    System.out.println("racing: seed=" + SEED);
    List<BootRequest> requests = new ArrayList<>();
    List<GuestState> alone = new ArrayList<>();
    for (Workload workload : WORKLOADS) {
      requests.add(request(workload));
      try (HostMemory host = HostMemory.create(2 * MEMORY);
          PcMachine machine = machine(host, technique, false)) {
        machine.boot(requests.getLast());
        assertThat(run(machine)).isEqualTo(new RunOutcome.DebugExit(0));
        alone.add(machine.state());
      }
    }
    List<PcMachine> machines = new ArrayList<>();
    try (HostMemory host = host();
        ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Future<RunOutcome>> running = new ArrayList<>();
      List<Future<byte[]>> disturbing = new ArrayList<>();
      for (int i = 0; i < WORKLOADS.length; i++) {
        PcMachine machine = machine(host, technique, i == 0);
        machines.add(machine);
        machine.memory().joinTrustDomain("racing");
        machine.boot(requests.get(i));
        // Some blocks are whole however fast the guest is.
        for (long gfn = 512; gfn <= 6 * 512; gfn += 512) {
          machine.memory().frame(gfn, false);
        }
        if (i == 0) {
          // Later, whether a block of frames is free for it is the race's affair.
          splitAndCollapse(machine.memory(), 7);
          assertThat(machine.memory().largePages().collapsed()).isPositive();
        }
      }
      for (int i = 0; i < WORKLOADS.length; i++) {
        PcMachine machine = machines.get(i);
        Future<RunOutcome> run = threads.submit(() -> run(machine));
        running.add(run);
        long seed = SEED + i;
        // What is tracked stays small: large pages need a guest without a log.
        boolean tracked = i != 0;
        disturbing.add(threads.submit(() -> disturb(machine.memory(), seed, run, tracked)));
      }
      for (int i = 0; i < WORKLOADS.length; i++) {
        PcMachine machine = machines.get(i);
        byte[] replica = disturbing.get(i).get();
        assertThat(running.get(i).get())
            .as("%s: %s", machine.memory().failure(), "seed=" + SEED)
            .isEqualTo(new RunOutcome.DebugExit(0));
        assertThat(machine.state()).as("seed=%d vm=%d", SEED, i + 1).isEqualTo(alone.get(i));
        if (i > 0) {
          assertReplica(machine.memory(), replica, i);
        }
        assertThat(machine.memory().transitionCosts())
            .containsKeys(TransitionReason.COMPRESSED, TransitionReason.MOVED);
      }
      host.audit();
      machines.forEach(PcMachine::close);
      host.audit();
    }
  }

  /** Takes pages in every way until the guest has ended; a replica of its memory by then. */
  private static byte[] disturb(
      VmMemory memory, long seed, Future<RunOutcome> run, boolean tracked) {
    SplittableRandom random = new SplittableRandom(seed);
    byte[] replica = new byte[(int) MEMORY];
    if (tracked) {
      memory.startDirtyLog();
      copy(memory, replica, 0, MEMORY);
    }
    // A guest that has ended by then, because this thread got little time, is disturbed all the
    // same.
    for (int step = 0; step < LEAST_STEPS || !run.isDone(); step++) {
      switch (step < 4 ? 3 : step == 4 ? 1 : random.nextInt(8)) {
        case 0 -> memory.scanForEqualPages();
        case 1 -> memory.compressPages(random.nextInt(300));
        case 2 -> memory.swapOutPages(random.nextInt(300));
        case 3 -> splitAndCollapse(memory, random.nextInt(512));
        case 4 -> collect(memory, replica, tracked);
        default -> {
          for (int i = 0; i < 20; i++) {
            memory.movePage(random.nextInt((int) (MEMORY / PAGE)));
          }
        }
      }
      pause(random.nextInt(2_000_000));
    }
    collect(memory, replica, tracked);
    return replica;
  }

  /** Moves one page out of every large page, and makes large pages again where it can. */
  private static void splitAndCollapse(VmMemory memory, int page) {
    for (int gfn = page; gfn < MEMORY / PAGE; gfn += 512) {
      memory.movePage(gfn);
    }
    memory.collapseLargePages();
  }

  private static void collect(VmMemory memory, byte[] replica, boolean tracked) {
    if (tracked) {
      memory.collectDirty(gfn -> copy(memory, replica, gfn * PAGE, PAGE));
    }
  }

  /** Lets the guest run: one that always stands still races nothing. */
  private static void pause(long nanos) {
    java.util.concurrent.locks.LockSupport.parkNanos(nanos);
  }

  private static void copy(VmMemory memory, byte[] replica, long gpa, long lengthBytes) {
    memory
        .map()
        .regions()
        .forEach(
            region -> {
              long first = Math.max(gpa, region.gpa());
              long end = Math.min(Math.min(gpa + lengthBytes, region.end()), MEMORY);
              if (first < end) {
                memory.read(first, replica, (int) first, (int) (end - first));
              }
            });
  }

  private static void assertReplica(VmMemory memory, byte[] replica, int vm) {
    byte[] now = new byte[replica.length];
    copy(memory, now, 0, MEMORY);
    for (int at = 0; at < now.length; at += PAGE) {
      int mismatch = java.util.Arrays.mismatch(now, at, at + PAGE, replica, at, at + PAGE);
      assertThat(mismatch).as("seed=%d vm=%d gfn=0x%x", SEED, vm + 1, at / PAGE).isEqualTo(-1);
    }
  }
}
