package memvisor.machine.fleet;

import java.time.Instant;

/**
 * How a VM ended.
 *
 * @param crashed whether by a failure: of the guest, of its memory, or of Memvisor
 * @param sentence what happened, for the user
 * @param postMortem registers and last exits of a VM that crashed; else empty
 * @param when by the host's clock
 */
public record VmEnd(boolean crashed, String sentence, String postMortem, Instant when) {
  static VmEnd inOrder(String sentence) {
    return new VmEnd(false, sentence, "", Instant.now());
  }

  static VmEnd crash(String sentence, String postMortem) {
    return new VmEnd(true, sentence, postMortem, Instant.now());
  }
}
