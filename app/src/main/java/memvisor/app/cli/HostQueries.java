package memvisor.app.cli;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import memvisor.app.cli.host.Asking;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** The commands that ask a running host about memory. */
final class HostQueries {
  private HostQueries() {}

  /** A command that prints an answer. */
  abstract static class Query implements Callable<Integer> {
    @Spec private CommandSpec spec = CommandSpec.create();
    @Mixin private SocketOptions host = new SocketOptions();

    @Option(names = "--json", description = "Answer in JSON.")
    private boolean json;

    abstract String ask(Asking asking) throws InterruptedException;

    @Override
    public Integer call() throws InterruptedException {
      spec.commandLine().getOut().print(ask(new Asking(host.path(), json)));
      spec.commandLine().getOut().flush();
      return 0;
    }
  }

  /** A command about the host, or about one of its VMs. */
  abstract static class OfHostOrVm extends Query {
    @Parameters(arity = "0..1", paramLabel = "VM", description = "One VM (default: the host).")
    private Optional<String> vm = Optional.empty();

    abstract String ask(Asking asking, Optional<String> vmName);

    @Override
    String ask(Asking asking) {
      return ask(asking, vm);
    }
  }

  /** Reads an address, with or without 0x. */
  static final class AddressConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      String digits = text.startsWith("0x") || text.startsWith("0X") ? text.substring(2) : text;
      try {
        return Long.parseUnsignedLong(digits, 16);
      } catch (NumberFormatException wrong) {
        throw new TypeConversionException(
            "give an address in hexadecimal, like 0xffffffff81000000, not '" + text + "'");
      }
    }
  }

  /** {@code memvisor ledger}. */
  @Command(
      name = "ledger",
      mixinStandardHelpOptions = true,
      description =
          "Says where the memory of a running host is: what each frame holds, what each VM costs"
              + " (shared frames and the compressed pool in proportion), what the monitor itself"
              + " takes, and what was decided lately. Of a VM: where its pages are, what happened"
              + " to them, when, and what that took.",
      footer = {"", "Examples:", "  memvisor ledger", "  memvisor ledger web-1 --json"})
  static final class Ledger extends OfHostOrVm {
    @Override
    String ask(Asking asking, Optional<String> vmName) {
      return asking.ledger(vmName);
    }
  }

  /** {@code memvisor stat}. */
  @Command(
      name = "stat",
      mixinStandardHelpOptions = true,
      description =
          "Shows what was counted: of the host, what merging, compressing and swapping did; of a"
              + " VM, its time, exits, translations, changes of pages, pressure and balloon.",
      footer = {"", "Examples:", "  memvisor stat", "  memvisor stat web-1"})
  static final class Stat extends OfHostOrVm {
    @Override
    String ask(Asking asking, Optional<String> vmName) {
      return asking.stat(vmName);
    }
  }

  /** {@code memvisor explain-vm}. */
  @Command(
      name = "explain-vm",
      mixinStandardHelpOptions = true,
      description =
          "Tells all about a linear address of a running VM: the walks, what caches hold, the"
              + " frame, or where the page is that has none (compressed, swapped out, ballooned).",
      footer = {"", "Example:", "  memvisor explain-vm web-1 0xffffffff81000000"})
  static final class Explain extends Query {
    @Parameters(index = "0", paramLabel = "VM", description = "The VM's name.")
    private String vm = "";

    @Parameters(
        index = "1",
        paramLabel = "GVA",
        converter = AddressConverter.class,
        description = "A guest virtual (linear) address, in hexadecimal.")
    private long gva;

    @Override
    String ask(Asking asking) {
      return asking.explain(vm, gva);
    }
  }

  /** {@code memvisor why-slow}. */
  @Command(
      name = "why-slow",
      mixinStandardHelpOptions = true,
      description =
          "Names what kept a VM from executing its guest in the last ten seconds, worst first,"
              + " with what was counted and what could be done.",
      footer = {"", "Example:", "  memvisor why-slow web-1"})
  static final class WhySlow extends Query {
    @Parameters(paramLabel = "VM", description = "The VM's name.")
    private String vm = "";

    @Override
    String ask(Asking asking) {
      return asking.whySlow(vm);
    }
  }

  /** {@code memvisor balloon}. */
  @Command(
      name = "balloon",
      mixinStandardHelpOptions = true,
      description =
          "Resizes a running VM: leaves its guest SIZE, asks its balloon for the rest, and waits"
              + " until it is so. Without SIZE: says how big the balloon is.",
      footer = {
        "",
        "The guest needs a driver for its balloon (virtio_balloon); one that does not keep to",
        "its contract is said so, with the reason.",
        "",
        "Examples:",
        "  memvisor balloon web-1 128M",
        "  memvisor balloon web-1 256M --wait 60s",
        "  memvisor balloon web-1"
      })
  static final class Balloon extends Query {
    @Parameters(index = "0", paramLabel = "VM", description = "The VM's name.")
    private String vm = "";

    @Parameters(
        index = "1",
        arity = "0..1",
        paramLabel = "SIZE",
        converter = Quantities.SizeConverter.class,
        description = "What is left to the guest, like 128M.")
    private Optional<Long> bytes = Optional.empty();

    @Option(
        names = "--wait",
        paramLabel = "TIME",
        converter = Quantities.TimeConverter.class,
        description = "Wait at most this long (default: 30s).")
    private Optional<Duration> most = Optional.empty();

    @Override
    String ask(Asking asking) throws InterruptedException {
      Progress progress = Progress.onStandardError();
      OptionalLong size = bytes.isPresent() ? OptionalLong.of(bytes.get()) : OptionalLong.empty();
      String answer = asking.balloon(vm, size, most.orElse(Duration.ofSeconds(30)), progress::note);
      progress.endLine();
      return answer;
    }
  }
}
