package memvisor.app.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import memvisor.app.cli.run.HostSetup;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The machine memory under a guest, and how it makes do with less than the guest has. */
final class HostOptions {
  private static final long NO_SIZE = 0;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec mixee = CommandSpec.create();

  @Option(
      names = "--host-memory",
      paramLabel = "SIZE",
      converter = Quantities.SizeConverter.class,
      description =
          "Machine memory: may be less than guest memory together with --dedup, --compress or "
              + "--swap (default: more than the guest can use).")
  private long hostBytes = NO_SIZE;

  @Option(names = "--dedup", description = "Let pages of equal contents share a frame.")
  private boolean dedup;

  @Option(names = "--compress", description = "Compress cold pages when memory runs short.")
  private boolean compress;

  @Option(
      names = "--swap",
      paramLabel = "FILE",
      description =
          "Write cold pages to this new file when memory runs short. It has no name while it is in "
              + "use, so that nothing is left behind.")
  private Optional<Path> swap = Optional.empty();

  /** Refuses what a technique cannot do. */
  void requirePlain(String why) {
    if (hostBytes != NO_SIZE || dedup || compress || swap.isPresent()) {
      throw new ParameterException(
          mixee.commandLine(), "--host-memory, --dedup, --compress and --swap: " + why);
    }
  }

  /** The memory for a guest of {@code guestBytes}; {@code defaultBytes} if no size was given. */
  HostSetup setup(long guestBytes, long defaultBytes) {
    long bytes = hostBytes == NO_SIZE ? defaultBytes : hostBytes;
    if (!dedup && !compress && swap.isEmpty()) {
      return new HostSetup(bytes, Optional.empty());
    }
    if (bytes < 1 << 20) {
      throw new ParameterException(
          mixee.commandLine(), "--host-memory must be at least 1M when memory is reclaimed");
    }
    ReclaimOptions options =
        ReclaimOptions.none(bytes)
            .withDedup(dedup ? DedupOptions.ON : DedupOptions.OFF)
            .withCompression(compress);
    if (swap.isPresent()) {
      try {
        options = options.withSwap(SwapFile.create(swap.get(), 2 * guestBytes));
      } catch (IOException e) {
        throw new CommandFailure(String.valueOf(e.getMessage()));
      }
    }
    return new HostSetup(bytes, Optional.of(options));
  }
}
