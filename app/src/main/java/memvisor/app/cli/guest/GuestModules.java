package memvisor.app.cli.guest;

import java.util.Set;

/**
 * Which of a kernel's modules a guest in a virtual machine can use: virtio and what it stands on.
 */
final class GuestModules {
  private static final Set<String> NAMES =
      Set.of(
          "failover.ko",
          "net_failover.ko",
          "rng-core.ko",
          "crc32c_generic.ko",
          "libcrc32c.ko",
          "mbcache.ko",
          "jbd2.ko",
          "ext4.ko",
          "crc16.ko",
          "zram.ko",
          "zsmalloc.ko",
          "nvme.ko",
          "nvme-core.ko");

  private GuestModules() {}

  /** Whether the file at {@code path} in the package is such a module. */
  static boolean isWanted(String path) {
    String name = fileName(path);
    return name.endsWith(".ko") && (name.startsWith("virtio") || NAMES.contains(name));
  }

  /** The last part of a path. */
  static String fileName(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }
}
