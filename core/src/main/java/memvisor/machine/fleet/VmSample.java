package memvisor.machine.fleet;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import memvisor.device.virtio.BalloonStatistics;
import memvisor.host.frames.FrameCounts;
import memvisor.host.frames.TransitionCost;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageState;
import memvisor.machine.ExitReason;
import memvisor.machine.RunLoop;
import memvisor.machine.pc.PcMachine;
import memvisor.mmu.TechniqueStatistics;

/**
 * What one VM had done and had at one moment, as its own thread saw it. All numbers count from its
 * start.
 *
 * @param nanos {@link System#nanoTime} of the moment
 * @param aliveNanos wall time since its machine was built
 * @param instructions guest instructions retired
 * @param cpuNanos processor time of its thread
 * @param times where the thread's wall time went
 * @param exits VM exits by reason
 * @param transitions changes of guest pages by reason, with what they took
 * @param pages guest pages by state
 * @param frames host frames that are its own, by role
 * @param workingSetPages pages accessed in the last sweep of the reclaim clock
 * @param technique what the technique counted
 * @param balloon what the guest last said of its memory, if it has a balloon
 */
public record VmSample(
    long nanos,
    long aliveNanos,
    long instructions,
    long cpuNanos,
    RunLoop.Times times,
    Map<ExitReason, Long> exits,
    Map<TransitionReason, TransitionCost> transitions,
    Map<PageState, Long> pages,
    FrameCounts frames,
    long workingSetPages,
    TechniqueStatistics technique,
    Optional<BalloonStatistics> balloon) {

  /** Taken on the machine's thread, between runs. */
  static VmSample of(PcMachine machine, long startedNanos, long cpuNanos) {
    long now = System.nanoTime();
    return new VmSample(
        now,
        now - startedNanos,
        machine.instructions(),
        cpuNanos,
        machine.times(),
        machine.exits().counts(),
        machine.memory().transitionCosts(),
        pages(machine),
        machine.memory().usage(),
        machine.memory().workingSetPages(),
        machine.statistics(),
        machine.balloon().map(balloon -> balloon.state().statistics()));
  }

  private static Map<PageState, Long> pages(PcMachine machine) {
    Map<PageState, Long> pages = new java.util.EnumMap<>(PageState.class);
    Arrays.stream(PageState.values())
        .forEach(state -> pages.put(state, machine.memory().pages(state)));
    return pages;
  }

  /** Guest pages in a state. */
  public long pages(PageState state) {
    return pages.getOrDefault(state, 0L);
  }

  /** Transitions for a reason so far. */
  public TransitionCost transition(TransitionReason reason) {
    return transitions.getOrDefault(reason, new TransitionCost(0, 0));
  }
}
