package memvisor.app.cli.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.xml.parsers.DocumentBuilderFactory;
import memvisor.lab.CycleModel;
import memvisor.lab.ParavirtualWork;
import memvisor.lab.RunResult;
import memvisor.tlb.TlbCounters;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.xml.sax.InputSource;

final class HtmlReportTest {
  static RunResult run(String technique, String workload, long scale, String check) {
    TlbCounters tlb =
        new TlbCounters(
            900 * scale,
            800 * scale,
            20 * scale,
            10 * scale,
            3,
            40 * scale,
            4,
            5,
            6,
            0,
            0,
            0,
            1,
            2);
    Map<String, Long> exits = Map.of("IO_INSTRUCTION", 60L, "EPT_VIOLATION", 7 * scale);
    return new RunResult(
        technique,
        workload,
        "ended",
        1_000_000,
        exits,
        tlb,
        new RunResult.SoftwareWalks(0, 0),
        technique.equals("direct") ? Optional.of(work(scale)) : Optional.empty(),
        10 + scale,
        50_000_000L * scale,
        check,
        Optional.empty());
  }

  private static ParavirtualWork work(long scale) {
    Map<String, Long> calls = Map.of("multicall", scale, "update_va_mapping", 2 * scale);
    return new ParavirtualWork(calls, 2 * scale, scale, 3, 20 * scale, 4);
  }

  static List<RunResult> sample() {
    List<RunResult> runs = new ArrayList<>();
    for (String workload : List.of("copy", "random", "chase", "churn", "switch", "cow")) {
      long scale = workload.length() * 7L;
      runs.add(run("nested", workload, scale, "12ab"));
      runs.add(run("shadow", workload, scale * 3, "12ab"));
      runs.add(run("partition", workload, 1, "12ab"));
      runs.add(run("trap", workload, scale * 4000, "12ab"));
      runs.add(run("direct", workload, scale * 2, "12ab"));
    }
    return runs;
  }

  @Test
  void thePageIsWellFormedAndNeedsNothingElse(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("report.html");
    new HtmlReport("Four <techniques> & more", sample(), CycleModel.DEFAULT, List.of()).write(file);
    String html = Files.readString(file);
    assertThat(html).doesNotContain("http:", "https:", "<script", "url(", "@import");
    Document page =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new InputSource(new StringReader(html.replaceFirst("<!doctype html>", ""))));
    assertThat(page.getElementsByTagName("h1").item(0).getTextContent())
        .isEqualTo("Four <techniques> & more");
    // One mark per run in each figure; a row per run in each of the two tables, and one per
    // paravirtual run in the third.
    assertThat(page.getElementsByTagName("title").getLength() - 1)
        .isEqualTo(sample().size() * Metric.all(CycleModel.DEFAULT).size());
    assertThat(page.getElementsByTagName("tr").getLength())
        .isEqualTo(2 * (sample().size() + 1) + 6 + 1);
  }

  @Test
  void aRunWithoutWalksOrExitsIsDrawnToo() {
    TlbCounters none = new TlbCounters(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    RunResult empty =
        new RunResult(
            "nested",
            "copy",
            "ended",
            0,
            Map.of(),
            none,
            new RunResult.SoftwareWalks(0, 0),
            Optional.empty(),
            0,
            0,
            "",
            Optional.empty());
    assertThat(new HtmlReport("Empty", List.of(empty), CycleModel.DEFAULT, List.of()).render())
        .doesNotContain("NaN", "Infinity");
  }

  @Test
  void whatWasNotRunSaysWhy() {
    Absence absence = new Absence("copy", "direct", "it has no <tags>");
    assertThat(
            new HtmlReport("Title", sample(), CycleModel.DEFAULT, List.of())
                .with(List.of(absence))
                .render())
        .contains("direct: not run, because it has no &lt;tags&gt;.");
    assertThat(new TextReport(sample(), List.of(absence), CycleModel.DEFAULT).render(List.of()))
        .containsOnlyOnce("direct: not run, because it has no <tags>.");
  }

  @Test
  void aHypercallIsPricedByItsRingAndItsEntries() {
    ParavirtualWork work =
        new ParavirtualWork(Map.of("multicall", 10L, "update_va_mapping", 20L), 20, 10, 1, 15, 0);
    RunResult run =
        new RunResult(
            "direct",
            "churn",
            "ended",
            1000,
            Map.of("HYPERCALL", 10L, "SYSTEM_CALL", 2L, "EXCEPTION_NMI", 3L),
            new TlbCounters(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
            new RunResult.SoftwareWalks(0, 0),
            Optional.of(work),
            0,
            0,
            "",
            Optional.empty());
    // 12 calls at 200, 3 exceptions at 600, 20 calls of batches and 5 other exits handled at 600,
    // 20 + 1 entries changed and 15 checked at 50.
    assertThat(CycleModel.DEFAULT.cycles(run))
        .isEqualTo(1000 + 12 * 200 + 3 * 600 + 25 * 600 + 36 * 50);
  }

  @Test
  void checksumsThatDifferAreCalledOut() {
    List<RunResult> runs = List.of(run("nested", "copy", 1, "1"), run("shadow", "copy", 1, "2"));
    assertThat(Findings.of("copy", runs, CycleModel.DEFAULT)).contains("DISAGREE");
    assertThat(Findings.of("copy", sample().subList(0, 5), CycleModel.DEFAULT))
        .startsWith("copy: cheapest under partition; nested ")
        .doesNotContain("DISAGREE");
  }

  /** Writes the sample where a person can look at it. */
  public static void main(String[] arguments) throws Exception {
    new HtmlReport("Sample", sample(), CycleModel.DEFAULT, List.of()).write(Path.of(arguments[0]));
  }
}
