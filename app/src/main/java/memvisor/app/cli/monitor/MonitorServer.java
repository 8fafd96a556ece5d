package memvisor.app.cli.monitor;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import memvisor.app.cli.socket.LocalServer;

/** The monitor prompt on a Unix-domain socket. */
public final class MonitorServer implements AutoCloseable {
  /** More at once are turned away. */
  private static final int MOST_CONNECTIONS = 8;

  private static final int LONGEST_LINE = 4096;
  private static final String GREETING = "Memvisor monitor - type 'help' for the commands\n";

  private final LocalServer server;

  private MonitorServer(LocalServer server) {
    this.server = server;
  }

  /**
   * Listens at {@code path} until closed. A socket that a dead process left there is replaced.
   *
   * @throws memvisor.app.cli.CommandFailure if that is impossible
   */
  public static MonitorServer open(Path path, MonitorPrompt prompt) {
    return new MonitorServer(
        LocalServer.open(
            path,
            "monitor",
            MOST_CONNECTIONS,
            "too many connections\n",
            connection -> {
              LocalServer.send(connection, GREETING + MonitorPrompt.TEXT);
              converse(connection, prompt);
            }));
  }

  private static void converse(SocketChannel connection, MonitorPrompt prompt) throws IOException {
    ByteBuffer input = ByteBuffer.allocate(LONGEST_LINE);
    LineAssembler lines = new LineAssembler(LONGEST_LINE);
    while (connection.read(input) >= 0) {
      input.flip();
      while (input.hasRemaining()) {
        LineAssembler.Result result = lines.accept(input.get());
        if (result == LineAssembler.Result.INCOMPLETE) {
          continue;
        }
        MonitorPrompt.Reply reply =
            result == LineAssembler.Result.TOO_LONG
                ? new MonitorPrompt.Reply(
                    "a command has at most " + LONGEST_LINE + " characters\n", false)
                : prompt.execute(lines.line());
        LocalServer.send(
            connection, reply.ends() ? reply.text() : reply.text() + MonitorPrompt.TEXT);
        if (reply.ends()) {
          return;
        }
      }
      input.clear();
    }
  }

  /** Ends every conversation and removes the socket. */
  @Override
  public void close() {
    server.close();
  }
}
