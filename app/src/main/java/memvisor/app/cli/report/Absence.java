package memvisor.app.cli.report;

/**
 * A run that a comparison leaves out.
 *
 * @param why in a sentence, without a full stop
 */
public record Absence(String workload, String technique, String why) {
  /** The sentence that stands where the run's numbers would. */
  String sentence() {
    return technique + ": not run, because " + why + ".";
  }
}
