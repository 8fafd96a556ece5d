package memvisor.app.cli.host;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import memvisor.app.cli.report.TextTable;
import memvisor.host.PageCensus;
import memvisor.host.frames.FrameCounts;
import memvisor.host.frames.TransitionCost;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageRecord;
import memvisor.host.page.PageState;
import memvisor.machine.VirtualMachine;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;
import memvisor.memory.FrameRole;

/**
 * Where one VM's memory is, and why: the answer to {@code ledger VM}.
 *
 * @param vm its name
 * @param guestBytes what the guest believes it has
 * @param pagesByState guest pages by where they are
 * @param patchedPages of the compressed pages, those that are kept as patches to similar ones
 * @param holePages pages of its memory that make room for devices below 1 MiB; with them the pages
 *     add up to the guest's memory
 * @param framesByRole host frames of its own
 * @param sharedBytes its part of shared frames: one of n users has an n-th
 * @param poolBytes its part of the compressed pool
 * @param hostBytes all the host memory that is charged to it
 * @param mapBytes Java heap for the books about its pages
 * @param workingSetBytes what it accessed in the last sweep of the reclaim clock; 0: not swept yet
 * @param transitions how pages changed their state, by reason
 * @param decisions what was done to it lately, and why
 */
record VmLedgerView(
    String vm,
    long guestBytes,
    Map<String, Long> pagesByState,
    long patchedPages,
    long holePages,
    Map<String, Long> framesByRole,
    long sharedBytes,
    long poolBytes,
    long hostBytes,
    long mapBytes,
    long workingSetBytes,
    List<Transition> transitions,
    List<String> decisions) {
  private static final int FRAME_BYTES = 4096;
  private static final int DECISIONS = 8;

  /**
   * Changes of pages for one reason.
   *
   * @param reason why
   * @param count how many
   * @param nanos what they took, all together
   * @param lastPage the frame number of the guest page that changed last, -1 if it has changed
   *     again
   * @param agoNanos how long ago that was
   */
  record Transition(String reason, long count, long nanos, long lastPage, long agoNanos) {}

  static VmLedgerView of(VmHost host, Vm vm) {
    return vm.inspect(machine -> of(host, vm, machine));
  }

  private static VmLedgerView of(VmHost host, Vm vm, VirtualMachine machine) {
    PageCensus census = machine.memory().census();
    Map<String, Long> pages = new LinkedHashMap<>();
    for (PageState state : PageState.values()) {
      pages.put(state.name(), census.pages(state));
    }
    FrameCounts usage = machine.memory().usage();
    Map<String, Long> frames = new LinkedHashMap<>();
    for (FrameRole role : FrameRole.values()) {
      if (usage.count(role) > 0) {
        frames.put(role.name(), usage.count(role));
      }
    }
    long shared = Math.round(census.sharedFrames() * FRAME_BYTES);
    long pool = LedgerView.poolPart(host, census.compressedBytes());
    return new VmLedgerView(
        vm.name(),
        machine.memoryBytes(),
        pages,
        census.patchedPages(),
        machine.memoryBytes() / FRAME_BYTES
            - pages.values().stream().mapToLong(Long::longValue).sum(),
        frames,
        shared,
        pool,
        usage.total() * FRAME_BYTES + shared + pool,
        machine.memory().mapBytes(),
        machine.memory().workingSetPages() * FRAME_BYTES,
        transitions(machine, census),
        Decisions.latest(host, DECISIONS, machine.memory().vmId()));
  }

  private static List<Transition> transitions(VirtualMachine machine, PageCensus census) {
    long now = machine.ledger().nowNanos();
    List<Transition> list = new ArrayList<>();
    for (Map.Entry<TransitionReason, TransitionCost> cost :
        machine.memory().transitionCosts().entrySet()) {
      PageRecord last = census.last().get(cost.getKey());
      list.add(
          new Transition(
              cost.getKey().name(),
              cost.getValue().count(),
              cost.getValue().nanos(),
              last == null ? -1 : last.gfn(),
              last == null ? 0 : now - last.timeNanos()));
    }
    return list;
  }

  String text() {
    StringBuilder out = new StringBuilder();
    out.append(
        "%s believes it has %s MiB; %s MiB of host memory are charged to it.\n\n"
            .formatted(vm, Sizes.mib(guestBytes), Sizes.mib(hostBytes)));
    out.append("Its pages, by where they are:\n");
    TextTable pages = new TextTable(1, List.of("  STATE", "PAGES", "MIB", "HOST MIB"));
    pagesByState.forEach((state, count) -> addState(pages, state, count));
    pages.add(
        List.of(
            "  hole for devices",
            "%,d".formatted(holePages),
            Sizes.mib(holePages * FRAME_BYTES),
            "-"));
    long all = guestBytes / FRAME_BYTES;
    pages.add(List.of("  all", "%,d".formatted(all), Sizes.mib(all * FRAME_BYTES), ""));
    out.append(pages).append('\n');
    out.append("Host memory charged to it, in MiB:\n");
    TextTable host = new TextTable(1, List.of("  USE", "MIB"));
    framesByRole.forEach(
        (role, count) ->
            host.add(List.of("  " + Words.of(role) + "s", Sizes.mib(count * FRAME_BYTES))));
    host.add(List.of("  its part of shared frames", Sizes.mib(sharedBytes)));
    host.add(List.of("  its part of the compressed pool", Sizes.mib(poolBytes)));
    host.add(List.of("  all", Sizes.mib(hostBytes)));
    out.append(host);
    out.append(
        "  and %s MiB of Java heap for the books about its pages\n".formatted(Sizes.mib(mapBytes)));
    if (workingSetBytes > 0) {
      out.append("  it used %s MiB lately\n".formatted(Sizes.mib(workingSetBytes)));
    }
    addTransitions(out);
    if (!decisions.isEmpty()) {
      out.append("\nLatest decisions about it:\n");
      decisions.forEach(line -> out.append("  ").append(line).append('\n'));
    }
    return out.toString();
  }

  private void addState(TextTable table, String name, long count) {
    if (count == 0) {
      return;
    }
    PageState state = PageState.valueOf(name);
    String cost =
        switch (state) {
          case RESIDENT -> Sizes.mib(count * FRAME_BYTES);
          case SHARED -> Sizes.mib(sharedBytes);
          case COMPRESSED -> Sizes.mib(poolBytes);
          case UNTOUCHED, ZERO, BALLOONED, SAME_FILLED, SWAPPED -> "-";
        };
    table.add(
        List.of(
            "  " + Words.of(name), "%,d".formatted(count), Sizes.mib(count * FRAME_BYTES), cost));
    if (state == PageState.COMPRESSED && patchedPages > 0) {
      table.add(
          List.of(
              "    of these, patches",
              "%,d".formatted(patchedPages),
              Sizes.mib(patchedPages * FRAME_BYTES),
              ""));
    }
  }

  private void addTransitions(StringBuilder out) {
    if (transitions.isEmpty()) {
      return;
    }
    out.append("\nWhat happened to its pages, and what it took:\n");
    TextTable table =
        new TextTable(1, List.of("  WHY", "TIMES", "TOOK", "EACH", "LAST PAGE", "WHEN"));
    for (Transition change : transitions) {
      table.add(
          List.of(
              "  " + Words.of(change.reason()),
              "%,d".formatted(change.count()),
              Sizes.time(change.nanos()),
              Sizes.time((double) change.nanos() / change.count()),
              change.lastPage() < 0 ? "" : "gfn 0x%x".formatted(change.lastPage()),
              change.lastPage() < 0 ? "" : Sizes.ago(change.agoNanos())));
    }
    out.append(table);
  }
}
