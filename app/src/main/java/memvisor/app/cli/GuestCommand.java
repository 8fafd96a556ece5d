package memvisor.app.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code memvisor guest}: getting and making what a guest boots from. */
@Command(
    name = "guest",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Fetches a Linux guest, or packs an initial RAM disk for one.",
    subcommands = {GuestFetchCommand.class, GuestInitrdCommand.class})
final class GuestCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "say which: memvisor guest fetch, or memvisor guest initrd");
  }
}
