package memvisor.app.cli.report;

import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import memvisor.lab.CycleModel;
import memvisor.lab.RunResult;

/**
 * One number of a run, as columns and plots show it.
 *
 * @param name what reports call it
 * @param heading a shorter name, for a column of the terminal
 * @param meaning one sentence for the reader
 * @param logarithmic whether its values span orders of magnitude
 * @param value takes it from a run
 */
public record Metric(
    String name,
    String heading,
    String meaning,
    boolean logarithmic,
    ToDoubleFunction<RunResult> value) {

  /** The numbers that a comparison shows, the most important first. */
  public static List<Metric> all(CycleModel model) {
    return List.of(
        new Metric(
            "modelled cycles",
            "cycles",
            "What the counts would cost in processor cycles, by the prices stated below.",
            true,
            model::cycles),
        new Metric(
            "exits",
            "exits",
            "How often the guest stopped for the monitor.",
            true,
            RunResult::totalExits),
        new Metric(
            "TLB misses",
            "TLB misses",
            "Translations that no TLB answered, so that the hardware walked tables; trap has no TLB.",
            true,
            run -> run.tlb().walks()),
        new Metric(
            "refs/walk",
            "refs/walk",
            "Table entries read per walk; 24 is a cold walk of four levels over four. Trap: in the monitor's walks.",
            false,
            RunResult::referencesPerWalk),
        new Metric(
            "table frames",
            "frames",
            "4 KiB frames that the technique's own tables take.",
            true,
            RunResult::tableFrames),
        new Metric(
            "seconds",
            "seconds",
            "Time this program took on this computer, which is not what hardware would take.",
            true,
            run -> run.wallNanos() / 1e9));
  }

  /** A number as people read it: whole with thousands separators, or three digits. */
  public static String format(double value) {
    if (value >= 1000 || value == Math.rint(value)) {
      return String.format(Locale.ROOT, "%,.0f", value);
    }
    return String.format(Locale.ROOT, value < 10 ? "%.2f" : "%.1f", value);
  }

  /** The value of a run, formatted. */
  public String text(RunResult run) {
    return format(value.applyAsDouble(run));
  }
}
