package memvisor.machine.pc;

import java.util.OptionalLong;
import memvisor.device.virtio.BalloonCounters;
import memvisor.device.virtio.BalloonDevice;
import memvisor.device.virtio.BalloonState;
import memvisor.device.virtio.BalloonStatistics;
import memvisor.device.virtio.VirtioMmio;
import memvisor.host.policy.BalloonSighting;
import memvisor.host.reclaim.BalloonControl;
import memvisor.memory.BalloonPort;

/**
 * A machine's balloon, for whoever wants memory back from its guest. From any thread; what is asked
 * happens at a block boundary of the machine. Sizes are in pages of 4 KiB.
 */
public final class PcBalloon {
  private final PcMachine machine;
  private final BalloonDevice device;
  private final VirtioMmio transport;
  private final BalloonPort port;

  PcBalloon(PcMachine machine, BalloonDevice device, VirtioMmio transport, BalloonPort port) {
    this.machine = machine;
    this.device = device;
    this.transport = transport;
    this.port = port;
  }

  /**
   * How big a balloon is.
   *
   * @param targetPages what the host asked for
   * @param actualPages what the driver says
   * @param balloonedPages guest pages that are in it, as the machine's ledger knows
   * @param counters what happened so far
   * @param statistics the driver's last report
   */
  public record State(
      long targetPages,
      long actualPages,
      long balloonedPages,
      BalloonCounters counters,
      BalloonStatistics statistics) {}

  /**
   * Asks the driver to bring the balloon to that size.
   *
   * @throws IllegalArgumentException if that is more than the guest has; the message is for the
   *     user
   */
  public void setTargetPages(long pages) {
    long guestPages = machine.configuration().memoryBytes() >>> 12;
    if (pages < 0 || pages > guestPages) {
      throw new IllegalArgumentException(
          "a balloon of %d pages does not fit into a guest of %d".formatted(pages, guestPages));
    }
    machine.atBoundary(
        () -> {
          device.setTargetPages(pages);
          return null;
        });
  }

  /** Asks the driver for a new report. */
  public void requestStatistics() {
    machine.atBoundary(
        () -> {
          device.requestStatistics();
          return null;
        });
  }

  /** The balloon as it is. */
  public State state() {
    return machine.atBoundary(
        () ->
            new State(
                device.targetPages(),
                device.actualPages(),
                port.balloonedPages(),
                device.counters(),
                device.statistics()));
  }

  /** The balloon for a policy, which never waits for the guest. */
  BalloonControl control() {
    return new Control();
  }

  private final class Control implements BalloonControl {
    @Override
    public void setTargetPages(long pages) {
      machine.post(() -> device.setTargetPages(pages));
    }

    @Override
    public void requestStatistics() {
      machine.post(device::requestStatistics);
    }

    @Override
    public BalloonSighting sighting() {
      BalloonState state = device.state();
      BalloonCounters counters = state.counters();
      long ballooned = port.balloonedPages();
      return new BalloonSighting(
          state.running() && transport.failure().isEmpty(),
          transport.failure().orElse(""),
          state.targetPages(),
          state.actualPages(),
          ballooned,
          counters.deflated(),
          counters.ignored(),
          Math.max(0, counters.inflated() - counters.deflated() - ballooned),
          device.mayDeflateOnOom(),
          available(state.statistics()));
    }

    /** Free pages where an old driver does not say what is available. */
    private OptionalLong available(BalloonStatistics statistics) {
      OptionalLong bytes =
          statistics.availableBytes().isPresent()
              ? statistics.availableBytes()
              : statistics.freeBytes();
      return bytes.isPresent() ? OptionalLong.of(bytes.getAsLong() >>> 12) : OptionalLong.empty();
    }
  }
}
