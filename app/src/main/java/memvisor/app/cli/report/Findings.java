package memvisor.app.cli.report;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import memvisor.lab.CycleModel;
import memvisor.lab.RunResult;

/** What a comparison says, in sentences. */
public final class Findings {
  private Findings() {}

  /** One sentence on one workload: the order of the techniques by modelled cycles. */
  public static String of(String workload, List<RunResult> runs, CycleModel model) {
    List<RunResult> ordered =
        runs.stream().sorted(Comparator.comparingDouble(model::cycles)).toList();
    if (ordered.size() < 2) {
      return workload + ": one run only, nothing to compare.";
    }
    double best = model.cycles(ordered.getFirst());
    String others =
        ordered.stream()
            .skip(1)
            .map(run -> run.technique() + " " + times(model.cycles(run) / best))
            .collect(Collectors.joining(", "));
    String sentence =
        "%s: cheapest under %s; %s.".formatted(workload, ordered.getFirst().technique(), others);
    return agree(runs) ? sentence : sentence + " THE TECHNIQUES DISAGREE: the checksums differ.";
  }

  /** Whether the guest came to the same result in all {@code runs} that can be compared. */
  public static boolean agree(List<RunResult> runs) {
    List<RunResult> comparable = runs.stream().filter(run -> !run.check().isEmpty()).toList();
    return comparable.stream().map(RunResult::check).distinct().count() <= 1
        && comparable.stream().map(RunResult::state).distinct().count() <= 1;
  }

  private static String times(double ratio) {
    if (ratio < 1.005) {
      return "costs the same";
    }
    return String.format(
        Locale.ROOT, ratio < 10 ? "costs %.2f times as much" : "costs %.0f times as much", ratio);
  }
}
