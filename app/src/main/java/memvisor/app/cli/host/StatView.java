package memvisor.app.cli.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import memvisor.device.virtio.BalloonStatistics;
import memvisor.host.compress.CompressionCounters;
import memvisor.host.dedup.DedupCounters;
import memvisor.host.policy.SwapStorm;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.Overcommit;
import memvisor.host.reclaim.ScanRate;
import memvisor.host.swap.SwapCounters;
import memvisor.machine.RunLoop;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.pc.PcBalloon;
import memvisor.machine.pc.PcMachine;
import memvisor.tlb.TlbCounters;

/**
 * What was counted, of the host or of a VM: the answer to {@code stat}.
 *
 * @param title whose counts these are
 * @param groups the counts
 */
record StatView(String title, List<Group> groups) {
  /**
   * Counts that belong together.
   *
   * @param name what they are about
   * @param counts the counts
   */
  record Group(String name, List<Count> counts) {}

  /**
   * One count.
   *
   * @param name what was counted
   * @param value how much; text where it is no number
   */
  record Count(String name, String value) {
    static Count of(String name, long value) {
      return new Count(name, String.valueOf(value));
    }
  }

  private static Count count(String name, long value) {
    return Count.of(name, value);
  }

  // ---- the host ------------------------------------------------------------------------------

  static StatView of(VmHost host) {
    List<Group> groups = new ArrayList<>();
    Optional<HostReclaim> reclaim = host.memory().reclaim();
    host.policy().ifPresent(policy -> groups.add(policy(host, policy)));
    if (reclaim.isPresent()) {
      groups.add(dedup(reclaim.get().dedup()));
      groups.add(compression(reclaim.get().compression()));
      reclaim.get().swap().ifPresent(swap -> groups.add(swap(swap)));
    }
    return new StatView("the host", groups);
  }

  private static Group policy(VmHost host, Overcommit policy) {
    List<Count> counts = new ArrayList<>();
    counts.add(new Count("state", policy.state().name()));
    counts.add(count("frames_free", host.memory().freeBytes() >>> 12));
    counts.add(count("idle_tax_percent", policy.options().idleTaxPercent()));
    long now = host.memory().ledger().nowNanos();
    for (SwapStorm storm : policy.storms()) {
      counts.add(new Count("storm", storm.sentence(host.nameOf(storm.vmId()), now)));
    }
    return new Group("policy", counts);
  }

  private static Group dedup(DedupCounters dedup) {
    return new Group(
        "dedup, under the names of KSM",
        List.of(
            count("pages_shared", dedup.pagesShared()),
            count("pages_sharing", dedup.pagesSharing()),
            count("ksm_zero_pages", dedup.zeroPages()),
            count("pages_unshared", dedup.pagesUnshared()),
            count("pages_volatile", dedup.pagesVolatile()),
            count("pages_scanned", dedup.pagesScanned()),
            count("full_scans", dedup.fullScans()),
            count("general_profit", dedup.generalProfitBytes())));
  }

  private static Group compression(CompressionCounters pool) {
    return new Group(
        "compressed pool",
        List.of(
            count("pages", pool.pages()),
            count("pages_sharing", pool.sharing()),
            count("pages_patched", pool.patches()),
            count("pages_whole", pool.wholes()),
            count("pages_kept_for_patches", pool.kept()),
            count("frames", pool.frames()),
            count("bytes", pool.bytes()),
            count("bytes_of_patches", pool.patchBytes()),
            count("pages_ever", pool.stored()),
            count("incompressible", pool.incompressible()),
            count("refused_full", pool.refusedFull())));
  }

  private static Group swap(SwapCounters swap) {
    return new Group(
        "swap file",
        List.of(
            count("slots", swap.slots()),
            count("slots_used", swap.used()),
            count("pages_out", swap.pagesOut()),
            count("writes", swap.writes()),
            count("pages_in", swap.pagesIn()),
            count("reads", swap.reads()),
            count("read_ahead_hits", swap.readAheadHits()),
            count("failures", swap.failures()),
            new Count("last_failure", swap.lastFailure().isEmpty() ? "none" : swap.lastFailure())));
  }

  // ---- a VM ----------------------------------------------------------------------------------

  static StatView of(Vm vm) {
    return vm.inspect(machine -> of(vm, machine));
  }

