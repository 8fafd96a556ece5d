package memvisor.app.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import memvisor.boot.BootRequest;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What {@code run} and {@code compare} share: a kernel, and what it is started with. */
final class KernelOptions {
  /** Files are read whole; more than this is no kernel. */
  private static final long LARGEST_FILE_BYTES = 1L << 30;

  /**
   * Machine memory is a terabyte at most, and a partition's must be four times as large as the
   * guest, to have a run of frames that starts at a multiple of its size.
   */
  private static final long LARGEST_MEMORY_BYTES = 128L << 30;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec mixee = CommandSpec.create();

  @Option(
      names = "--kernel",
      paramLabel = "K",
      description = "A bzImage, ELF or multiboot kernel (default: the built-in guest).")
  private Optional<Path> kernel = Optional.empty();

  @Option(names = "--initrd", paramLabel = "I", description = "An initial RAM disk.")
  private Optional<Path> initrd = Optional.empty();

  @Option(names = "--append", paramLabel = "S", description = "The kernel's command line.")
  private String append = "";

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      defaultValue = "256M",
      converter = Quantities.SizeConverter.class,
      description = "Guest memory. Default: ${DEFAULT-VALUE}.")
  private long memoryBytes;

  /** Guest memory, in bytes. */
  long memoryBytes() {
    if (memoryBytes > LARGEST_MEMORY_BYTES) {
      throw new ParameterException(
          mixee.commandLine(), "guest memory is 2M to 128G: give --memory less");
    }
    return memoryBytes;
  }

  /** The kernel's file name; empty where none was given. */
  Optional<String> name() {
    return kernel.map(path -> String.valueOf(path.getFileName()));
  }

  /** The kernel to boot; empty where none was given. */
  Optional<BootRequest> request() {
    if (kernel.isEmpty()) {
      if (initrd.isPresent() || !append.isEmpty()) {
        throw new ParameterException(
            mixee.commandLine(),
            "--initrd and --append belong to a kernel: name one with --kernel");
      }
      return Optional.empty();
    }
    BootRequest request =
        BootRequest.of(read("--kernel", kernel.get(), "a bzImage, ELF or multiboot kernel"))
            .withCommandLine(append);
    return Optional.of(
        initrd.isPresent()
            ? request.withInitrd(read("--initrd", initrd.get(), "an initial RAM disk"))
            : request);
  }

  private static byte[] read(String option, Path file, String wanted) {
    try {
      if (Files.isDirectory(file)) {
        throw unusable(option, file, "is a directory", wanted);
      }
      long size = Files.size(file);
      if (size > LARGEST_FILE_BYTES) {
        throw unusable(option, file, "is larger than 1 GiB", wanted);
      }
      byte[] bytes = Files.readAllBytes(file);
      if (bytes.length == 0) {
        throw unusable(option, file, "is empty", wanted);
      }
      return bytes;
    } catch (IOException failure) {
      throw new CommandFailure(
          "%s: %s; name %s.".formatted(option, ErrorHandling.describe(failure), wanted),
          CommandFailure.USAGE);
    }
  }

  private static CommandFailure unusable(String option, Path file, String why, String wanted) {
    return new CommandFailure(
        "%s: %s %s; name %s.".formatted(option, file, why, wanted), CommandFailure.USAGE);
  }
}
