package memvisor.app.cli;

import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import memvisor.app.cli.host.HostSession;
import memvisor.app.cli.host.config.HostConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code memvisor host}: many guests on one machine memory. */
@Command(
    name = "host",
    mixinStandardHelpOptions = true,
    description =
        "Runs many VMs on one machine memory, which may be smaller than they are together, until"
            + " Ctrl-C. The other commands (ps, ledger, why-slow, balloon, console ...) talk to it"
            + " over a local socket.",
    footer = {
      "",
      "A host in a file, host.yaml:",
      "  memory: 512M                   # machine memory",
      "  reclaim:                       # how it makes do with less than the guests have",
      "    dedup: true                  #   equal pages share a frame (knobs: below)",
      "    compress: true               #   cold pages are compressed",
      "    patch: true                  #   as patches to similar ones where that pays (default)",
      "    trim-after-seconds: 30       #   once unused for so long, need or no need",
      "    swap: /var/tmp/host.swap     #   the coldest go to a new file",
      "  defaults:                      # for every VM below",
      "    kernel: ~/.cache/memvisor/guest/vmlinuz",
      "    initrd: ~/.cache/memvisor/guest/initrd",
      "    append: console=ttyS0 quiet",
      "    memory: 256M",
      "    trust-domain: mine           # whom a VM shares pages with; alone if not said",
      "  vms:",
      "    - name: web",
      "      count: 4                   # web-1 to web-4",
      "      technique: nested          # or shadow, partition, trap",
      "    - name: db",
      "      shares: 2000               # weight when memory is short; others have 1000",
      "      floor: 64M                 # host memory it keeps in any case",
      "      disks: [{file: db.img, read-only: false}]",
      "      balloon: {deflate-on-oom: true, free-page-reporting: true}",
      "",
      "A VM may also have: rng, huge-pages, npt, nested-levels, cpu, jit, code-memory,",
      "clock, workload, on-reset (stop or restart), start (false: not with the host). {n} in",
      "append and in a disk's file stands for the number among count.",
      "",
      "Knobs of dedup, as KSM's, with what holds without: dedup: {pages-to-scan: 1024,",
      "sleep-millisecs: 20, max-slow-down: 8, max-page-sharing: 256, use-zero-pages: true}.",
      "The scan of a VM that merges nothing for long sleeps up to max-slow-down times as long;",
      "stat VM shows its pace, and why. 1: always at full pace.",
      "",
      "Linux reports only free blocks of 2 MiB: of what a guest frees, a fifth stays with it. With",
      "page_reporting.page_reporting_order=5 in append it reports from 128 KiB on, nearly all.",
      "",
      "Examples:",
      "  memvisor host --config host.yaml",
      "  memvisor host --config other.yaml --socket /tmp/other.sock",
    })
final class HostCommand implements Callable<Integer> {
  @Option(
      names = "--config",
      required = true,
      paramLabel = "FILE",
      description = "The host and its VMs, in YAML.")
  private Path config = Path.of("");

  @Option(
      names = "--socket",
      paramLabel = "PATH",
      description =
          "Where the host listens (default: what the file says, else memvisor.sock in"
              + " $$XDG_RUNTIME_DIR, else ~/.cache/memvisor/host.sock).")
  private Optional<Path> socket = Optional.empty();

  @Option(
      names = "--plain",
      description = "On a terminal too: a line for each change, and no table that is redrawn.")
  private boolean plain;

  @Override
  public Integer call() throws InterruptedException {
    HostConfig host = HostConfig.read(config);
    Path place = socket.or(host::socket).orElseGet(HostSession::defaultSocket);
    boolean terminal = !plain && System.console() != null && System.console().isTerminal();
    new HostSession(host, place, System.out, terminal).run();
    return 0;
  }
}