  private static StatView of(Vm vm, PcMachine machine) {
    List<Group> groups = new ArrayList<>();
    groups.add(time(vm, machine));
    List<Count> exits = new ArrayList<>();
    machine.exits().counts().forEach((why, times) -> exits.add(count(why.name(), times)));
    exits.add(count("all", machine.exits().total()));
    groups.add(new Group("exits", exits));
    groups.add(tlb(machine.unit().counters()));
    List<Count> technique = new ArrayList<>();
    technique.add(count("table-frames", machine.statistics().tableFrames()));
    machine.statistics().counters().forEach((name, value) -> technique.add(count(name, value)));
    groups.add(new Group("technique " + machine.statistics().name(), technique));
    List<Count> pages = new ArrayList<>();
    machine
        .memory()
        .transitionCosts()
        .forEach((why, cost) -> pages.add(count(why.name(), cost.count())));
    pages.add(count("paged_twice", machine.memory().pagedTwice()));
    groups.add(new Group("changes of pages", pages));
    machine.memory().scanRate().ifPresent(rate -> groups.add(scan(rate)));
    groups.add(
        new Group(
            "pressure",
            machine.memory().pressure().toString().lines().map(StatView::pressure).toList()));
    machine.balloon().map(PcBalloon::state).ifPresent(state -> groups.add(balloon(state)));
    return new StatView(vm.name(), groups);
  }

  private static Group scan(ScanRate rate) {
    return new Group(
        "scan for equal pages",
        List.of(
            count("pages_to_scan", rate.pages()),
            count("pause_millisecs", rate.pauseMilliseconds()),
            count("slow_down", rate.slowDown()),
            new Count("because", rate.because())));
  }

  private static Count pressure(String line) {
    int space = line.indexOf(' ');
    return new Count(line.substring(0, space), line.substring(space + 1));
  }

  private static Group time(Vm vm, PcMachine machine) {
    RunLoop.Times times = machine.times();
    List<Count> counts = new ArrayList<>();
    counts.add(count("instructions", machine.instructions()));
    vm.sample()
        .ifPresent(
            sample -> {
              counts.add(new Count("alive", Sizes.time(sample.aliveNanos())));
              counts.add(new Count("processor", Sizes.time(sample.cpuNanos())));
            });
    counts.add(new Count("idle", Sizes.time(times.idle())));
    counts.add(new Count("paused", Sizes.time(times.paused())));
    counts.add(new Count("looking after memory", Sizes.time(times.housekeeping())));
    counts.add(new Count("waiting for a frame", Sizes.time(times.starved())));
    return new Group("time", counts);
  }

  private static Group tlb(TlbCounters tlb) {
    return new Group(
        "translation",
        List.of(
            count("walks", tlb.walks()),
            count("references", tlb.references()),
            count("nested references", tlb.nestedReferences()),
            count("page faults", tlb.pageFaults()),
            count("nested faults", tlb.nestedFaults()),
            count("flushes", tlb.flushes())));
  }

  private static Group balloon(PcBalloon.State state) {
    List<Count> counts = new ArrayList<>();
    counts.add(count("target_pages", state.targetPages()));
    counts.add(count("actual_pages", state.actualPages()));
    counts.add(count("ballooned_pages", state.balloonedPages()));
    counts.add(count("inflated", state.counters().inflated()));
    counts.add(count("deflated", state.counters().deflated()));
    counts.add(count("reported_free", state.counters().reported()));
    counts.add(count("ignored", state.counters().ignored()));
    BalloonStatistics said = state.statistics();
    add(counts, "guest_free_bytes", said.freeBytes());
    add(counts, "guest_available_bytes", said.availableBytes());
    add(counts, "guest_swap_in_bytes", said.swapInBytes());
    add(counts, "guest_swap_out_bytes", said.swapOutBytes());
    add(counts, "guest_major_faults", said.majorFaults());
    return new Group("balloon", counts);
  }

  private static void add(List<Count> counts, String name, java.util.OptionalLong value) {
    value.ifPresent(number -> counts.add(count(name, number)));
  }

  String text() {
    StringBuilder out = new StringBuilder(title + "\n");
    int width =
        groups.stream()
            .flatMap(group -> group.counts().stream())
            .mapToInt(count -> count.name().length())
            .max()
            .orElse(1);
    for (Group group : groups) {
      if (!group.counts().isEmpty()) {
        out.append(group.name()).append('\n');
        group
            .counts()
            .forEach(
                count ->
                    out.append(
                        ("  %-" + width + "s  %s\n").formatted(count.name(), count.value())));
      }
    }
    return out.toString();
  }
}
