package memvisor.app.cli.host;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import memvisor.device.virtio.BalloonStatistics;
import memvisor.host.frames.TransitionReason;
import memvisor.host.policy.SwapStorm;
import memvisor.machine.ExitReason;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmException;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.fleet.VmSample;
import memvisor.machine.fleet.VmState;

/** Finds out what keeps a VM from executing its guest, by two samples some seconds apart. */
final class SlowReport {
  /** Less than this share of the time explains nothing. */
  private static final double LEAST_PERCENT = 1;

  private static final double IDLE_PERCENT = 80;
  private static final int SAMPLES = 11;

  private final VmHost host;
  private final Vm vm;
  private final VmSample from;
  private final VmSample to;
  private final double wall;
  private final List<SlowView.Cause> causes = new ArrayList<>();

  private SlowReport(VmHost host, Vm vm, VmSample from, VmSample to) {
    this.host = host;
    this.vm = vm;
    this.from = from;
    this.to = to;
    wall = to.nanos() - from.nanos();
  }

  /**
   * Explains the last ten seconds.
   *
   * @throws VmException if the VM is off, or has not run for a second yet
   */
  static SlowView of(VmHost host, Vm vm) {
    List<VmSample> history = vm.history();
    if (vm.state().isOff()) {
      throw new VmException(
          "%s is %s%s"
              .formatted(
                  vm.name(),
                  vm.state().word(),
                  vm.end().map(end -> ": " + end.sentence()).orElse("")));
    }
    if (history.size() < 3) {
      throw new VmException(vm.name() + " has just started: ask again in a few seconds");
    }
    VmSample from = history.get(Math.max(0, history.size() - SAMPLES));
    return new SlowReport(host, vm, from, history.getLast()).view();
  }

  // ---- shares of the time --------------------------------------------------------------------

  private double percent(double nanos) {
    return Math.clamp(100 * nanos / wall, 0, 100);
  }

  private long nanos(TransitionReason reason) {
    return to.transition(reason).nanos() - from.transition(reason).nanos();
  }

  private long count(TransitionReason reason) {
    return to.transition(reason).count() - from.transition(reason).count();
  }

  private double idle() {
    return percent(to.times().idle() - from.times().idle());
  }

  private double paused() {
    return percent(to.times().paused() - from.times().paused());
  }

  private double starved() {
    return percent(to.times().starved() - from.times().starved());
  }

  private double housekeeping() {
    return executed() * percent(to.times().housekeeping() - from.times().housekeeping());
  }

  /**
   * Of the time in which the thread wanted to run, the share in which it did. What it did was timed
   * by the wall, so waiting for a processor is in there, evenly.
   */
  private double executed() {
    double wanted = 100 - idle() - paused() - starved();
    return wanted <= 0 ? 0 : Math.min(1, processor() / wanted);
  }

  private double processor() {
    return percent(to.cpuNanos() - from.cpuNanos());
  }

  private double swapIn() {
    return percent(nanos(TransitionReason.SWAPPED_IN));
  }

  private double decompress() {
    return executed() * percent(nanos(TransitionReason.DECOMPRESSED));
  }

  private double unshare() {
    return executed() * percent(nanos(TransitionReason.UNSHARED));
  }

  /** Wall time in which the thread wanted to run, but neither ran nor read the swap file. */
  private double stolen() {
    return Math.max(0, 100 - idle() - paused() - starved() - swapIn() - processor());
  }

  private double guest() {
    return Math.max(0, processor() - decompress() - unshare() - housekeeping());
  }

  private double perSecond(long count) {
    return count * 1e9 / wall;
  }

  // ---- the report ----------------------------------------------------------------------------

  private SlowView view() {
    findCauses();
    causes.sort(Comparator.comparingDouble(SlowView.Cause::percent).reversed());
    List<SlowView.Share> time =
        List.of(
            new SlowView.Share("executing the guest", guest()),
            new SlowView.Share("idle: the guest waits for something", idle()),
            new SlowView.Share("reading pages back from the swap file", swapIn()),
            new SlowView.Share("decompressing pages", decompress()),
            new SlowView.Share("copying pages that were shared", unshare()),
            new SlowView.Share(
                "taking pages away: scanning, compressing, swapping", housekeeping()),
            new SlowView.Share("waiting for a free frame", starved()),
            new SlowView.Share("waiting for a processor", stolen()),
            new SlowView.Share("paused", paused()));
    String pressure =
        vm.inspect(machine -> machine.memory().pressure().toString())
            .lines()
            .findFirst()
            .orElse("");
    return new SlowView(vm.name(), verdict(), wall / 1e9, causes, time, pressure);
  }

  private String verdict() {
    if (vm.state() == VmState.PAUSED) {
      return "it is paused: memvisor resume %s lets it go on".formatted(vm.name());
    }
    Optional<SwapStorm> storm =
        host.policy().stream()
            .flatMap(policy -> policy.storms().stream())
            .filter(found -> Optional.of(found.vmId()).equals(vm.vmId()))
            .findFirst();
    if (storm.isPresent()) {
      return storm.get().sentence("it", host.memory().ledger().nowNanos());
    }
    if (!causes.isEmpty() && causes.getFirst().percent() >= 5) {
      SlowView.Cause worst = causes.getFirst();
      return "mostly %s (%.0f%% of its time)".formatted(worst.what(), worst.percent());
    }
    return idle() >= IDLE_PERCENT
        ? "it is not slow but idle, %.0f%% of its time".formatted(idle())
        : "nothing keeps it from executing its guest: %.0f%% of its time goes there"
            .formatted(guest());
  }

