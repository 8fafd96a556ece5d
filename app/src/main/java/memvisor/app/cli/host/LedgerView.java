package memvisor.app.cli.host;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import memvisor.app.cli.report.TextTable;
import memvisor.host.PageCensus;
import memvisor.host.frames.FrameCounts;
import memvisor.machine.VirtualMachine;
import memvisor.machine.fleet.VmHost;
import memvisor.memory.FrameRole;

/**
 * Where all of machine memory is: the answer to {@code ledger}. Sums are exact, because all VMs
 * stood still while they were taken.
 *
 * @param frames frames of the machine
 * @param byRole frames by what they hold; they add up to {@code frames}
 * @param vms what each VM has
 * @param vmm what Memvisor itself takes, beside machine memory
 * @param decisions what was done lately, and why
 */
record LedgerView(
    long frames, Map<String, Long> byRole, List<Part> vms, VmmView vmm, List<String> decisions) {
  private static final int DECISIONS = 12;
  private static final int FRAME_BYTES = 4096;

  /**
   * One VM's part.
   *
   * @param name its name
   * @param guestBytes what the guest believes it has
   * @param pageBytes frames that hold pages of its own
   * @param tableBytes frames of the technique's tables
   * @param sharedBytes its part of shared frames: one of n users has an n-th
   * @param poolBytes its part of the compressed pool, by what its pages take there
   * @param totalBytes all of these
   * @param mapBytes Java heap for the books about its pages
   */
  record Part(
      String name,
      long guestBytes,
      long pageBytes,
      long tableBytes,
      long sharedBytes,
      long poolBytes,
      long totalBytes,
      long mapBytes) {}

  static LedgerView of(VmHost host) {
    List<LedgerView> made = new ArrayList<>();
    // Names are asked for first: a VM that stands still cannot answer.
    List<String> decisions = Decisions.latest(host, DECISIONS);
    host.whileAllStandStill(standing -> made.add(still(host, standing, decisions)));
    return made.getFirst();
  }

  private static LedgerView still(
      VmHost host, List<VmHost.Standing> standing, List<String> decisions) {
    FrameCounts totals = host.memory().ledger().totals();
    Map<String, Long> byRole = new LinkedHashMap<>();
    for (FrameRole role : FrameRole.values()) {
      byRole.put(role.name(), totals.count(role));
    }
    List<Part> parts = standing.stream().map(one -> part(host, one)).toList();
    long maps = parts.stream().mapToLong(Part::mapBytes).sum();
    return new LedgerView(
        host.memory().ledger().frameCount(), byRole, parts, VmmView.of(host, maps), decisions);
  }

  private static Part part(VmHost host, VmHost.Standing standing) {
    VirtualMachine machine = standing.machine();
    PageCensus census = machine.memory().census();
    FrameCounts usage = machine.memory().usage();
    long pages = usage.count(FrameRole.GUEST_PAGE) * FRAME_BYTES;
    long tables = usage.total() * FRAME_BYTES - pages;
    long shared = Math.round(census.sharedFrames() * FRAME_BYTES);
    long pool = poolPart(host, census.compressedBytes());
    return new Part(
        standing.vm().name(),
        machine.memoryBytes(),
        pages,
        tables,
        shared,
        pool,
        pages + tables + shared + pool,
        machine.memory().mapBytes());
  }

  /** A page's part of the pool also covers the gaps between pages. */
  static long poolPart(VmHost host, long compressedBytes) {
    return host.memory()
        .reclaim()
        .map(reclaim -> reclaim.compression())
        .filter(pool -> pool.bytes() > 0)
        .map(
            pool ->
                Math.round((double) compressedBytes / pool.bytes() * pool.frames() * FRAME_BYTES))
        .orElse(0L);
  }

  String text() {
    StringBuilder out = new StringBuilder();
    out.append("Machine memory by what it holds, in frames of 4 KiB:\n");
    TextTable roles = new TextTable(1, List.of("  USE", "FRAMES", "MIB", "%"));
    byRole.forEach((role, count) -> addRole(roles, Words.of(role), count));
    addRole(roles, "all", frames);
    out.append(roles).append('\n');
    if (!vms.isEmpty()) {
      out.append("By VM, in MiB; shared frames and the compressed pool in proportion to use:\n");
      out.append(vmTable()).append('\n');
    }
    out.append(vmm.text());
    if (!decisions.isEmpty()) {
      out.append("\nLatest decisions:\n");
      decisions.forEach(line -> out.append("  ").append(line).append('\n'));
    }
    return out.toString();
  }

  private void addRole(TextTable table, String role, long count) {
    if (count > 0) {
      table.add(
          List.of(
              "  " + role,
              "%,d".formatted(count),
              Sizes.mib(count * FRAME_BYTES),
              "%.1f".formatted(100.0 * count / frames)));
    }
  }

  private TextTable vmTable() {
    TextTable table =
        new TextTable(
            1, List.of("  VM", "GUEST", "PAGES", "TABLES", "SHARED", "POOL", "HOST", "HEAP"));
    long[] sums = new long[7];
    for (Part vm : vms) {
      long[] row = {
        vm.guestBytes(),
        vm.pageBytes(),
        vm.tableBytes(),
        vm.sharedBytes(),
        vm.poolBytes(),
        vm.totalBytes(),
        vm.mapBytes()
      };
      for (int i = 0; i < row.length; i++) {
        sums[i] += row[i];
      }
      table.add(row("  " + vm.name(), row));
    }
    table.add(row("  all", sums));
    return table;
  }

  private static List<String> row(String name, long[] sizes) {
    List<String> cells = new ArrayList<>();
    cells.add(name);
    for (long size : sizes) {
      cells.add(Sizes.mib(size));
    }
    return cells;
  }
}
