package memvisor.app.cli;

import java.util.concurrent.Callable;
import memvisor.app.cli.host.Asking;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code memvisor ps}: the VMs of a running host. */
@Command(
    name = "ps",
    mixinStandardHelpOptions = true,
    description = "Lists the VMs of a running host: their states, and where their memory is.",
    footer = {
      "",
      "Sizes are in MiB. MEMORY is what the guest believes it has; of that SHARED lies on frames",
      "shared with others, ZERO on the one page of zeroes, COMPR is compressed, SWAP in the swap",
      "file, BALLOON given back by the guest; the rest was never touched or is in OWN, the host",
      "memory that is this VM's alone (pages and tables).",
      "",
      "Examples:",
      "  memvisor ps",
      "  memvisor ps --socket /tmp/other.sock --json",
    })
final class PsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private SocketOptions host = new SocketOptions();

  @Override
  public Integer call() {
    spec.commandLine().getOut().print(new Asking(host.path(), host.json()).ps());
    spec.commandLine().getOut().flush();
    return 0;
  }
}
