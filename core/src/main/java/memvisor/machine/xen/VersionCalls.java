package memvisor.machine.xen;

import memvisor.mmu.direct.Errno;
import memvisor.mmu.direct.MonitorSlots;

/** HYPERVISOR_xen_version (public/version.h). */
final class VersionCalls {
  private static final long VERSION = 4 << 16 | 17;

  /**
   * XENFEAT bits: 5 mmu_pt_update_preserve_ad, 6 highmem_assist, 7 gnttab_map_avail_bits, 17
   * direct-mapped or not does not matter to a domain without devices.
   */
  private static final long FEATURES = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 17;

  private final GuestPointers memory;

  VersionCalls(GuestPointers memory) {
    this.memory = memory;
  }

  long call(int command, long argument) {
    switch (command) {
      case 0 -> {
        return VERSION;
      }
      case 1 -> memory.storeText(argument, ".memvisor", 16);
      case 2 -> {
        memory.storeText(argument, "javac", 64);
        memory.storeText(argument + 64, "memvisor", 16);
        memory.storeText(argument + 80, "memvisor", 32);
        memory.storeText(argument + 112, "2026-01-01", 32);
      }
      case 3 -> memory.storeText(argument, "xen-3.0-x86_64 ", 1024);
      case 4 -> memory.storeText(argument, "unavailable", 64);
      case 5 -> memory.store(argument, 8, MonitorSlots.M2P_GVA);
      case 6 -> {
        if (memory.load(argument, 4) != 0) {
          return -Errno.EINVAL;
        }
        memory.store(argument + 4, 4, FEATURES);
      }
      case 7 -> {
        return 4096;
      }
      case 8 -> memory.storeText(argument, "", 16);
      case 9 -> memory.storeText(argument, "", 1024);
      default -> {
        return -Errno.ENOSYS;
      }
    }
    return 0;
  }
}
