package memvisor.paging;

import java.util.Optional;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.HostPhysicalAddress;

/** How the translation of one access ended, for people and for callers off the hot path. */
public sealed interface Translation {
  /**
   * The access reaches a byte of machine memory.
   *
   * @param hpa where
   * @param gpa the guest-physical address on the way, where there is one
   * @param pageSizeLog2 binary logarithm of the run around it that translates alike
   * @param rights {@link Rights} that the walked tables of the first dimension grant
   */
  record Mapped(
      HostPhysicalAddress hpa, Optional<GuestPhysicalAddress> gpa, int pageSizeLog2, int rights)
      implements Translation {
    @Override
    public String toString() {
      return "mapped to %s%s".formatted(hpa, gpa.map(address -> " by way of " + address).orElse(""))
          + " (%s, %d KiB)".formatted(Rights.describe(rights), 1L << pageSizeLog2 - 10);
    }
  }

  /**
   * The walked tables of the first dimension deny the access.
   *
   * @param errorCode the page-fault error code (Intel SDM vol. 3A, 4.7)
   */
  record PageFault(int errorCode) implements Translation {
    @Override
    public String toString() {
      return "page fault, error code 0x%x:%s%s%s%s%s"
          .formatted(
              errorCode,
              (errorCode & 1) != 0 ? " protection" : " not present",
              (errorCode & 2) != 0 ? " write" : "",
              (errorCode & 4) != 0 ? " user" : " supervisor",
              (errorCode & 8) != 0 ? " reserved bit" : "",
              (errorCode & 16) != 0 ? " fetch" : "");
    }
  }

  /**
   * The second dimension stopped the access, or that to a table entry on the way.
   *
   * @param gpa the guest-physical address it could not translate
   * @param qualification EPT-violation qualification (SDM vol. 3C, table 28-7), or EXITINFO1 of NPT
   * @param misconfiguration an EPT misconfiguration instead of a violation
   */
  record NestedFault(GuestPhysicalAddress gpa, long qualification, boolean misconfiguration)
      implements Translation {
    @Override
    public String toString() {
      return "nested %s at %s, qualification 0x%x"
          .formatted(misconfiguration ? "misconfiguration" : "fault", gpa, qualification);
    }
  }
}
