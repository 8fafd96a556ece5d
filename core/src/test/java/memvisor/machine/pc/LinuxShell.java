package memvisor.machine.pc;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.BooleanSupplier;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.machine.RunOutcome;

/** The fetched Linux guest with a shell on its serial console, asked one command at a time. */
final class LinuxShell implements AutoCloseable {
  private static final long STEP_INSTRUCTIONS = 1_000_000;
  private static final int MAXIMUM_STEPS = 5_000;

  final PcMachine machine;
  private final ByteArrayOutputStream console = new ByteArrayOutputStream();
  private int commands;

  /** Runs between two steps of this guest: other guests, for one. */
  Runnable meanwhile = () -> {};

  /** Boots to the prompt. */
  LinuxShell(HostMemory host, PcConfiguration configuration, String... modules) {
    machine = new PcMachine(configuration, host, console::write, b -> {});
    BootRequest request = GuestModules.with(LinuxGuest.running("true"), modules);
    String line = request.commandLine();
    machine.boot(request.withCommandLine(line.substring(0, line.indexOf(" memvisor."))));
    runUntil(() -> console().contains("# "));
  }

  /** All output so far. */
  String console() {
    return console.toString(StandardCharsets.UTF_8);
  }

  /** Runs the guest until something is so. */
  void runUntil(BooleanSupplier condition) {
    for (int step = 0; !condition.getAsBoolean(); step++) {
      assertThat(step).as(this::console).isLessThan(MAXIMUM_STEPS);
      assertThat(machine.run(STEP_INSTRUCTIONS, Long.MAX_VALUE))
          .as(this::console)
          .isEqualTo(new RunOutcome.LimitReached());
      meanwhile.run();
    }
  }

  /** What a command prints. */
  String execute(String command) {
    String marker = "done-" + ++commands;
    int start = console.size();
    // The shell joins the two words, so the echo of what is typed does not hold the marker.
    String typed = command + "; echo done''" + marker.substring(4) + "\n";
    machine.sendSerial(typed.getBytes(StandardCharsets.US_ASCII));
    runUntil(() -> console().indexOf(marker, start) >= 0);
    String output = console().substring(start);
    return output.substring(output.indexOf('\n') + 1, output.indexOf(marker));
  }

  /** One number of /proc/meminfo, in KiB. */
  long meminfoKib(String name) {
    String line = execute("grep ^" + name + ": /proc/meminfo");
    return Long.parseLong(line.replaceAll("[^0-9]", ""));
  }

  @Override
  public void close() {
    machine.close();
  }
}
