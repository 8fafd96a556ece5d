package memvisor.app.cli.host;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.lang.management.MemoryPoolMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import memvisor.app.cli.report.TextTable;
import memvisor.machine.fleet.VmHost;

/**
 * What Memvisor's own process takes. What cannot be found out on this system is 0.
 *
 * @param residentBytes all that the host's kernel holds in memory for the process
 * @param arenaBytes of it machine memory: frames that were touched so far
 * @param heapUsedBytes Java heap in use, garbage included
 * @param heapCommittedBytes Java heap taken from the host
 * @param ledgerBytes of the heap: the ledger of host frames
 * @param mapBytes of the heap: maps and histories of all VMs' pages
 * @param codeBytes code that the Java virtual machine compiled
 * @param classBytes classes, those that translated guest code among them
 * @param threads threads of the process
 */
record VmmView(
    long residentBytes,
    long arenaBytes,
    long heapUsedBytes,
    long heapCommittedBytes,
    long ledgerBytes,
    long mapBytes,
    long codeBytes,
    long classBytes,
    int threads) {
  private static final Path MAPPINGS = Path.of("/proc/self/smaps");

  static VmmView of(VmHost host, long mapBytes) {
    MemoryMXBean memory = ManagementFactory.getMemoryMXBean();
    long base = host.memory().machine().hva(0);
    return new VmmView(
        resident(0, Long.MAX_VALUE),
        resident(base, base + host.memory().ledger().frameCount() * 4096),
        memory.getHeapMemoryUsage().getUsed(),
        memory.getHeapMemoryUsage().getCommitted(),
        host.memory().ledger().heapBytes(),
        mapBytes,
        pools("Code"),
        pools("Metaspace") + pools("Compressed Class"),
        ManagementFactory.getThreadMXBean().getThreadCount());
  }

  private static long pools(String name) {
    return ManagementFactory.getMemoryPoolMXBeans().stream()
        .filter(pool -> pool.getName().contains(name))
        .map(MemoryPoolMXBean::getUsage)
        .mapToLong(usage -> usage == null ? 0 : usage.getCommitted())
        .sum();
  }

  /** Resident bytes of the mappings that begin in {@code [start, end)}; 0 where nobody says. */
  private static long resident(long start, long end) {
    try {
      return resident(Files.readAllLines(MAPPINGS), start, end);
    } catch (IOException | NumberFormatException unknown) {
      return 0;
    }
  }

  static long resident(List<String> smaps, long start, long end) {
    long kib = 0;
    boolean inside = false;
    for (String line : smaps) {
      if (line.startsWith("Rss:")) {
        kib += inside ? Long.parseLong(line.replaceAll("[^0-9]", "")) : 0;
      } else if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        long at = Long.parseUnsignedLong(line.substring(0, line.indexOf('-')), 16);
        inside = at >= 0 && at >= start && at < end || at < 0 && start == 0;
      }
    }
    return kib << 10;
  }

  String text() {
    TextTable table = new TextTable(1, List.of("  OF MEMVISOR'S PROCESS", "MIB"));
    table.add(List.of("  resident in all", Sizes.mib(residentBytes)));
    table.add(List.of("    machine memory, touched so far", Sizes.mib(arenaBytes)));
    table.add(List.of("    Java heap committed", Sizes.mib(heapCommittedBytes)));
    table.add(List.of("      in use, garbage included", Sizes.mib(heapUsedBytes)));
    table.add(List.of("        ledger of frames", Sizes.mib(ledgerBytes)));
    table.add(List.of("        maps and histories of pages", Sizes.mib(mapBytes)));
    table.add(List.of("    compiled code", Sizes.mib(codeBytes)));
    table.add(List.of("    classes", Sizes.mib(classBytes)));
    long rest = residentBytes - arenaBytes - heapCommittedBytes - codeBytes - classBytes;
    table.add(
        List.of(
            "    the rest: stacks of %d threads, libraries".formatted(threads),
            Sizes.mib(Math.max(0, rest))));
    return "What the monitor itself costs:\n" + table;
  }
}
