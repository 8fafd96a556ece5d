package memvisor.app.cli.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import memvisor.lab.CycleModel;
import memvisor.lab.ParavirtualWork;
import memvisor.lab.RunResult;

/**
 * A comparison for the terminal, 80 columns wide unless numbers are huge: a block for each
 * workload.
 */
public final class TextReport {
  private static final int WIDTH = 80;
  private static final String INDENT = "  ";

  private final List<RunResult> runs;
  private final List<Absence> absences;
  private final CycleModel model;

  /** A report on {@code runs}, in the order given, and on what was not run. */
  public TextReport(List<RunResult> runs, List<Absence> absences, CycleModel model) {
    this.runs = List.copyOf(runs);
    this.absences = List.copyOf(absences);
    this.model = model;
  }

  /** All of it. */
  public String render(List<String> notes) {
    StringBuilder text = new StringBuilder();
    for (String workload : runs.stream().map(RunResult::workload).distinct().toList()) {
      block(text, workload, runs.stream().filter(run -> run.workload().equals(workload)).toList());
    }
    wrap(text, "", Prices.sentence(model, runs));
    notes.forEach(note -> wrap(text, "", note));
    return text.toString();
  }

  private void block(StringBuilder text, String workload, List<RunResult> own) {
    wrap(text, "", workload + ": " + instructions(own));
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
      wrap(text, INDENT, "exits, " + run.technique() + ": " + counts(run.exits()));
      run.paravirtual().ifPresent(work -> paravirtual(text, run.technique(), work));
    }
    absences.stream()
        .filter(absence -> absence.workload().equals(workload))
        .forEach(absence -> wrap(text, INDENT, absence.sentence()));
    wrap(text, INDENT, Findings.of(workload, own, model));
    text.append('\n');
  }

  private static void paravirtual(StringBuilder text, String technique, ParavirtualWork work) {
    if (!work.hypercalls().isEmpty()) {
      wrap(text, INDENT, "hypercalls, " + technique + ": " + counts(work.hypercalls()));
    }
    if (work.entries() != 0) {
      wrap(text, INDENT, "validation, " + technique + ": " + ParavirtualText.validation(work));
    }
  }

  /** One number where all agree; a paravirtual guest's own beside it. */
  private static String instructions(List<RunResult> own) {
    Map<Long, List<String>> techniques = new LinkedHashMap<>();
    for (RunResult run : own) {
      techniques
          .computeIfAbsent(run.instructions(), count -> new ArrayList<>())
          .add(run.technique());
    }
    long usual = own.getFirst().instructions();
    String others =
        techniques.entrySet().stream()
            .skip(1)
            .map(
                e -> ", " + Metric.format(e.getKey()) + " under " + String.join(", ", e.getValue()))
            .collect(Collectors.joining());
    return Metric.format(usual) + " instructions" + others;
  }

  private static String counts(Map<String, Long> counts) {
    return counts.isEmpty()
        ? "none"
        : counts.entrySet().stream()
            .map(count -> count.getKey() + " " + Metric.format(count.getValue()))
            .collect(Collectors.joining(", "));
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
