package memvisor.app.cli.host;

import java.util.List;
import memvisor.app.cli.report.TextTable;

/**
 * What a VM spent its last seconds on and what follows: the answer to {@code why-slow}.
 *
 * @param vm its name
 * @param verdict the answer in one sentence
 * @param seconds how far it looks back
 * @param causes what kept it from executing its guest, worst first
 * @param time where all of the time went, in percent
 * @param pressure waiting for memory as Linux reports it
 */
record SlowView(
    String vm,
    String verdict,
    double seconds,
    List<Cause> causes,
    List<Share> time,
    String pressure) {
  /**
   * One thing that costs time.
   *
   * @param what its name
   * @param percent share of the time that it takes
   * @param evidence what was counted
   * @param remedy what could be done
   */
  record Cause(String what, double percent, String evidence, String remedy) {}

  /**
   * Part of the time.
   *
   * @param what spent on what
   * @param percent of all
   */
  record Share(String what, double percent) {}

  String text() {
    StringBuilder out = new StringBuilder();
    out.append("%s: %s\n".formatted(vm, verdict));
    int number = 0;
    for (Cause cause : causes) {
      out.append(
          "\n%d. %s: %.0f%% of its time\n   %s\n   %s\n"
              .formatted(
                  ++number, cause.what(), cause.percent(), cause.evidence(), cause.remedy()));
    }
    out.append("\nWhere the last %.0f s went:\n".formatted(seconds));
    TextTable table = new TextTable(1, List.of("  ", "%"));
    time.forEach(
        share -> table.add(List.of("  " + share.what(), "%.1f".formatted(share.percent()))));
    out.append(table.toString().lines().skip(1).reduce("", (a, b) -> a + b + "\n"));
    out.append("pressure: ").append(pressure).append('\n');
    return out.toString();
  }
}
