package memvisor.app.cli.host;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import memvisor.app.cli.monitor.EscapeKeys;
import memvisor.app.cli.run.Terminal;

/**
 * The serial console of a VM of a running host, on standard input and output: first what it printed
 * last, then what it prints. On a terminal Ctrl-A x leaves it; from a pipe it ends when the pipe
 * has ended and the guest has been quiet for a while.
 */
public final class ConsoleSession {
  private static final int BUFFER_BYTES = 4096;

  /** How long a guest may think before a pipe takes it that it has said all. */
  private static final long QUIET_MILLIS = 2000;

  private static final String HELP =
      "\r\nCtrl-A x  leave the console; the VM goes on\r\nCtrl-A a  send Ctrl-A to the guest\r\n";

  private final SocketChannel channel;
  private final PrintStream out;
  private volatile long lastOutputNanos = System.nanoTime();

  private ConsoleSession(SocketChannel channel, PrintStream out) {
    this.channel = channel;
    this.out = out;
  }

  /** Shows the console of {@code vm} until its user has enough of it, or the host ends. */
  public static void show(Path socket, String vm, InputStream in, PrintStream out)
      throws InterruptedException {
    try (ControlClient client = ControlClient.connect(socket)) {
      client.ask(Request.of("console", vm));
      byte[] rest = client.rest();
      out.write(rest, 0, rest.length);
      ConsoleSession session = new ConsoleSession(client.channel(), out);
      Optional<Terminal> terminal = Terminal.raw();
      try {
        session.run(in, terminal.isPresent());
      } finally {
        terminal.ifPresent(Terminal::close);
      }
    }
  }

  private void run(InputStream in, boolean terminal) throws InterruptedException {
    Thread output = Thread.ofPlatform().daemon().name("console output").start(this::showOutput);
    Thread input =
        Thread.ofPlatform()
            .daemon()
            .name("console input")
            .start(() -> sendInput(in, terminal, output));
    output.join();
    input.interrupt();
  }

  private void showOutput() {
    ByteBuffer bytes = ByteBuffer.allocate(BUFFER_BYTES);
    try {
      while (channel.read(bytes) >= 0) {
        lastOutputNanos = System.nanoTime();
        out.write(bytes.array(), 0, bytes.position());
        out.flush();
        bytes.clear();
      }
    } catch (IOException left) {
      // The user has left, or the host has.
      return;
    }
  }

  private void sendInput(InputStream in, boolean terminal, Thread output) {
    EscapeKeys escapes = new EscapeKeys();
    byte[] buffer = new byte[BUFFER_BYTES];
    try {
      for (int count = in.read(buffer); count > 0; count = in.read(buffer)) {
        byte[] typed = Arrays.copyOf(buffer, count);
        if (terminal) {
          escapes.accept(typed, this::send, this::request);
        } else {
          send(typed);
        }
      }
      while (!terminal && output.isAlive() && quietMillis() < QUIET_MILLIS) {
        Thread.sleep(QUIET_MILLIS / 10);
      }
      leave();
    } catch (IOException | InterruptedException gone) {
      leave();
    }
  }

  private long quietMillis() {
    return (System.nanoTime() - lastOutputNanos) / 1_000_000;
  }

  private void send(byte[] keys) {
    try {
      ByteBuffer bytes = ByteBuffer.wrap(keys);
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    } catch (IOException gone) {
      leave();
    }
  }

  private void request(EscapeKeys.Request request) {
    switch (request) {
      case QUIT -> leave();
      case TOGGLE, HELP -> {
        out.print(HELP);
        out.flush();
      }
    }
  }

  private void leave() {
    try {
      channel.close();
    } catch (IOException gone) {
      // It is closed: that was wanted.
      return;
    }
  }
}
