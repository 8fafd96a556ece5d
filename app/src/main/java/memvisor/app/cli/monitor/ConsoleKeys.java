package memvisor.app.cli.monitor;

import java.util.Optional;
import java.util.function.Consumer;
import memvisor.machine.VirtualMachine;

/**
 * What is typed on a raw terminal goes to the guest's serial port or, after Ctrl-A c, to the
 * monitor prompt.
 */
public final class ConsoleKeys {
  private static final String HELP =
      """

      Ctrl-A c  change between the guest's console and the monitor
      Ctrl-A x  end the run
      Ctrl-A a  send Ctrl-A to the guest
      Ctrl-A h  show this
      """;

  private final VirtualMachine machine;
  private final MonitorPrompt prompt;
  private final Consumer<String> terminal;
  private final EscapeKeys escapes = new EscapeKeys();
  private final LineEditor editor = new LineEditor();
  private boolean inMonitor;

  /**
   * Keys for {@code machine}.
   *
   * @param terminal shows text on the raw terminal; called by the thread that calls {@link #typed}
   */
  public ConsoleKeys(VirtualMachine machine, Consumer<String> terminal) {
    this.machine = machine;
    this.prompt = new MonitorPrompt(machine);
    this.terminal = terminal;
  }

  /** Takes what was typed. */
  public void typed(byte[] keys) {
    escapes.accept(keys, this::ordinary, this::request);
  }

  private void request(EscapeKeys.Request request) {
    switch (request) {
      case TOGGLE -> {
        inMonitor = !inMonitor;
        show(
            inMonitor
                ? "\nMemvisor's monitor: help lists the commands, Ctrl-A c goes back\n"
                : "\n");
        showPrompt();
      }
      case QUIT -> machine.stop();
      case HELP -> {
        show(HELP);
        showPrompt();
      }
    }
  }

  private void ordinary(byte[] keys) {
    if (!inMonitor) {
      machine.sendSerial(keys);
      return;
    }
    for (byte key : keys) {
      Optional<String> line = editor.key(key & 0xFF);
      if (line.isPresent()) {
        terminal.accept(editor.takeEcho());
        show(prompt.execute(line.get()).text());
        showPrompt();
      }
    }
    terminal.accept(editor.takeEcho());
  }

  private void showPrompt() {
    if (inMonitor) {
      terminal.accept(MonitorPrompt.TEXT);
    }
  }

  /** A raw terminal does not return the carriage by itself. */
  private void show(String text) {
    terminal.accept(text.replace("\r\n", "\n").replace("\n", "\r\n"));
  }
}
