package memvisor.app.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import memvisor.app.cli.guest.FetchedGuest;
import memvisor.app.cli.guest.Initramfs;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code memvisor guest initrd}: packs an initial RAM disk from files. */
@Command(
    name = "initrd",
    mixinStandardHelpOptions = true,
    description =
        "Packs an initial RAM disk (a cpio archive, not compressed) of a static busybox, an init "
            + "script and files of yours.",
    footer = {
      "",
      "The standard init mounts /proc, /sys and /dev and starts a shell; leaving it powers the "
          + "machine off. With memvisor.run=\"COMMAND\" on the kernel's command line it runs that "
          + "instead, prints its exit status and powers off.",
      "",
      "Examples:",
      "  memvisor guest initrd -o my.cpio",
      "  memvisor guest initrd -o my.cpio --add ./bench:/bin/bench --add data:/data",
      "  memvisor guest initrd -o my.cpio --init ./my-init.sh",
    })
final class GuestInitrdCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = {"-o", "--output"},
      required = true,
      paramLabel = "OUT",
      description = "The archive to write.")
  private Path output = Path.of("initrd");

  @Option(
      names = "--busybox",
      paramLabel = "B",
      description = "A statically linked busybox (default: the one that guest fetch got).")
  private Optional<Path> busybox = Optional.empty();

  @Option(
      names = "--add",
      paramLabel = "SRC:DST",
      converter = AdditionConverter.class,
      description = "Put the file or directory SRC at DST, an absolute path in the guest.")
  private List<Addition> additions = List.of();

  @Option(
      names = "--init",
      paramLabel = "SCRIPT",
      description = "Start this as /init instead of the standard one.")
  private Optional<Path> init = Optional.empty();

  @Override
  public void run() {
    Path program = busybox.orElseGet(() -> FetchedGuest.busybox(FetchedGuest.defaultDirectory()));
    if (!Files.isReadable(program)) {
      throw new CommandFailure(
          "there is no busybox at "
              + program
              + ": run memvisor guest fetch, or name one with --busybox.");
    }
    try {
      Initramfs archive = new Initramfs(program);
      if (init.isPresent()) {
        archive.init(Files.readAllBytes(init.get()));
      }
      for (Addition addition : additions) {
        archive.add(addition.source(), addition.target());
      }
      archive.write(output);
      PrintWriter out = spec.commandLine().getOut();
      out.println(output + "  " + (Files.size(output) + 1023) / 1024 + " KiB");
      out.flush();
    } catch (IOException failure) {
      throw new CommandFailure(
          "cannot pack " + output + ": " + ErrorHandling.describe(failure) + ".");
    }
  }

  /**
   * A file to pack.
   *
   * @param source a file or directory of the host
   * @param target an absolute path in the guest
   */
  record Addition(Path source, String target) {}

  /** Reads SRC:DST. */
  static final class AdditionConverter implements ITypeConverter<Addition> {
    @Override
    public Addition convert(String text) {
      int colon = text.lastIndexOf(':');
      if (colon <= 0 || !text.startsWith("/", colon + 1)) {
        throw new TypeConversionException(
            "give SRC:DST with an absolute DST, like ./data:/data, not '" + text + "'");
      }
      return new Addition(Path.of(text.substring(0, colon)), text.substring(colon + 1));
    }
  }
}
