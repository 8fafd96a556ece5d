package memvisor.host.frames;

/**
 * How often pages changed their state for one reason, and what it took.
 *
 * @param count transitions
 * @param nanos wall time of all of them, in nanoseconds
 */
public record TransitionCost(long count, long nanos) {}
