package memvisor.lab;

/**
 * Turns counts into processor cycles, so that techniques can be compared as hardware would run them
 * and not as fast as this program does. A model, not a measurement: each price is a parameter.
 *
 * @param instruction cycles of an instruction whose accesses all hit the first-level TLB
 * @param secondLevelHit extra cycles when only the second-level TLB hits
 * @param reference cycles to read one table entry
 * @param exit cycles of one VM exit and the entry after it
 * @param handling cycles the monitor works on one exit
 */
public record CycleModel(
    double instruction, double secondLevelHit, double reference, double exit, double handling) {

  /**
   * A server core of about 2018. A second-level TLB hit costs 9 cycles (Intel optimization manual,
   * 2.5.5.2 for Skylake: 7 to 9); table entries mostly come from the second-level cache (14 cycles,
   * same manual); exit and entry together cost about 1,200 cycles in published measurements, and
   * short handlers half as much again.
   */
  public static final CycleModel DEFAULT = new CycleModel(1, 9, 14, 1200, 600);

  /** Rejects prices that are negative or not numbers. */
  public CycleModel {
    requirePrice("instruction", instruction);
    requirePrice("secondLevelHit", secondLevelHit);
    requirePrice("reference", reference);
    requirePrice("exit", exit);
    requirePrice("handling", handling);
  }

  /** Cycles of a run. */
  public double cycles(RunResult run) {
    return run.instructions() * instruction
        + run.tlb().secondHits() * secondLevelHit
        + run.tlb().allReferences() * reference
        + run.totalExits() * (exit + handling);
  }

  private static void requirePrice(String name, double price) {
    if (!(price >= 0 && price < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "the price of '" + name + "' must be a number of cycles from 0 on, not " + price);
    }
  }
}
