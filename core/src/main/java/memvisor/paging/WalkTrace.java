package memvisor.paging;

import java.util.List;
import memvisor.address.GuestVirtualAddress;

/**
 * One walk with cold caches, told reference by reference.
 *
 * @param gva the address
 * @param access the access, in {@link memvisor.address.Access} bits
 * @param references every table entry read, in order; the access to the byte itself is not one
 * @param outcome how it ended
 */
public record WalkTrace(
    GuestVirtualAddress gva, int access, List<Reference> references, Translation outcome) {
  /** Copies the list. */
  public WalkTrace {
    references = List.copyOf(references);
  }

  /** The listing: one numbered line per reference, then the outcome. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < references.size(); i++) {
      text.append("%3d  %s%n".formatted(i + 1, references.get(i)));
    }
    return text.append("     ").append(outcome).toString();
  }
}
