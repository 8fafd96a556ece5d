package memvisor.app.cli.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import memvisor.lab.CycleModel;
import memvisor.lab.RunResult;

/**
 * A comparison for the terminal, 80 columns wide unless numbers are huge: a block for each
 * workload.
 */
public final class TextReport {
  private static final int WIDTH = 80;
  private static final String INDENT = "  ";

  private final List<RunResult> runs;
  private final CycleModel model;

  /** A report on {@code runs}, in the order given. */
  public TextReport(List<RunResult> runs, CycleModel model) {
    this.runs = List.copyOf(runs);
    this.model = model;
  }

  /** All of it. */
  public String render(List<String> notes) {
    StringBuilder text = new StringBuilder();
    for (String workload : runs.stream().map(RunResult::workload).distinct().toList()) {
      block(text, workload, runs.stream().filter(run -> run.workload().equals(workload)).toList());
    }
    wrap(text, "", prices());
    notes.forEach(note -> wrap(text, "", note));
    return text.toString();
  }

  private void block(StringBuilder text, String workload, List<RunResult> own) {
    text.append(workload).append(": ").append(instructions(own)).append('\n');
    List<Metric> metrics = Metric.all(model);
    List<String> heading = new ArrayList<>(List.of(INDENT + "technique"));
    metrics.forEach(metric -> heading.add(metric.heading()));
    TextTable table = new TextTable(1, heading);
    for (RunResult run : own) {
      List<String> row = new ArrayList<>(List.of(INDENT + run.technique()));
      metrics.forEach(metric -> row.add(metric.text(run)));
      table.add(row);
    }
    text.append(table);
    for (RunResult run : own) {
      wrap(text, INDENT, "exits, " + run.technique() + ": " + exits(run));
    }
    wrap(text, INDENT, Findings.of(workload, own, model));
    text.append('\n');
  }

  private static String instructions(List<RunResult> own) {
    List<Long> counts = own.stream().map(RunResult::instructions).distinct().toList();
    return counts.size() == 1
        ? Metric.format(counts.getFirst()) + " instructions"
        : own.stream()
                .map(run -> run.technique() + " " + Metric.format(run.instructions()))
                .collect(Collectors.joining(", "))
            + " instructions";
  }

  private static String exits(RunResult run) {
    return run.exits().isEmpty()
        ? "none"
        : run.exits().entrySet().stream()
            .map(exit -> exit.getKey() + " " + Metric.format(exit.getValue()))
            .collect(Collectors.joining(", "));
  }

  private String prices() {
    return String.format(
        Locale.ROOT,
        "Cycles are modelled: instruction %s, second-level TLB hit %s, table entry read %s, exit and"
            + " entry %s, handling an exit %s (--cycles changes them). Frames: what the technique's own tables take.",
        Metric.format(model.instruction()),
        Metric.format(model.secondLevelHit()),
        Metric.format(model.reference()),
        Metric.format(model.exit()),
        Metric.format(model.handling()));
  }

  /** Breaks lines between words; further lines are indented. */
  private static void wrap(StringBuilder text, String indent, String sentence) {
    int column = indent.length();
    text.append(indent);
    boolean first = true;
    for (String word : sentence.split(" ")) {
      if (!first && column + 1 + word.length() > WIDTH) {
        text.append('\n').append(indent).append(INDENT);
        column = indent.length() + INDENT.length();
      } else if (!first) {
        text.append(' ');
        column++;
      }
      text.append(word);
      column += word.length();
      first = false;
    }
    text.append('\n');
  }
}
