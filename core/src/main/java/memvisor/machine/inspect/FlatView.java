package memvisor.machine.inspect;

import java.util.List;
import java.util.function.Consumer;
import memvisor.device.BusRange;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;

/**
 * {@code info mtree -f}: who answers at each address of the two address spaces of a PC, in the form
 * of QEMU's flat views.
 */
public final class FlatView {
  private static final long PORT_COUNT = 0x10000;

  private FlatView() {}

  /** The port space; what nobody claims is the empty bus, which reads as all-ones. */
  public static void ports(int number, List<BusRange> claimed, Consumer<String> lines) {
    lines.accept("FlatView #" + number);
    lines.accept(" AS \"I/O\", root: io");
    lines.accept(" Root memory region: io");
    long next = 0;
    for (BusRange range : claimed) {
      emptyBus(next, range.start(), lines);
      lines.accept(line(range.start(), range.end(), "i/o", range.name()));
      next = range.end();
    }
    emptyBus(next, PORT_COUNT, lines);
    lines.accept("");
  }

  private static void emptyBus(long start, long end, Consumer<String> lines) {
    if (start < end) {
      lines.accept(line(start, end, "i/o", "io" + offset(start)));
    }
  }

  /** The guest-physical address space; addresses that no line names belong to nobody. */
  public static void memory(
      int number, GuestMemoryMap map, List<BusRange> windows, Consumer<String> lines) {
    lines.accept("FlatView #" + number);
    lines.accept(" AS \"memory\", root: system");
    lines.accept(" AS \"cpu-memory-0\", root: system");
    lines.accept(" Root memory region: system");
    int window = 0;
    for (MemoryRegion region : map.regions()) {
      while (window < windows.size() && windows.get(window).start() < region.gpa()) {
        lines.accept(windowLine(windows.get(window++)));
      }
      lines.accept(regionLine(region));
    }
    for (; window < windows.size(); window++) {
      lines.accept(windowLine(windows.get(window)));
    }
    lines.accept("");
  }

  private static String windowLine(BusRange window) {
    return line(window.start(), window.end(), "i/o", window.name());
  }

  private static String regionLine(MemoryRegion region) {
    String kind = region.kind() == MemoryRegion.Kind.ROM ? "rom" : "ram";
    return line(region.gpa(), region.end(), kind, regionName(region) + offset(region.gpa()));
  }

  /** The block of memory that a region is a part of; all of it is one, at offsets that are GPA. */
  public static String regionName(MemoryRegion region) {
    return region.kind() == MemoryRegion.Kind.ROM ? "pc.rom" : "pc.ram";
  }

  private static String offset(long start) {
    return start == 0 ? "" : " @%016x".formatted(start);
  }

  private static String line(long start, long end, String kind, String name) {
    return "  %016x-%016x (prio 0, %s): %s".formatted(start, end - 1, kind, name);
  }
}
