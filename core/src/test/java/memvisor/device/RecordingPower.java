package memvisor.device;

import java.util.ArrayList;
import java.util.List;

/** Remembers what the guest did to the machine. */
public final class RecordingPower implements PowerEvents {
  public final List<String> events = new ArrayList<>();

  @Override
  public void powerOff() {
    events.add("power off");
  }

  @Override
  public void reset() {
    events.add("reset");
  }

  @Override
  public void debugExit(int value) {
    events.add("exit " + value);
  }
}
