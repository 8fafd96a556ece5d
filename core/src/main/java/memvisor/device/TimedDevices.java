package memvisor.device;

import java.util.ArrayList;
import java.util.List;

/** All devices of a VM that wait for the clock, seen as one. */
public final class TimedDevices implements TimedDevice {
  private final List<TimedDevice> devices = new ArrayList<>();

  /** Adds a device; those added first act first when deadlines coincide. */
  public void add(TimedDevice device) {
    devices.add(device);
  }

  @Override
  public long nextDeadlineNanos() {
    long earliest = NEVER;
    for (int i = 0; i < devices.size(); i++) {
      earliest = Math.min(earliest, devices.get(i).nextDeadlineNanos());
    }
    return earliest;
  }

  @Override
  public void advance(long nowNanos) {
    for (int i = 0; i < devices.size(); i++) {
      TimedDevice device = devices.get(i);
      if (device.nextDeadlineNanos() <= nowNanos) {
        device.advance(nowNanos);
      }
    }
  }
}
