package memvisor.app.cli.report;

import java.util.List;
import java.util.Locale;
import memvisor.lab.RunResult;

/**
 * A dot plot in SVG: a row per workload, a mark per technique on one axis. Marks differ in colour
 * and in shape. A row's marks are set off from one another a little, so that equal values show. A
 * logarithmic axis gets a place for zero at its left where there is one.
 */
final class DotPlot {
  private static final int LABEL_WIDTH = 110;
  private static final int PLOT_WIDTH = 520;
  private static final int RIGHT_MARGIN = 40;
  private static final int ROW_HEIGHT = 34;

  /** How far the marks of two techniques in a row lie apart. */
  private static final double OFFSET = 5;

  private static final int TOP = 8;
  private static final int AXIS_HEIGHT = 26;

  private final Metric metric;
  private final List<RunResult> runs;
  private final List<String> techniques;
  private final List<String> workloads;
  private final boolean zeroes;
  private final double low;
  private final double high;
  private final StringBuilder svg = new StringBuilder();

  DotPlot(Metric metric, List<RunResult> runs, List<String> techniques, List<String> workloads) {
    this.metric = metric;
    this.runs = runs;
    this.techniques = techniques;
    this.workloads = workloads;
    double largest = runs.stream().mapToDouble(metric.value()).max().orElse(1);
    double smallest =
        runs.stream().mapToDouble(metric.value()).filter(v -> v > 0).min().orElse(largest);
    zeroes = runs.stream().mapToDouble(metric.value()).anyMatch(v -> v == 0);
    if (metric.logarithmic()) {
      double lowest = Math.floor(Math.log10(smallest > 0 ? smallest : 1));
      low = zeroes ? lowest - 1 : lowest;
      high = Math.max(low + 1, Math.ceil(Math.log10(largest > 0 ? largest : 1)));
    } else {
      low = 0;
      high = niceMaximum(largest);
    }
  }

  private static double niceMaximum(double largest) {
    double step = 4;
    while (step < largest) {
      step += 4;
    }
    return step;
  }

  String svg() {
    int bottom = TOP + workloads.size() * ROW_HEIGHT;
    text(
        "<svg viewBox='0 0 %d %d' role='img' aria-label='%s by workload and technique'>",
        LABEL_WIDTH + PLOT_WIDTH + RIGHT_MARGIN, bottom + AXIS_HEIGHT, metric.name());
    axis(bottom);
    for (int row = 0; row < workloads.size(); row++) {
      row(row);
    }
    return svg.append("</svg>\n").toString();
  }

  private void axis(int bottom) {
    int ticks = (int) (metric.logarithmic() ? high - low : 4);
    int stride = Math.max(1, (ticks + 7) / 8);
    for (int tick = 0; tick <= ticks; tick += stride) {
      double position = low + (high - low) * tick / ticks;
      double x = LABEL_WIDTH + (position - low) / (high - low) * PLOT_WIDTH;
      String label =
          metric.logarithmic() && !(tick == 0 && zeroes)
              ? power((int) Math.round(position))
              : Metric.format(tick == 0 ? 0 : position);
      text("<line class='grid' x1='%.1f' x2='%.1f' y1='%d' y2='%d'/>", x, x, TOP, bottom);
      text("<text class='tick' x='%.1f' y='%d'>%s</text>", x, bottom + 17, label);
    }
  }

  private static String power(int exponent) {
    return switch (exponent) {
      case -3 -> "0.001";
      case -2 -> "0.01";
      case -1 -> "0.1";
      case 0, 1, 2 -> Integer.toString((int) Math.pow(10, exponent));
      case 3, 4, 5 -> (int) Math.pow(10, exponent - 3) + " k";
      case 6, 7, 8 -> (int) Math.pow(10, exponent - 6) + " M";
      case 9, 10, 11 -> (int) Math.pow(10, exponent - 9) + " G";
      default -> "10^" + exponent;
    };
  }

  private void row(int row) {
    String workload = workloads.get(row);
    int y = TOP + row * ROW_HEIGHT + ROW_HEIGHT / 2;
    text("<text class='row' x='%d' y='%d'>%s</text>", LABEL_WIDTH - 10, y + 4, workload);
    text(
        "<line class='lane' x1='%d' x2='%d' y1='%d' y2='%d'/>",
        LABEL_WIDTH, LABEL_WIDTH + PLOT_WIDTH, y, y);
    for (RunResult run : runs) {
      if (run.workload().equals(workload)) {
        mark(run, y);
      }
    }
  }

  private void mark(RunResult run, int y) {
    int technique = techniques.indexOf(run.technique());
    double value = metric.value().applyAsDouble(run);
    double position = metric.logarithmic() ? (value > 0 ? Math.log10(value) : low) : value;
    double x = LABEL_WIDTH + (position - low) / (high - low) * PLOT_WIDTH;
    text(
        "<g class='t%d' transform='translate(%.1f %.1f)'><title>%s, %s: %s</title>%s</g>",
        technique,
        x,
        y + (technique - (techniques.size() - 1) / 2.0) * OFFSET,
        run.workload(),
        run.technique(),
        Metric.format(value),
        shape(technique));
  }

  /** The mark of the n-th technique, about the origin. */
  static String shape(int technique) {
    return switch (technique % 6) {
      case 0 -> "<circle r='5.5'/>";
      case 1 -> "<rect x='-5' y='-5' width='10' height='10'/>";
      case 2 -> "<path d='M0-6.5 6 4.5-6 4.5z'/>";
      case 3 -> "<path d='M0-7 6.5 0 0 7-6.5 0z'/>";
      case 4 -> "<path d='M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2z'/>";
      default -> "<path d='M0 6.5 6-4.5-6-4.5z'/>";
    };
  }

  private void text(String format, Object... values) {
    svg.append(String.format(Locale.ROOT, format, values)).append('\n');
  }
}
