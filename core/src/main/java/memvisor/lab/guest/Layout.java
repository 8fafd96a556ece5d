package memvisor.lab.guest;

/** Where the built-in guest keeps things. */
final class Layout {
  /** The image: code, then data. */
  static final long IMAGE_GPA = 0x10_0000;

  /** One byte per data frame: how many address spaces map it. */
  static final long SHARE_COUNTS_GPA = 0x18_0000;

  /** End of the share counts; the stack grows down to here. */
  static final long STACK_LIMIT_GPA = 0x1E_0000;

  static final long STACK_TOP_GPA = 0x1F_0000;

  /** Three frames for the tables under which the 32-bit entry reaches long mode. */
  static final long BOOT_TABLES_GPA = 0x20_0000;

  /** Page tables are taken from here upward. */
  static final long TABLE_POOL_GPA = BOOT_TABLES_GPA + 3 * 4096;

  /** End of the table pool and first frame of data. */
  static final long DATA_GPA = 0x80_0000;

  /** The window through which workloads touch their data, mapped by 4 KiB pages. */
  static final long WINDOW_GVA = 0x0400_0000_0000L;

  private Layout() {}
}
