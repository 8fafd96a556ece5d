package memvisor.app.cli.report;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import memvisor.lab.CycleModel;
import memvisor.lab.ParavirtualWork;
import memvisor.lab.RunResult;

/** A comparison as one HTML file that needs nothing else. */
public final class HtmlReport {
  private static final List<String> PARAVIRTUAL_HEADINGS =
      List.of(
          "workload",
          "technique",
          "entries changed by hypercall",
          "per exit",
          "by emulated write",
          "entries checked",
          "tables checked whole",
          "hypercalls");

  private final String title;
  private final List<RunResult> runs;
  private final CycleModel model;
  private final List<String> notes;
  private final List<Metric> metrics;
  private final List<String> techniques;
  private final List<String> workloads;
  private List<Absence> absences = List.of();
  private final StringBuilder html = new StringBuilder();

  /** A report on {@code runs}, in the order given; {@code notes} say how to read it. */
  public HtmlReport(String title, List<RunResult> runs, CycleModel model, List<String> notes) {
    this.title = title;
    this.runs = List.copyOf(runs);
    this.model = model;
    this.notes = List.copyOf(notes);
    this.metrics = Metric.all(model);
    this.techniques = runs.stream().map(RunResult::technique).distinct().toList();
    this.workloads = runs.stream().map(RunResult::workload).distinct().toList();
  }

  /** Adds what was not run. */
  public HtmlReport with(List<Absence> notRun) {
    absences = List.copyOf(notRun);
    return this;
  }

  /** Writes the file, replacing one that is there. */
  public void write(Path file) throws IOException {
    Files.writeString(file, render());
  }

  String render() {
    html.append("<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'/>\n")
        .append("<meta name='viewport' content='width=device-width, initial-scale=1'/>\n")
        .append("<title>" + escape(title) + "</title>\n<style>\n" + style() + "</style>\n</head>\n")
        .append("<body>\n<main>\n<h1>" + escape(title) + "</h1>\n");
    findings();
    notes.forEach(note -> html.append("<p>" + escape(note) + "</p>\n"));
    legend();
    for (Metric metric : metrics) {
      figure(metric);
    }
    table();
    exits();
    paravirtual();
    prices();
    return html.append("</main>\n</body>\n</html>\n").toString();
  }

  /** What the numbers say, one sentence per workload. */
  private void findings() {
    html.append("<ul class='findings'>\n");
    for (String workload : workloads) {
      List<RunResult> own = runs.stream().filter(run -> run.workload().equals(workload)).toList();
      html.append("<li>" + escape(Findings.of(workload, own, model)));
      absences.stream()
          .filter(absence -> absence.workload().equals(workload))
          .forEach(absence -> html.append(" " + escape(absence.sentence())));
      html.append("</li>\n");
    }
    html.append("</ul>\n");
  }

  private void legend() {
    html.append("<p class='legend'>");
    for (int i = 0; i < techniques.size(); i++) {
      html.append(
          "<span><svg viewBox='-8 -8 16 16'><g class='t%d'>%s</g></svg>%s</span> "
              .formatted(i, DotPlot.shape(i), escape(techniques.get(i))));
    }
    html.append("</p>\n");
  }

  private void figure(Metric metric) {
    html.append("<figure>\n<figcaption><b>" + escape(metric.name()) + "</b> ")
        .append(escape(metric.meaning()))
        .append(metric.logarithmic() ? " Logarithmic axis." : "")
        .append("</figcaption>\n")
        .append(new DotPlot(metric, runs, techniques, workloads).svg())
        .append("</figure>\n");
  }

  private void table() {
    html.append("<h2>Numbers</h2>\n<div class='wide'><table>\n<tr>");
    for (String heading : headings()) {
      html.append("<th>" + escape(heading) + "</th>");
    }
    html.append("</tr>\n");
    for (RunResult run : runs) {
      html.append("<tr><td>%s</td><td>%s</td>".formatted(run.workload(), run.technique()));
      number(Metric.format(run.instructions()));
      metrics.forEach(metric -> number(metric.text(run)));
      html.append("<td class='check'>" + escape(run.check()) + "</td></tr>\n");
    }
    html.append("</table></div>\n");
  }

  private List<String> headings() {
    List<String> headings = new ArrayList<>(List.of("workload", "technique", "instructions"));
    metrics.forEach(metric -> headings.add(metric.name()));
    headings.add("checksum");
    return headings;
  }

  private void exits() {
    List<String> reasons =
        runs.stream().flatMap(run -> run.exits().keySet().stream()).distinct().sorted().toList();
    html.append("<h2>Exits by reason</h2>\n<div class='wide'><table>\n");
    html.append("<tr><th>workload</th><th>technique</th>");
    reasons.forEach(reason -> html.append("<th>" + escape(reason) + "</th>"));
    html.append("</tr>\n");
    for (RunResult run : runs) {
      html.append("<tr><td>%s</td><td>%s</td>".formatted(run.workload(), run.technique()));
      for (String reason : reasons) {
        Long count = run.exits().get(reason);
        number(count == null ? "" : Metric.format(count));
      }
      html.append("</tr>\n");
    }
    html.append("</table></div>\n");
  }

  /** What only a paravirtual guest does; nothing where there is none. */
  private void paravirtual() {
    List<RunResult> own = runs.stream().filter(run -> run.paravirtual().isPresent()).toList();
    if (own.isEmpty()) {
      return;
    }
    html.append(
        "<h2>Direct paging: what the guest asked for</h2>\n<div class='wide'><table>\n<tr>");
    for (String heading : PARAVIRTUAL_HEADINGS) {
      html.append("<th>" + escape(heading) + "</th>");
    }
    html.append("</tr>\n");
    own.forEach(run -> run.paravirtual().ifPresent(work -> paravirtual(run, work)));
    html.append("</table></div>\n");
  }

  private void paravirtual(RunResult run, ParavirtualWork work) {
    html.append("<tr><td>%s</td><td>%s</td>".formatted(run.workload(), run.technique()));
    number(Metric.format(work.tableUpdates()));
    number(Metric.format(work.updatesPerExit()));
    number(Metric.format(work.emulatedWrites()));
    number(Metric.format(work.entriesValidated()));
    number(Metric.format(work.tablesValidated()));
    html.append("<td>");
    work.hypercalls()
        .forEach((name, count) -> html.append(escape(name) + " " + Metric.format(count) + " "));
    html.append("</td></tr>\n");
  }

  private void prices() {
    html.append("<h2>Prices of the model</h2>\n<p>")
        .append(escape(Prices.sentence(model, runs)))
        .append(" They are parameters, not measurements.</p>\n");
  }

  private void number(String text) {
    html.append("<td class='number'>" + text + "</td>");
  }

  private static String style() {
    try (InputStream css = HtmlReport.class.getResourceAsStream("report.css")) {
      if (css == null) {
        throw new IllegalStateException("report.css is missing from the program");
      }
      return new String(css.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException failure) {
      throw new IllegalStateException("report.css cannot be read", failure);
    }
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }
}
