package memvisor.app.cli.monitor;

import java.util.function.Consumer;

/** What is typed on a raw terminal for a machine without a monitor prompt. */
public final class PlainKeys {
  private static final String HELP =
      "\r\nCtrl-A x  end the run\r\nCtrl-A a  send Ctrl-A to the guest\r\n";

  private final Consumer<byte[]> guest;
  private final Runnable stop;
  private final Consumer<String> terminal;
  private final EscapeKeys escapes = new EscapeKeys();

  /**
   * Keys for one guest.
   *
   * @param guest takes what is the guest's
   * @param stop ends the run
   * @param terminal shows text on the raw terminal
   */
  public PlainKeys(Consumer<byte[]> guest, Runnable stop, Consumer<String> terminal) {
    this.guest = guest;
    this.stop = stop;
    this.terminal = terminal;
  }

  /** Takes what was typed. */
  public void typed(byte[] keys) {
    escapes.accept(keys, guest, this::request);
  }

  private void request(EscapeKeys.Request request) {
    switch (request) {
      case QUIT -> stop.run();
      case TOGGLE, HELP -> terminal.accept(HELP);
    }
  }
}
