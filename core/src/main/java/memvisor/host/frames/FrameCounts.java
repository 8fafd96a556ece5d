package memvisor.host.frames;

import java.util.Arrays;
import memvisor.memory.FrameRole;

/** Numbers of frames by role, of one VM or of the whole machine. Immutable. */
public final class FrameCounts {
  private final long[] byRole;

  FrameCounts(long[] byRole) {
    this.byRole = byRole.clone();
  }

  /** Frames in that role. */
  public long count(FrameRole role) {
    return byRole[role.ordinal()];
  }

  /** Frames in all roles. */
  public long total() {
    return Arrays.stream(byRole).sum();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof FrameCounts counts && Arrays.equals(byRole, counts.byRole);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(byRole);
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (FrameRole role : FrameRole.values()) {
      if (byRole[role.ordinal()] != 0) {
        text.append(text.isEmpty() ? "" : " ").append(role).append('=').append(count(role));
      }
    }
    return text.toString();
  }
}
