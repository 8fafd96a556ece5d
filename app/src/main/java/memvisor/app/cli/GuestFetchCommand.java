package memvisor.app.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Optional;
import memvisor.app.cli.guest.FetchedGuest;
import memvisor.app.cli.guest.GuestFetcher;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code memvisor guest fetch}: Debian's cloud kernel and a busybox user space. */
@Command(
    name = "fetch",
    mixinStandardHelpOptions = true,
    description = {
      "Downloads Debian's amd64 cloud kernel and a static busybox with apt, and packs an initial RAM "
          + "disk that boots to a shell.",
      "It needs no root and does not touch the system's package state: apt runs on a private state "
          + "inside the directory. What is already there is kept."
    },
    footer = {
      "",
      "Examples:",
      "  memvisor guest fetch                  into ~/.cache/memvisor/guest",
      "  memvisor guest fetch --dir /tmp/g     into /tmp/g: vmlinuz, initrd, modules/",
      "  memvisor guest fetch --again          the newest kernel, though one is there",
    })
final class GuestFetchCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--dir",
      paramLabel = "D",
      description = "Where to put the guest (default: ~/.cache/memvisor/guest).")
  private Optional<Path> directory = Optional.empty();

  @Option(names = "--again", description = "Fetch anew even if the guest is there.")
  private boolean again;

  /** As a shell takes it. */
  private static String quoted(Path path) {
    String text = path.toString();
    return text.matches("[\\w./@%+=:,-]+") ? text : "'" + text.replace("'", "'\\''") + "'";
  }

  @Override
  public void run() {
    Path target = directory.orElseGet(FetchedGuest::defaultDirectory).toAbsolutePath().normalize();
    FetchedGuest guest;
    try {
      guest = new GuestFetcher(target, Progress.onStandardError()).fetch(again);
    } catch (IOException failure) {
      throw new CommandFailure(
          "cannot fetch the guest into "
              + target
              + ": "
              + ErrorHandling.describe(failure)
              + "; free some space there or choose another place with --dir.");
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println("kernel   " + guest.kernel() + "  (" + guest.release() + ")");
    out.println("initrd   " + guest.initrd());
    out.println("modules  " + guest.modules());
    out.println();
    out.println("Boot it:");
    out.println(
        "  memvisor run --kernel %s --initrd %s --append console=ttyS0"
            .formatted(quoted(guest.kernel()), quoted(guest.initrd())));
    out.flush();
  }
}
