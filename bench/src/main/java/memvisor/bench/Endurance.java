package memvisor.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.host.HostMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.page.PageState;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.fleet.VmSpec;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.VirtioSpec;

/**
 * Many guests on far less memory than they were promised, for as long as asked: each verifies its
 * own data while it is resized at random, held and let go, its pages are merged, compressed and
 * swapped, and the swap file misbehaves. {@code bench/endurance} runs it. Ends with status 1 on a
 * corrupted byte, a dead guest, or a ledger that is not exact.
 */
public final class Endurance {
  private static final long GUEST_BYTES = 256L << 20;
  private static final int FRAME_BYTES = 4096;
  // Data and a kernel that is still comfortable; the rest may go into the balloon.
  private static final long MOST_BALLOON_PAGES = (GUEST_BYTES - (96L << 20)) / FRAME_BYTES;
  private static final Duration TURN = Duration.ofSeconds(2);
  private static final int AUDIT_EVERY = 15;
  private static final int REPORT_EVERY = 30;

  /** Guests that boot at once: more only get into each other's way. */
  private static final int BOOTING = 2;

  private final Random random;
  private final FaultySwap faults;
  private final VmHost host;
  private final List<EnduranceGuest> guests = new ArrayList<>();
  private final long startNanos = System.nanoTime();
  private long resizes;
  private long pauses;
  private long audits;

  private Endurance(VmHost host, FaultySwap faults, Random random) {
    this.host = host;
    this.faults = faults;
    this.random = random;
  }

  /** Arguments: kernel, initrd, guests, host MiB, minutes, seed, swap file's directory, jit. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    BootRequest request =
        BootRequest.of(Files.readAllBytes(Path.of(arguments[0])))
            .withInitrd(Files.readAllBytes(Path.of(arguments[1])));
    int count = Integer.parseInt(arguments[2]);
    long hostBytes = Long.parseLong(arguments[3]) << 20;
    Duration duration = Duration.ofMinutes(Long.parseLong(arguments[4]));
    long seed = Long.parseLong(arguments[5]);
    System.out.printf(
        "%d guests of %d MiB on %d MiB, %d minutes, seed %d%n",
        count, GUEST_BYTES >> 20, hostBytes >> 20, duration.toMinutes(), seed);
    Random random = new Random(seed);
    Path swap = Path.of(arguments[6], "memvisor-endurance-" + ProcessHandle.current().pid());
    FaultySwap faults = new FaultySwap(swap, random);
    HostMemory memory = HostMemory.create(hostBytes);
    long slots = count * (GUEST_BYTES / FRAME_BYTES);
    memory.enableReclaim(
        ReclaimOptions.none(hostBytes)
            .withDedup(scanningAsOne(count))
            .withCompression(true)
            .withSwap(new SwapFile(faults, (int) slots)));
    try (VmHost host = new VmHost(memory)) {
      Endurance campaign = new Endurance(host, faults, random);
      campaign.addGuests(request, count, JitMode.valueOf(arguments[7].toUpperCase(Locale.ROOT)));
      if (!campaign.run(duration)) {
        System.exit(1);
      }
    }
  }

  /** Each guest scans at a fraction of the rate, so that all together do not scan all the time. */
  private static DedupOptions scanningAsOne(int guests) {
    DedupOptions on = DedupOptions.ON;
    return on.withSleepMilliseconds(on.sleepMilliseconds() * guests);
  }

  /** Half of them over nested tables, half over shadow tables. */
  private void addGuests(BootRequest request, int count, JitMode jit) {
    for (int n = 1; n <= count; n++) {
      TechniqueKind technique = n % 2 == 1 ? TechniqueKind.NESTED : TechniqueKind.SHADOW;
      PcConfiguration configuration =
          PcConfiguration.of(GUEST_BYTES, technique, ClockMode.REAL)
              .withJit(JitOptions.of(jit))
              .withDevices(List.of(new VirtioSpec.Balloon(true, true)));
      String name = "guest-" + n;
      VmSpec spec =
          VmSpec.of(
                  name,
                  configuration,
                  request.withCommandLine(
                      "console=ttyS0 quiet cryptomgr.notests panic=-1 endurance.name=" + name))
              .withTrustDomain("endurance");
      guests.add(new EnduranceGuest(host.add(spec)));
    }
  }

