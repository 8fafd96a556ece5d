package memvisor.app.cli.report;

import java.util.List;
import memvisor.lab.CycleModel;
import memvisor.lab.RunResult;

/** The cycle model's prices, stated wherever its cycles are. */
final class Prices {
  private Prices() {}

  /** A paragraph on the prices that {@code runs} paid. */
  static String sentence(CycleModel model, List<RunResult> runs) {
    boolean paravirtual = runs.stream().anyMatch(run -> run.paravirtual().isPresent());
    return "Cycles are modelled: instruction %s, second-level TLB hit %s, table entry read %s, exit and"
            .formatted(
                Metric.format(model.instruction()),
                Metric.format(model.secondLevelHit()),
                Metric.format(model.reference()))
        + " entry %s, handling an exit %s"
            .formatted(Metric.format(model.exit()), Metric.format(model.handling()))
        + (paravirtual ? "; " + directly(model) : "")
        + " (--cycles changes them). Frames: what the technique's own tables take.";
  }

  private static String directly(CycleModel model) {
    return "direct does not leave ring 3's world: hypercall and return %s, exception and return %s,"
            .formatted(Metric.format(model.hypercall()), Metric.format(model.trap()))
        + " handling each call of a batch %s, each table entry changed or checked %s"
            .formatted(Metric.format(model.handling()), Metric.format(model.validation()));
  }
}
