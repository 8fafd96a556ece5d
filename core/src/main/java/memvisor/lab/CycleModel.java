package memvisor.lab;

import java.util.LinkedHashMap;
import java.util.Map;
import memvisor.machine.ExitReason;

/**
 * Turns counts into processor cycles, so that techniques can be compared as hardware would run them
 * and not as fast as this program does. A model, not a measurement: each price is a parameter.
 *
 * <p>A guest that a processor keeps apart leaves by an exit, a change of world. A paravirtual guest
 * runs in ring 3 and leaves by a change of privilege level, which is cheaper; but the monitor
 * checks the table entries that it asks for.
 *
 * @param instruction cycles of an instruction whose accesses all hit the first-level TLB
 * @param secondLevelHit extra cycles when only the second-level TLB hits
 * @param reference cycles to read one table entry
 * @param exit cycles of one VM exit and the entry after it
 * @param handling cycles the monitor works on one exit, or on one call of a batch
 * @param hypercall cycles of a paravirtual guest's SYSCALL to the monitor and the return
 * @param trap cycles of an exception of a paravirtual guest, and the return from it
 * @param validation cycles for a table entry that is changed, and for one that is checked
 */
public record CycleModel(
    double instruction,
    double secondLevelHit,
    double reference,
    double exit,
    double handling,
    double hypercall,
    double trap,
    double validation) {

  /**
   * A server core of about 2018. A second-level TLB hit costs 9 cycles (Intel optimization manual,
   * 2.5.5.2 for Skylake: 7 to 9); table entries mostly come from the second-level cache (14 cycles,
   * same manual); exit and entry together cost about 1,200 cycles in published measurements, and
   * short handlers half as much again. Estimates: an empty system call, with registers saved and
   * restored, 200; an exception, delivered and returned from, three times that; an entry two
   * accesses that miss the first-level cache, and the arithmetic between them, 50.
   */
  public static final CycleModel DEFAULT = new CycleModel(1, 9, 14, 1200, 600, 200, 600, 50);

  /** Rejects prices that are negative or not numbers. */
  public CycleModel {
    requirePrice("instruction", instruction);
    requirePrice("secondLevelHit", secondLevelHit);
    requirePrice("reference", reference);
    requirePrice("exit", exit);
    requirePrice("handling", handling);
    requirePrice("hypercall", hypercall);
    requirePrice("trap", trap);
    requirePrice("validation", validation);
  }

  /** The prices by name, in the order of the components. */
  public Map<String, Double> prices() {
    Map<String, Double> prices = new LinkedHashMap<>();
    prices.put("instruction", instruction);
    prices.put("secondLevelHit", secondLevelHit);
    prices.put("reference", reference);
    prices.put("exit", exit);
    prices.put("handling", handling);
    prices.put("hypercall", hypercall);
    prices.put("trap", trap);
    prices.put("validation", validation);
    return prices;
  }

  /**
   * The same with other prices.
   *
   * @param changes by name, each a key of {@link #prices}
   */
  public CycleModel with(Map<String, Double> changes) {
    Map<String, Double> p = prices();
    p.putAll(changes);
    return new CycleModel(
        p.getOrDefault("instruction", instruction),
        p.getOrDefault("secondLevelHit", secondLevelHit),
        p.getOrDefault("reference", reference),
        p.getOrDefault("exit", exit),
        p.getOrDefault("handling", handling),
        p.getOrDefault("hypercall", hypercall),
        p.getOrDefault("trap", trap),
        p.getOrDefault("validation", validation));
  }

  /** Cycles of a run. */
  public double cycles(RunResult run) {
    return run.instructions() * instruction
        + run.tlb().secondHits() * secondLevelHit
        + run.tlb().allReferences() * reference
        + run.paravirtual()
            .map(work -> paravirtual(run, work))
            .orElseGet(() -> run.totalExits() * (exit + handling));
  }

  private double paravirtual(RunResult run, ParavirtualWork work) {
    long hypercalls = run.exits(ExitReason.HYPERCALL);
    long calls = hypercalls + run.exits(ExitReason.SYSTEM_CALL);
    long traps = run.totalExits() - calls;
    // The calls of a batch are work each; without batching each is an exit.
    long handled = run.totalExits() - hypercalls + Math.max(hypercalls, work.callsPerformed());
    return calls * hypercall + traps * trap + handled * handling + work.entries() * validation;
  }

  private static void requirePrice(String name, double price) {
    if (!(price >= 0 && price < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "the price of '" + name + "' must be a number of cycles from 0 on, not " + price);
    }
  }
}
