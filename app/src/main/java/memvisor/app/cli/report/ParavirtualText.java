package memvisor.app.cli.report;

import memvisor.lab.ParavirtualWork;

/** What a paravirtual guest cost its monitor, in words. */
final class ParavirtualText {
  private ParavirtualText() {}

  /** How many entries came how, and what checking them was. */
  static String validation(ParavirtualWork work) {
    return "%s entries changed by hypercall (%s each), %s by emulated writes; %s entries checked, %s"
            .formatted(
                Metric.format(work.tableUpdates()),
                Metric.format(work.updatesPerExit()),
                Metric.format(work.emulatedWrites()),
                Metric.format(work.entriesValidated()),
                Metric.format(work.tablesValidated()))
        + " tables whole";
  }
}
