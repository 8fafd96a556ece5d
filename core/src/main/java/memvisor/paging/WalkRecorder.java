package memvisor.paging;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.HostPhysicalAddress;

/** Collects the references of one walk, of one walker or of the two of a nested walk, in order. */
public final class WalkRecorder {
  private final List<Reference> references = new ArrayList<>();

  /**
   * Makes a walker that only looks: it sets no accessed or dirty flag, and each entry it reads is
   * recorded as one of that dimension.
   */
  public void attach(Walker walker, Reference.Dimension dimension) {
    walker.setFlagUpdates(false);
    walker.setListener((from, level, entry) -> add(from, dimension, level, entry));
  }

  private void add(Walker walker, Reference.Dimension dimension, int level, long entry) {
    references.add(
        new Reference(
            dimension,
            walker.format().mode(),
            level,
            walker.entryAddress(level),
            new HostPhysicalAddress(walker.entryHpa(level)),
            entry,
            walker.rights()));
  }

  /** What was recorded so far. */
  public List<Reference> references() {
    return List.copyOf(references);
  }
}
