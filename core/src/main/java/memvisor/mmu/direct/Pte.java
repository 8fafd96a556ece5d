package memvisor.mmu.direct;

/** Bits of page-table entries as direct paging sees them (Intel SDM vol. 3A, 4.5; Xen's PV ABI). */
final class Pte {
  static final long P = 1;
  static final long RW = 1 << 1;
  static final long U = 1 << 2;
  static final long A = 1 << 5;
  static final long D = 1 << 6;
  static final long PSE = 1 << 7;
  static final long G = 1 << 8;
  static final long NX = 1L << 63;

  /** Bit 52: in an L1 entry, a page of the guest's kernel. */
  static final long GUEST_KERNEL = 1L << 52;

  /** Bit 62: reserved by Xen for grants in L1 entries. */
  static final long GRANT = 1L << 62;

  private static final long ADDRESS = 0xF_FFFF_FFFF_F000L;
  private static final long AVAILABLE = 0xE00 | 0x7FF0_0000_0000_0000L;

  /** What an entry of L2 to L4 may contain. */
  private static final long ALLOWED = P | RW | U | A | D | AVAILABLE | NX | ADDRESS;

  private static final long ALLOWED_L1 = (ALLOWED | G) & ~GRANT;

  /** Bits whose change needs no validation: never RW, never PSE. */
  private static final long FAST = NX | AVAILABLE | A | D | U;

  private static final int ADDRESS_SHIFT = 12;

  private Pte() {}

  static boolean present(long entry) {
    return (entry & P) != 0;
  }

  static boolean writable(long entry) {
    return (entry & RW) != 0;
  }

  static long mfn(long entry) {
    return (entry & ADDRESS) >>> ADDRESS_SHIFT;
  }

  /** Whether a present entry has a bit that its level does not allow. */
  static boolean malformed(int level, long entry) {
    return (entry & ~(level == 1 ? ALLOWED_L1 : ALLOWED)) != 0;
  }

  /** Whether two present entries differ in bits only that need no validation. */
  static boolean sameTarget(int level, long a, long b) {
    return ((a ^ b) & ~(level == 1 ? FAST | G : FAST)) == 0;
  }

  /**
   * What is stored for an entry: guest kernel and guest user both run at CPL 3, so all pages are
   * user pages; those of the kernel are marked, and all others are global.
   */
  static long adjusted(int level, long entry) {
    if (!present(entry)) {
      return entry;
    }
    return switch (level) {
      case 1 -> {
        long e = (entry & U) == 0 ? entry | U | GUEST_KERNEL : entry;
        yield (e & GUEST_KERNEL) == 0 ? e | G : e;
      }
      case 4 -> entry | U | A;
      default -> entry | U;
    };
  }
}
