package memvisor.host;

import java.util.HashSet;
import java.util.Set;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.memory.FrameRole;

/** The frames of the tables that the technique of one VM derived; its lock is held. */
final class TableFrames {
  private final MachineFrames host;
  private final int vmId;
  private final Set<Long> tables = new HashSet<>();

  TableFrames(MachineFrames host, int vmId) {
    this.host = host;
    this.vmId = vmId;
  }

  /** A zeroed frame, or -1. */
  long allocate(FrameRole role) {
    long hpa = host.allocate(0, vmId, role, TransitionReason.TABLE);
    if (hpa >= 0) {
      tables.add(hpa);
    }
    return hpa;
  }

  void free(long hpa) {
    if (!tables.remove(hpa)) {
      throw new IllegalStateException(
          "freed a table that vm %d does not have: hpa=0x%x".formatted(vmId, hpa));
    }
    host.free(hpa, vmId, TransitionReason.FREED);
  }

  /** Gives all of them back. */
  void close() {
    tables.forEach(hpa -> host.free(hpa, vmId, TransitionReason.VM_CLOSED));
    tables.clear();
  }
}
