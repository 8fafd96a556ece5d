package memvisor.app.cli.host;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import memvisor.app.cli.socket.LocalServer;
import memvisor.machine.fleet.ConsoleLog;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmException;
import memvisor.machine.fleet.VmHost;

/**
 * The control socket of a host: a request and a reply per line. After the reply to {@code console}
 * the connection carries the bytes of that VM's serial console, both ways.
 */
public final class ControlServer implements AutoCloseable {
  private static final int MOST_CONNECTIONS = 64;
  private static final int BUFFER_BYTES = 4096;

  /** How long a console without output waits before it looks whether anybody still listens. */
  private static final long CONSOLE_MILLIS = 1000;

  private final LocalServer server;
  private final HostControl control;

  private ControlServer(Path path, VmHost host) {
    control = new HostControl(host);
    server =
        LocalServer.open(
            path,
            "host",
            MOST_CONNECTIONS,
            Reply.error("too many connections at once; try again"),
            this::converse);
  }

  /**
   * Listens at {@code path} until closed.
   *
   * @throws memvisor.app.cli.CommandFailure if that is impossible
   */
  public static ControlServer open(Path path, VmHost host) {
    return new ControlServer(path, host);
  }

  private void converse(SocketChannel connection) throws IOException {
    ByteBuffer input = ByteBuffer.allocate(BUFFER_BYTES);
    RequestLines lines = new RequestLines();
    while (connection.read(input) >= 0) {
      input.flip();
      while (input.hasRemaining()) {
        if (!lines.accept(input.get())) {
          continue;
        }
        if (lines.isTooLong()) {
          LocalServer.send(
              connection,
              Reply.error("a request has at most %d bytes".formatted(RequestLines.LONGEST)));
          return;
        }
        if (answer(connection, lines.line(), input)) {
          return;
        }
      }
      input.clear();
    }
  }

  /** Answers one line; whether the conversation is over. */
  private boolean answer(SocketChannel connection, String line, ByteBuffer rest)
      throws IOException {
    if (line.isBlank()) {
      return false;
    }
    String reply;
    try {
      Request request = Request.parse(line);
      if (request.command().equals("console")) {
        Vm vm = control.vm(request);
        LocalServer.send(connection, Reply.result(HostControl.Changed.of(vm)));
        attach(connection, vm, rest);
        return true;
      }
      reply = Reply.result(control.execute(request));
    } catch (VmException | IllegalArgumentException refusal) {
      reply = Reply.error(String.valueOf(refusal.getMessage()));
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return true;
    } catch (RuntimeException | StackOverflowError broken) {
      reply = Reply.error("an error of memvisor's own, please report it: " + broken);
    }
    LocalServer.send(connection, reply);
    return false;
  }

  // ---- console -------------------------------------------------------------------------------

  private static void attach(SocketChannel connection, Vm vm, ByteBuffer typed) throws IOException {
    Thread output =
        Thread.ofVirtual().name("console " + vm.name()).start(() -> show(connection, vm.console()));
    try {
      do {
        byte[] bytes = new byte[typed.remaining()];
        typed.get(bytes);
        type(vm, bytes);
        typed.clear();
        if (connection.read(typed) < 0) {
          return;
        }
        typed.flip();
      } while (true);
    } finally {
      output.interrupt();
    }
  }

  private static void type(Vm vm, byte[] bytes) {
    try {
      if (bytes.length > 0) {
        vm.type(bytes);
      }
    } catch (VmException off) {
      // Keys typed on a machine that is off go nowhere.
      return;
    }
  }

  private static void show(SocketChannel connection, ConsoleLog console) {
    long position = console.start();
    try {
      while (connection.isOpen()) {
        ConsoleLog.Part part = console.read(position, BUFFER_BYTES, CONSOLE_MILLIS);
        ByteBuffer bytes = ByteBuffer.wrap(part.bytes());
        while (bytes.hasRemaining()) {
          connection.write(bytes);
        }
        position = part.next();
      }
    } catch (IOException | InterruptedException gone) {
      // Nobody listens any more.
      return;
    }
  }

  @Override
  public void close() {
    server.close();
  }
}
