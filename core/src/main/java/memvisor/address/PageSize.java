package memvisor.address;

/** The page sizes of the x86 and Arm formats that Memvisor knows. */
public enum PageSize {
  /** 4 KiB, the granule of every map. */
  SIZE_4K(12),
  /** 2 MiB: a PDE with PS=1 in PAE, 4- and 5-level paging, EPT and NPT. */
  SIZE_2M(21),
  /** 4 MiB: a PDE with PS=1 in 32-bit paging. */
  SIZE_4M(22),
  /** 1 GiB: a PDPTE with PS=1. */
  SIZE_1G(30);

  private final int sizeLog2;

  PageSize(int sizeLog2) {
    this.sizeLog2 = sizeLog2;
  }

  /** Binary logarithm of the size in bytes. */
  public int sizeLog2() {
    return sizeLog2;
  }

  /** Size in bytes. */
  public long sizeBytes() {
    return 1L << sizeLog2;
  }

  /** Mask of the offset bits inside such a page. */
  public long offsetMask() {
    return sizeBytes() - 1;
  }

  /** The size whose binary logarithm is given. */
  public static PageSize ofLog2(int sizeLog2) {
    return switch (sizeLog2) {
      case 12 -> SIZE_4K;
      case 21 -> SIZE_2M;
      case 22 -> SIZE_4M;
      case 30 -> SIZE_1G;
      default -> throw new IllegalArgumentException("no such page size: sizeLog2=" + sizeLog2);
    };
  }
}
