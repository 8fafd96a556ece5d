package memvisor.bench;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import memvisor.machine.fleet.ConsoleLog;
import memvisor.machine.fleet.Vm;

/** The shell on the serial console of a Linux guest, asked one command at a time. */
final class GuestShell {
  private static final int MOST = 1 << 16;
  private static final Duration LONGEST = Duration.ofMinutes(5);

  private final Vm vm;
  private final StringBuilder heard = new StringBuilder();
  private long position;
  private int commands;

  GuestShell(Vm vm) {
    this.vm = vm;
  }

  Vm vm() {
    return vm;
  }

  /** Starts the guest, and waits for its prompt. */
  void boot() throws InterruptedException {
    vm.start();
    await("# ");
    // No echo and no prompt: what is heard from here on is what commands print.
    run("stty -echo; PS1=");
  }

  /** Runs a command; what it prints. */
  String run(String command) throws InterruptedException {
    begin(command);
    return end();
  }

  /** Types a command. */
  void begin(String command) throws InterruptedException {
    listen();
    heard.setLength(0);
    commands++;
    // The shell joins the two words: where what is typed is echoed, that does not hold the marker.
    String typed = command + "; echo done''" + commands + "_\n";
    vm.type(typed.getBytes(StandardCharsets.US_ASCII));
  }

  /** Waits until the command has ended; what it printed. */
  String end() throws InterruptedException {
    String marker = "done" + commands + "_";
    await(marker);
    String text = heard.toString();
    return text.substring(0, text.indexOf(marker)).strip();
  }

  /** Whether the command has ended. */
  boolean hasEnded() throws InterruptedException {
    listen();
    return heard.indexOf("done" + commands + "_") >= 0;
  }

  private void await(String text) throws InterruptedException {
    long deadline = System.nanoTime() + LONGEST.toNanos();
    while (heard.indexOf(text) < 0) {
      if (System.nanoTime() > deadline || vm.state().isOff()) {
        throw new IllegalStateException(
            "%s did not come to '%s'; it is %s%s; the last it said: %s"
                .formatted(
                    vm.name(),
                    text,
                    vm.state().word(),
                    vm.end().map(end -> ", " + end.sentence()).orElse(""),
                    heard.substring(Math.max(0, heard.length() - 500))));
      }
      listen();
    }
  }

  private void listen() throws InterruptedException {
    ConsoleLog.Part part = vm.console().read(position, MOST, 20);
    position = part.next();
    heard.append(new String(part.bytes(), StandardCharsets.ISO_8859_1));
  }
}
