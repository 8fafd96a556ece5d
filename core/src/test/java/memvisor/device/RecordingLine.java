package memvisor.device;

/** A wire that remembers its level and counts its rising edges. */
public final class RecordingLine implements InterruptLine {
  public boolean asserted;
  public int risingEdges;

  @Override
  public void set(boolean level) {
    if (level && !asserted) {
      risingEdges++;
    }
    asserted = level;
  }
}
