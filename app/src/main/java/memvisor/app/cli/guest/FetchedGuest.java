package memvisor.app.cli.guest;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A Linux guest in a directory.
 *
 * @param directory holds all of it
 * @param release the kernel's release, like {@code 6.1.0-50-cloud-amd64}
 */
public record FetchedGuest(Path directory, String release) {
  /** {@code $XDG_CACHE_HOME/memvisor/guest}, or {@code ~/.cache/memvisor/guest}. */
  public static Path defaultDirectory() {
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache != null && !cache.isBlank()
            ? Path.of(cache)
            : Path.of(System.getProperty("user.home"), ".cache");
    return base.resolve("memvisor").resolve("guest");
  }

  /** The kernel, a bzImage. */
  public Path kernel() {
    return directory.resolve("vmlinuz");
  }

  /** The initial RAM disk. */
  public Path initrd() {
    return directory.resolve("initrd");
  }

  /** The kernel modules for virtual machines, {@code *.ko}. */
  public Path modules() {
    return directory.resolve("modules");
  }

  /** The static busybox of the guest in {@code directory}. */
  public static Path busybox(Path directory) {
    return directory.resolve("busybox");
  }

  /** Where the kernel's release is noted; written last, so that it marks a whole guest. */
  static Path releaseFile(Path directory) {
    return directory.resolve("release");
  }

  /** Whether every part is there. */
  boolean isWhole() {
    return Files.isReadable(kernel())
        && Files.isReadable(initrd())
        && Files.isDirectory(modules())
        && Files.isReadable(busybox(directory));
  }
}
