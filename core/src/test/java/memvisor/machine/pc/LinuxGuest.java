package memvisor.machine.pc;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import memvisor.boot.BootRequest;

/**
 * The fetched Linux guest ({@code ./memvisor guest fetch}). Tests that need it are skipped, with a
 * line that says so, where it was not fetched.
 */
public final class LinuxGuest {
  private LinuxGuest() {}

  /** A directory with {@code vmlinuz} and {@code initrd}, or a skipped test. */
  public static Path directory() {
    Path directory =
        Optional.ofNullable(System.getenv("MEMVISOR_GUEST_DIR"))
            .map(Path::of)
            .orElseGet(
                () ->
                    Optional.ofNullable(System.getenv("XDG_CACHE_HOME"))
                        .map(Path::of)
                        .orElse(Path.of(System.getProperty("user.home"), ".cache"))
                        .resolve("memvisor/guest"));
    boolean present =
        Files.isReadable(directory.resolve("vmlinuz"))
            && Files.isReadable(directory.resolve("initrd"));
    if (!present) {
      System.err.println(
          "SKIPPED: no Linux guest in " + directory + "; run ./memvisor guest fetch first");
    }
    assumeTrue(present, "no Linux guest: run ./memvisor guest fetch");
    return directory;
  }

  /** A request to boot it and run {@code command} as its only work, then power off. */
  public static BootRequest running(String command) {
    try {
      Path directory = directory();
      return BootRequest.of(Files.readAllBytes(directory.resolve("vmlinuz")))
          .withInitrd(Files.readAllBytes(directory.resolve("initrd")))
          .withCommandLine(
              "console=ttyS0 panic=1 nokaslr cryptomgr.notests quiet memvisor.run=\""
                  + command
                  + "\"");
    } catch (IOException e) {
      throw new IllegalStateException("the Linux guest cannot be read", e);
    }
  }
}