  private void findCauses() {
    add(
        "reading pages back from the swap file",
        swapIn(),
        "%,d pages came back (%.0f a second), %s each"
            .formatted(
                count(TransitionReason.SWAPPED_IN),
                perSecond(count(TransitionReason.SWAPPED_IN)),
                each(TransitionReason.SWAPPED_IN)),
        "its working set does not fit: raise its floor or shares, or stop another VM");
    add(
        "decompressing pages",
        decompress(),
        "%,d pages came back (%.0f a second), %s each"
            .formatted(
                count(TransitionReason.DECOMPRESSED),
                perSecond(count(TransitionReason.DECOMPRESSED)),
                each(TransitionReason.DECOMPRESSED)),
        "its working set does not fit: raise its floor or shares, or give the host more memory");
    add(
        "copying pages that were shared",
        unshare(),
        "%,d first writes to shared pages (%.0f a second), %s each"
            .formatted(
                count(TransitionReason.UNSHARED),
                perSecond(count(TransitionReason.UNSHARED)),
                each(TransitionReason.UNSHARED)),
        "pages are merged that it soon writes: lower pages-to-scan under dedup");
    add(
        "taking pages away",
        housekeeping(),
        "it stood still for scans and for %,d pages compressed and %,d swapped out"
            .formatted(
                count(TransitionReason.COMPRESSED) + count(TransitionReason.PATCHED),
                count(TransitionReason.SWAPPED_OUT)),
        "lower pages-to-scan under dedup, or give the host more memory");
    add(
        "waiting for a free frame",
        starved(),
        "no frame was free; others had to give theirs first",
        "give the host more memory, or larger floors to fewer VMs");
    add(
        "waiting for a processor",
        stolen(),
        "its thread used %.0f%% of a processor; %d VMs share %d processors"
            .formatted(
                processor(),
                host.vms().stream().filter(other -> !other.state().isOff()).count(),
                Runtime.getRuntime().availableProcessors()),
        "run fewer VMs at a time, or pause some");
    doublePaging();
    exits();
  }

  private String each(TransitionReason reason) {
    return Sizes.time(count(reason) == 0 ? 0 : (double) nanos(reason) / count(reason));
  }

  private void add(String what, double percent, String evidence, String remedy) {
    if (percent >= LEAST_PERCENT) {
      causes.add(new SlowView.Cause(what, percent, evidence, remedy));
    }
  }

  /** The guest swaps on its own disk; what its disk holds the host may swap once more. */
  private void doublePaging() {
    Optional<BalloonStatistics> before = from.balloon();
    Optional<BalloonStatistics> after = to.balloon();
    if (before.isEmpty() || after.isEmpty()) {
      return;
    }
    long in = change(before.get().swapInBytes(), after.get().swapInBytes());
    long out = change(before.get().swapOutBytes(), after.get().swapOutBytes());
    if (in + out == 0) {
      return;
    }
    long refaults = count(TransitionReason.SWAPPED_IN) + count(TransitionReason.DECOMPRESSED);
    causes.add(
        new SlowView.Cause(
            refaults > 0 ? "double paging" : "swapping inside the guest",
            0,
            "the guest read %s and wrote %s MiB on its own swap device%s"
                .formatted(
                    Sizes.mib(in),
                    Sizes.mib(out),
                    refaults > 0
                        ? ", and the host brought back %,d pages that it had taken"
                            .formatted(refaults)
                        : ""),
            "its balloon leaves it too little: memvisor balloon %s SIZE".formatted(vm.name())));
  }

  private static long change(OptionalLong before, OptionalLong after) {
    return before.isPresent() && after.isPresent()
        ? Math.max(0, after.getAsLong() - before.getAsLong())
        : 0;
  }

  /** What an exit costs is not measured one by one: the rate is the evidence. */
  private void exits() {
    long all = 0;
    ExitReason most = ExitReason.HLT;
    long mostCount = 0;
    for (Map.Entry<ExitReason, Long> exit : to.exits().entrySet()) {
      long more = exit.getValue() - from.exits().getOrDefault(exit.getKey(), 0L);
      all += more;
      if (more > mostCount) {
        most = exit.getKey();
        mostCount = more;
      }
    }
    long instructions = Math.max(1, to.instructions() - from.instructions());
    double per1000 = 1000.0 * all / instructions;
    if (per1000 >= 5 && all >= 1000 && most != ExitReason.HLT) {
      causes.add(
          new SlowView.Cause(
              "exits",
              0,
              "%,.0f exits a second, one in %,d instructions; most are %s (%,d)"
                  .formatted(perSecond(all), Math.max(1, instructions / all), most, mostCount),
              "memvisor compare shows how other techniques fare with such a guest"));
    }
  }
}
