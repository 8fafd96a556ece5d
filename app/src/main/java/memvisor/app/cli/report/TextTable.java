package memvisor.app.cli.report;

import java.util.ArrayList;
import java.util.List;

/** A table for the terminal: the first columns to the left, numbers to the right. */
public final class TextTable {
  private static final String GAP = "  ";

  private final int leftColumns;
  private final List<List<String>> rows = new ArrayList<>();

  /** A table whose first {@code leftColumns} columns are words. */
  public TextTable(int leftColumns, List<String> heading) {
    this.leftColumns = leftColumns;
    rows.add(List.copyOf(heading));
  }

  /** Adds a row, with as many cells as the heading. */
  public void add(List<String> cells) {
    if (cells.size() != rows.getFirst().size()) {
      throw new IllegalArgumentException(
          "cells=%d columns=%d".formatted(cells.size(), rows.getFirst().size()));
    }
    rows.add(List.copyOf(cells));
  }

  @Override
  public String toString() {
    int[] widths = new int[rows.getFirst().size()];
    for (List<String> row : rows) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], row.get(i).length());
      }
    }
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < widths.length; i++) {
        String padding = " ".repeat(widths[i] - row.get(i).length());
        String cell = row.get(i);
        line.append(i == 0 ? "" : GAP).append(i < leftColumns ? cell + padding : padding + cell);
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
    return text.toString();
  }
}
