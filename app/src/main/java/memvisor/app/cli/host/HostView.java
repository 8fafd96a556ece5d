package memvisor.app.cli.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import memvisor.app.cli.report.TextTable;
import memvisor.host.frames.FrameCounts;
import memvisor.host.page.PageState;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmEnd;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.fleet.VmSample;
import memvisor.memory.FrameRole;

/**
 * A host and its VMs at a glance: the answer to {@code ps}.
 *
 * @param memoryBytes machine memory
 * @param freeBytes of it nobody's
 * @param sharedBytes frames that several pages share, the page of zeroes among them
 * @param poolBytes frames of the compressed pool
 * @param vms the VMs
 */
record HostView(
    long memoryBytes, long freeBytes, long sharedBytes, long poolBytes, List<VmRow> vms) {

  /**
   * One VM.
   *
   * @param name its name
   * @param state what it is doing
   * @param technique how its memory is virtualized
   * @param memoryBytes what the guest believes it has
   * @param ownBytes host memory that is this VM's alone: pages and tables
   * @param sharedBytes guest memory on shared frames
   * @param zeroBytes guest memory on the page of zeroes
   * @param compressedBytes guest memory that is compressed, or one repeated word
   * @param swappedBytes guest memory in the swap file
   * @param balloonBytes guest memory in the balloon
   * @param untouchedBytes guest memory never touched, or given back
   * @param cpuPercent processor time of its thread in the last seconds, 100 is a whole processor
   * @param mips guest instructions per second, in millions
   * @param note how it ended, if it did
   */
  record VmRow(
      String name,
      String state,
      String technique,
      long memoryBytes,
      long ownBytes,
      long sharedBytes,
      long zeroBytes,
      long compressedBytes,
      long swappedBytes,
      long balloonBytes,
      long untouchedBytes,
      double cpuPercent,
      double mips,
      String note) {}

  private static final int FRAME_BYTES = 4096;

  static HostView of(VmHost host) {
    FrameCounts totals = host.memory().ledger().totals();
    List<VmRow> rows = host.vms().stream().map(HostView::row).toList();
    return new HostView(
        host.memory().ledger().frameCount() * FRAME_BYTES,
        totals.count(FrameRole.FREE) * FRAME_BYTES,
        (totals.count(FrameRole.SHARED) + totals.count(FrameRole.ZERO_PAGE)) * FRAME_BYTES,
        totals.count(FrameRole.COMPRESSED_POOL) * FRAME_BYTES,
        rows);
  }

  private static VmRow row(Vm vm) {
    boolean off = vm.state().isOff();
    Optional<VmSample> sample = off ? Optional.empty() : vm.sample();
    List<VmSample> history = vm.history();
    double cpu = 0;
    double mips = 0;
    if (!off && history.size() >= 2) {
      VmSample last = history.getLast();
      VmSample before = history.get(Math.max(0, history.size() - 3));
      double nanos = last.nanos() - before.nanos();
      cpu = 100 * (last.cpuNanos() - before.cpuNanos()) / nanos;
      mips = 1e3 * (last.instructions() - before.instructions()) / nanos;
    }
    return new VmRow(
        vm.name(),
        vm.state().word(),
        vm.spec().configuration().technique().word(),
        vm.spec().configuration().memoryBytes(),
        sample.map(s -> s.frames().total() * FRAME_BYTES).orElse(0L),
        bytes(sample, PageState.SHARED),
        bytes(sample, PageState.ZERO),
        bytes(sample, PageState.COMPRESSED) + bytes(sample, PageState.SAME_FILLED),
        bytes(sample, PageState.SWAPPED),
        bytes(sample, PageState.BALLOONED),
        bytes(sample, PageState.UNTOUCHED),
        cpu,
        mips,
        off ? vm.end().map(VmEnd::sentence).orElse("not started") : "");
  }

  private static long bytes(Optional<VmSample> sample, PageState state) {
    return sample.map(s -> s.pages(state) * FRAME_BYTES).orElse(0L);
  }

  /** The table. */
  String text() {
    TextTable table =
        new TextTable(
            3,
            List.of(
                "NAME", "STATE", "MMU", "MEMORY", "OWN", "SHARED", "ZERO", "COMPR", "SWAP",
                "BALLOON", "CPU%", "MIPS"));
    List<String> notes = new ArrayList<>();
    for (VmRow vm : vms) {
      table.add(
          List.of(
              vm.name(),
              vm.state(),
              vm.technique(),
              Sizes.mib(vm.memoryBytes()),
              Sizes.mib(vm.ownBytes()),
              Sizes.mib(vm.sharedBytes()),
              Sizes.mib(vm.zeroBytes()),
              Sizes.mib(vm.compressedBytes()),
              Sizes.mib(vm.swappedBytes()),
              Sizes.mib(vm.balloonBytes()),
              "%.0f".formatted(vm.cpuPercent()),
              "%.1f".formatted(vm.mips())));
      if (!vm.note().isEmpty()) {
        notes.add(vm.name() + ": " + vm.note() + "\n");
      }
    }
    return table + headline() + String.join("", notes);
  }

  private String headline() {
    long running = vms.stream().filter(vm -> vm.ownBytes() > 0).count();
    long used = memoryBytes - freeBytes;
    long guests = vms.stream().mapToLong(vm -> vm.ownBytes() > 0 ? vm.memoryBytes() : 0).sum();
    String promised =
        switch ((int) running) {
          case 0 -> "no VM has memory";
          case 1 -> "1 VM with memory, %s MiB in its eyes".formatted(Sizes.mib(guests));
          default ->
              "%d VMs with memory, %s MiB in their eyes".formatted(running, Sizes.mib(guests));
        };
    return "%s, in %s of %s MiB%s\n%s MiB are free, %s shared, %s compressed\n"
        .formatted(
            promised,
            Sizes.mib(used),
            Sizes.mib(memoryBytes),
            running < 2 ? "" : " (%s each)".formatted(Sizes.mib(used / running)),
            Sizes.mib(freeBytes),
            Sizes.mib(sharedBytes),
            Sizes.mib(poolBytes));
  }
}
