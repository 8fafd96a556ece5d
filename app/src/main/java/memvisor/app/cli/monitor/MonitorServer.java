package memvisor.app.cli.monitor;

import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import memvisor.app.cli.CommandFailure;

/**
 * The monitor prompt on a Unix-domain socket, for any number of users one after the other and a few
 * at once. Only the user who runs Memvisor may connect, and the socket is gone when the run ends.
 */
public final class MonitorServer implements AutoCloseable {
  /** More at once are turned away. */
  private static final int MOST_CONNECTIONS = 8;

  private static final int LONGEST_LINE = 4096;

  /** S_IFMT and S_IFSOCK of stat(2). */
  private static final int FILE_TYPE = 0xF000;

  private static final int SOCKET_TYPE = 0xC000;
  private static final String GREETING = "Memvisor monitor - type 'help' for the commands\n";

  private final Path path;
  private final ServerSocketChannel server;
  private final MonitorPrompt prompt;
  private final Set<SocketChannel> connections = ConcurrentHashMap.newKeySet();
  private final Thread removeAtExit = new Thread(this::removeSocket, "remove monitor socket");

  private MonitorServer(Path path, ServerSocketChannel server, MonitorPrompt prompt) {
    this.path = path;
    this.server = server;
    this.prompt = prompt;
  }

  /**
   * Listens at {@code path} until closed. A socket that a dead process left there is replaced.
   *
   * @throws CommandFailure if that is impossible
   */
  public static MonitorServer open(Path path, MonitorPrompt prompt) {
    try {
      UnixDomainSocketAddress address = UnixDomainSocketAddress.of(path);
      removeStale(path, address);
      ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
      try {
        channel.bind(address);
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
      } catch (IOException e) {
        channel.close();
        throw e;
      }
      MonitorServer server = new MonitorServer(path, channel, prompt);
      Runtime.getRuntime().addShutdownHook(server.removeAtExit);
      Thread.ofVirtual().name("monitor socket").start(server::acceptConnections);
      return server;
    } catch (IOException e) {
      throw new CommandFailure(
          "the monitor cannot listen at %s: %s; name another path".formatted(path, e.getMessage()),
          CommandFailure.USAGE);
    }
  }

  private static void removeStale(Path path, UnixDomainSocketAddress address) throws IOException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (((int) Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS) & FILE_TYPE)
        != SOCKET_TYPE) {
      throw new CommandFailure(
          path + " exists and is not a socket: name another path", CommandFailure.USAGE);
    }
    try (SocketChannel probe = SocketChannel.open(address)) {
      throw new CommandFailure(
          "another program listens at %s: name another path".formatted(probe.getRemoteAddress()),
          CommandFailure.USAGE);
    } catch (ConnectException refused) {
      Files.delete(path);
    }
  }

  private void acceptConnections() {
    try {
      while (true) {
        SocketChannel connection = server.accept();
        Thread.ofVirtual().name("monitor connection").start(() -> serve(connection));
      }
    } catch (IOException closed) {
      // The run has ended.
      return;
    }
  }

  private void serve(SocketChannel connection) {
    try (connection) {
      connections.add(connection);
      if (connections.size() > MOST_CONNECTIONS) {
        send(connection, "too many connections\n");
        return;
      }
      send(connection, GREETING + MonitorPrompt.TEXT);
      converse(connection);
    } catch (IOException gone) {
      // The other side went away: nothing is lost.
      return;
    } finally {
      connections.remove(connection);
    }
  }

  private void converse(SocketChannel connection) throws IOException {
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
        send(connection, reply.ends() ? reply.text() : reply.text() + MonitorPrompt.TEXT);
        if (reply.ends()) {
          return;
        }
      }
      input.clear();
    }
  }

  private static void send(SocketChannel connection, String text) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      connection.write(bytes);
    }
  }

  private void removeSocket() {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      System.err.println("memvisor: cannot remove " + path + ": " + e.getMessage());
    }
  }

  /** Ends every conversation and removes the socket. */
  @Override
  public void close() {
    try {
      server.close();
      for (SocketChannel connection : connections) {
        connection.close();
      }
    } catch (IOException e) {
      System.err.println("memvisor: closing the monitor failed: " + e.getMessage());
    } finally {
      removeSocket();
      removeHook();
    }
  }

  private void removeHook() {
    try {
      Runtime.getRuntime().removeShutdownHook(removeAtExit);
    } catch (IllegalStateException shuttingDown) {
      // The hook is running, or has run: the socket is gone either way.
      return;
    }
  }
}
