package memvisor.device.virtio;

/**
 * A balloon at one moment. Sizes are in pages of 4 KiB.
 *
 * @param running whether the guest has a driver for it
 * @param targetPages what the host asked for
 * @param actualPages what the driver says
 * @param counters what happened so far
 * @param statistics the driver's last report
 */
public record BalloonState(
    boolean running,
    long targetPages,
    long actualPages,
    BalloonCounters counters,
    BalloonStatistics statistics) {}
