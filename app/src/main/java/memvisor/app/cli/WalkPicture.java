package memvisor.app.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import memvisor.lab.WalkLesson;
import memvisor.lab.WalkShape;
import memvisor.paging.EntryDescription;
import memvisor.paging.PagingMode;
import memvisor.paging.Reference;
import memvisor.paging.Translation;
import memvisor.paging.WalkTrace;

/**
 * A walk for the terminal. Each row of the grid is one guest-physical address: the nested tables
 * translate it from left to right, and what is found there stands in the last column.
 */
final class WalkPicture {
  private static final int CELL = 8;
  private static final int LABEL = 24;

  /** Width of the addresses of a reference. */
  private static final int WHERE = 27;

  private final WalkShape shape;
  private final WalkTrace trace;

  WalkPicture(WalkShape shape, WalkTrace trace) {
    this.shape = shape;
    this.trace = trace;
  }

  /** One row: the numbers of the nested references by level, and that of the guest's entry. */
  private record Row(Map<Integer, Integer> nested, int guestNumber, String guestName) {}

  String grid() {
    StringBuilder text = new StringBuilder(title()).append("\n\n");
    List<Row> rows = rows();
    if (shape.nestedLevels() != 0) {
      text.append(" ".repeat(LABEL)).append("nested tables (EPT)\n");
    }
    text.append(pad("to reach ...", LABEL));
    for (int level = shape.nestedLevels(); level > 0; level--) {
      text.append(pad(shortName(level), CELL));
    }
    text.append(shape.nestedLevels() == 0 ? "read" : "then read").append('\n');
    for (Row row : rows) {
      appendRow(text, row);
    }
    return text.toString();
  }

  private String title() {
    String nested =
        shape.nestedLevels() == 0
            ? "no nested tables"
            : "nested tables of %d levels, %s pages"
                .formatted(shape.nestedLevels(), pageName(shape.nestedPage().sizeLog2()));
    return "%s\n= %s\nguest tables of %d levels, %s page; %s"
        .formatted(
            trace.gva(),
            parts(),
            shape.guest().levels(),
            pageName(shape.guestPage().sizeLog2()),
            nested);
  }

  /** What the address is made of: the number of an entry in each table, and the rest. */
  private String parts() {
    int entryBytes = shape.guest() == PagingMode.BITS_32 ? 4 : 8;
    StringBuilder text = new StringBuilder();
    for (Reference reference : trace.references()) {
      if (reference.dimension() == Reference.Dimension.FIRST) {
        long index = (reference.address() & 0xFFF) / entryBytes;
        text.append("%s %d, ".formatted(reference.name(), index));
      }
    }
    long offset = trace.gva().value() & shape.guestPage().offsetMask();
    return text.append("offset 0x%x".formatted(offset)).toString();
  }

  /** How to read the grid. */
  String legend() {
    int guestEntries = rows().size() - 1;
    if (shape.nestedLevels() == 0) {
      return "Each entry holds the address of the next table; the last one, that of the page.\n";
    }
    int nestedEntries = shape.nestedLevels() - (shape.nestedPage().sizeLog2() - 12) / 9;
    return """
        Numbers give the order, with nothing cached. A row is one address in the guest's
        memory: the nested tables say where it really lies, then the guest's entry there
        is read, which gives the address of the next row. In all,
        (%d guest + 1) x (%d nested + 1) - 1 = %d references.
        """
        .formatted(guestEntries, nestedEntries, shape.coldReferences());
  }

  private void appendRow(StringBuilder text, Row row) {
    boolean last = row.guestNumber() == 0;
    text.append(pad(last ? "the byte itself" : "the guest's " + row.guestName(), LABEL));
    for (int level = shape.nestedLevels(); level > 0; level--) {
      Integer number = row.nested().get(level);
      text.append(pad(number == null ? "  ." : "%3d".formatted(number), CELL));
    }
    String found = last ? destination() : "%3d  %s".formatted(row.guestNumber(), row.guestName());
    text.append(shape.nestedLevels() == 0 ? found : "->" + found).append('\n');
  }

  private String destination() {
    return switch (trace.outcome()) {
      case Translation.Mapped mapped -> " " + mapped.hpa();
      case Translation.PageFault fault -> " " + fault;
      case Translation.NestedFault fault -> " " + fault;
    };
  }

  private List<Row> rows() {
    List<Row> rows = new ArrayList<>();
    Map<Integer, Integer> nested = new HashMap<>();
    int number = 0;
    for (Reference reference : trace.references()) {
      number++;
      switch (reference.dimension()) {
        case SECOND -> nested.put(reference.level(), number);
        case FIRST -> {
          rows.add(new Row(nested, number, reference.name()));
          nested = new HashMap<>();
        }
      }
    }
    rows.add(new Row(nested, 0, ""));
    return rows;
  }

  String listing() {
    StringBuilder text = new StringBuilder();
    int number = 0;
    for (Reference reference : trace.references()) {
      number++;
      text.append("%3d  %s  ".formatted(number, where(reference)))
          .append(EntryDescription.describe(reference.mode(), reference.level(), reference.entry()))
          .append('\n');
    }
    text.append("     ").append(trace.outcome()).append('\n');
    return text.append("\n%d references\n".formatted(number)).toString();
  }

  private String where(Reference reference) {
    String hpa = "0x" + Long.toHexString(reference.hpa().value());
    if (shape.nestedLevels() == 0) {
      return pad("at " + hpa, 14);
    }
    return switch (reference.dimension()) {
      case FIRST -> pad("gpa 0x%x hpa %s".formatted(reference.address(), hpa), WHERE);
      case SECOND -> pad("hpa " + hpa, WHERE);
    };
  }

  static String describe(WalkLesson.CachedCosts costs) {
    return """
        With the default TLB and caches:
        %4d references for the page beside it, the caches empty at first
        %4d references for this address after that: %d guest, %d nested
        %4d references for this address once more, from the TLB
        """
        .formatted(
            costs.neighbourReferences(),
            costs.references(),
            costs.guestReferences(),
            costs.nestedReferences(),
            costs.again());
  }

  private static String shortName(int level) {
    return switch (level) {
      case 1 -> "PTE";
      case 2 -> "PDE";
      case 3 -> "PDPTE";
      case 4 -> "PML4E";
      default -> "PML5E";
    };
  }

  private static String pageName(int sizeLog2) {
    return sizeLog2 >= 30 ? "1G" : sizeLog2 >= 20 ? (1 << sizeLog2 - 20) + "M" : "4K";
  }

  private static String pad(String text, int width) {
    return text + " ".repeat(Math.max(0, width - text.length()));
  }
}
