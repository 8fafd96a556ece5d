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
        RunResult.SoftwareWalks.NONE,
        10 + scale,
        50_000_000L * scale,
        check,
        Optional.empty());
  }

  static List<RunResult> sample() {
    List<RunResult> runs = new ArrayList<>();
    for (String workload : List.of("copy", "random", "chase", "churn", "switch", "cow")) {
      long scale = workload.length() * 7L;
      runs.add(run("nested", workload, scale, "12ab"));
      runs.add(run("shadow", workload, scale * 3, "12ab"));
      runs.add(run("partition", workload, 1, "12ab"));
      runs.add(run("trap", workload, scale * 4000, "12ab"));
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
    // One mark per run in each figure, and a row per run in each of the two tables.
    assertThat(page.getElementsByTagName("title").getLength() - 1)
        .isEqualTo(sample().size() * Metric.all(CycleModel.DEFAULT).size());
    assertThat(page.getElementsByTagName("tr").getLength()).isEqualTo(2 * (sample().size() + 1));
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
            RunResult.SoftwareWalks.NONE,
            0,
            0,
            "",
            Optional.empty());
    assertThat(new HtmlReport("Empty", List.of(empty), CycleModel.DEFAULT, List.of()).render())
        .doesNotContain("NaN", "Infinity");
  }

  @Test
  void checksumsThatDifferAreCalledOut() {
    List<RunResult> runs = List.of(run("nested", "copy", 1, "1"), run("shadow", "copy", 1, "2"));
    assertThat(Findings.of("copy", runs, CycleModel.DEFAULT)).contains("DISAGREE");
    assertThat(Findings.of("copy", sample().subList(0, 4), CycleModel.DEFAULT))
        .startsWith("copy: cheapest under partition; nested ")
        .doesNotContain("DISAGREE");
  }

  /** Writes the sample where a person can look at it. */
  public static void main(String[] arguments) throws Exception {
    new HtmlReport("Sample", sample(), CycleModel.DEFAULT, List.of()).write(Path.of(arguments[0]));
  }
}
