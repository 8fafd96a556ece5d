package memvisor.machine.xen;

/** CPUID as the guest's kernel asks for it: the processor's leaves and Xen's. */
final class XenCpuid {
  private static final int BASE = 0x4000_0000;
  private static final int VERSION = 4 << 16 | 17;
  private static final int MACHINE_ADDRESS_BITS = 44;

  private XenCpuid() {}

  static int[] answer(Domain domain, int leaf, int subleaf) {
    return switch (leaf) {
      case BASE -> new int[] {BASE + 5, word("XenV"), word("MMXe"), word("nVMM")};
      case BASE + 1 -> new int[] {VERSION, 0, 0, 0};
      // One page of hypercalls, by the MSR given; bit 0: MMU_PT_UPDATE_PRESERVE_AD.
      case BASE + 2 -> new int[] {1, BASE, 1, 0};
      case BASE + 3 -> time(domain, subleaf);
      case BASE + 5 ->
          new int[] {0, Math.min(domain.model().physicalAddressBits(), MACHINE_ADDRESS_BITS), 0, 0};
      default -> domain.model().cpuid(leaf, subleaf, 0);
    };
  }

  private static int[] time(Domain domain, int subleaf) {
    int kilohertz = (int) (domain.model().tscHz() / 1000);
    return switch (subleaf) {
      case 0 -> new int[] {0, 0, kilohertz, 0};
      // One tick is one nanosecond: mul 2^31 with shift 1.
      case 1 -> new int[] {0, 0, 0x8000_0000, 1};
      case 2 -> new int[] {kilohertz, 0, 0, 0};
      default -> new int[4];
    };
  }

  private static int word(String four) {
    int value = 0;
    for (int i = 3; i >= 0; i--) {
      value = value << 8 | four.charAt(i);
    }
    return value;
  }
}
