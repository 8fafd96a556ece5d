package memvisor.app.cli;

import memvisor.app.cli.host.Asking;
import picocli.CommandLine.Command;

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
final class PsCommand extends HostQueries.Query {
  @Override
  String ask(Asking asking) {
    return asking.ps();
  }
}
