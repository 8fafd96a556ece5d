package memvisor.machine.inspect;

import java.util.List;
import memvisor.paging.AccessRules;
import memvisor.paging.PagingFormat;
import memvisor.paging.Reference;
import memvisor.paging.Walker;

/**
 * What the guest's own tables say about one address.
 *
 * @param format their format
 * @param rules the access rights in force
 * @param gva the address
 * @param references the entries read, the root's first; their addresses are GPA
 * @param outcome how the walk ended: {@link Walker#MAPPED} when it reached a page, whoever may use
 *     it, else {@link Walker#NOT_PRESENT}, {@link Walker#MALFORMED} or {@link Walker#UNREACHABLE}
 * @param gpa what the address is mapped to, -1 if it is not
 * @param pageSizeLog2 binary logarithm of the page's size, 0 if there is none
 * @param rights {@link memvisor.paging.Rights} of the page, 0 if there is none
 * @param unreachableGpa where the entry would be that could not be read, -1 if all could
 */
public record GuestWalk(
    PagingFormat format,
    AccessRules rules,
    long gva,
    List<Reference> references,
    int outcome,
    long gpa,
    int pageSizeLog2,
    int rights,
    long unreachableGpa) {
  /** Copies the list. */
  public GuestWalk {
    references = List.copyOf(references);
  }

  /** Whether the address is mapped. */
  public boolean isMapped() {
    return outcome == Walker.MAPPED;
  }

  /** Whether the address is one that the format can translate at all. */
  public boolean isCanonical() {
    return format.covers(gva);
  }

  /** Whether {@code access}, of {@link memvisor.address.Access} bits, goes through. */
  public boolean allows(int access) {
    return isMapped() && rules.allows(rights, access);
  }

  /** The page-fault error code of an {@code access} that does not go through. */
  public int errorCode(int access) {
    return rules.errorCode(access, isMapped() ? Walker.DENIED : outcome);
  }
}