  private boolean run(Duration duration) throws InterruptedException {
    long end = startNanos + duration.toNanos();
    boolean well = true;
    for (int turn = 1; well && System.nanoTime() < end; turn++) {
      Thread.sleep(TURN);
      startMore();
      for (EnduranceGuest guest : guests) {
        guest.listen();
      }
      disturb(guests.get(random.nextInt(guests.size())));
      well = isWell();
      if (well && turn % AUDIT_EVERY == 0) {
        host.audit();
        audits++;
      }
      if (turn % REPORT_EVERY == 0) {
        report();
      }
    }
    report();
    well = well && everyGuestVerified();
    System.out.println(well ? "endurance: no failure" : "endurance: FAILED");
    return well;
  }

  /** One after the other: the first have given back what booting took before the last begin. */
  private void startMore() {
    long booting = guests.stream().filter(EnduranceGuest::isBooting).count();
    for (EnduranceGuest guest : guests) {
      if (booting < BOOTING && guest.vm().starts() == 0) {
        guest.vm().start();
        booting++;
      }
    }
  }

  /** A campaign in which a guest never got to check its data proved nothing. */
  private boolean everyGuestVerified() {
    for (EnduranceGuest guest : guests) {
      if (guest.verified() == 0) {
        System.out.println(
            guest.vm().name() + " has not verified its data once: run it for longer");
      }
    }
    return guests.stream().allMatch(guest -> guest.verified() > 0);
  }

  /** Resizes a guest, or holds it for a moment. */
  private void disturb(EnduranceGuest guest) throws InterruptedException {
    Vm vm = guest.vm();
    if (guest.verified() == 0) {
      return;
    }
    if (random.nextInt(5) == 0) {
      vm.pause();
      Thread.sleep(random.nextInt(500));
      vm.resume();
      pauses++;
      return;
    }
    long pages = random.nextLong(MOST_BALLOON_PAGES + 1);
    vm.inspect(machine -> machine.balloon()).orElseThrow().setTargetPages(pages);
    resizes++;
  }

  private boolean isWell() {
    boolean well = true;
    for (EnduranceGuest guest : guests) {
      if (!guest.corruption().isEmpty()) {
        System.out.println(guest.corruption());
        well = false;
      }
      if (guest.vm().starts() > 0 && guest.vm().state().isOff()) {
        System.out.println(
            guest.vm().name()
                + " has ended: "
                + guest.vm().end().map(end -> end.sentence()).orElse("nobody knows why"));
        well = false;
      }
    }
    return well;
  }

  private void report() {
    long least = guests.stream().mapToLong(EnduranceGuest::verified).min().orElse(0);
    long sum = guests.stream().mapToLong(EnduranceGuest::verified).sum();
    double quiet = guests.stream().mapToDouble(EnduranceGuest::quietSeconds).max().orElse(0);
    System.out.printf(
        Locale.ROOT,
        "%5.0f s: %d guests ready, %d checks (least of a guest %d, longest silence %.0f s), %d resizes, %d pauses,"
            + " %d audits, %d faults injected;%s%n",
        (System.nanoTime() - startNanos) / 1e9,
        guests.stream().filter(EnduranceGuest::isReady).count(),
        sum,
        least,
        quiet,
        resizes,
        pauses,
        audits,
        faults.injected(),
        pages());
  }

  private String pages() {
    StringBuilder text = new StringBuilder();
    for (PageState state : PageState.values()) {
      long pages =
          guests.stream()
              .flatMap(guest -> guest.vm().sample().stream())
              .mapToLong(sample -> sample.pages().getOrDefault(state, 0L))
              .sum();
      if (pages > 0) {
        text.append(
            String.format(
                Locale.ROOT,
                " %s %d MiB",
                state.name().toLowerCase(Locale.ROOT),
                pages * FRAME_BYTES >> 20));
      }
    }
    return text.toString();
  }
}
