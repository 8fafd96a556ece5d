package memvisor.app.cli.socket;

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
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import memvisor.app.cli.CommandFailure;

/**
 * Listens on a Unix-domain socket for any number of users one after the other and a few at once.
 * Only the user who runs Memvisor may connect, and the socket is gone when the program ends; one
 * that a killed program left behind is replaced.
 */
public final class LocalServer implements AutoCloseable {
  /** S_IFMT and S_IFSOCK of stat(2). */
  private static final int FILE_TYPE = 0xF000;

  private static final int SOCKET_TYPE = 0xC000;

  /** sun_path of unix(7), which ends with a zero byte. */
  private static final int LONGEST_PATH = 107;

  private final Path path;
  private final ServerSocketChannel server;
  private final int mostConnections;
  private final String turnedAway;
  private final Conversation conversation;
  private final Set<SocketChannel> connections = ConcurrentHashMap.newKeySet();
  private final Thread removeAtExit = new Thread(this::removeSocket, "remove socket");

  /** What is done with a connection, on a thread of its own; it is closed afterwards. */
  @FunctionalInterface
  public interface Conversation {
    /** Converses until the other side has enough. */
    void with(SocketChannel connection) throws IOException;
  }

  private LocalServer(
      Path path,
      ServerSocketChannel server,
      int mostConnections,
      String turnedAway,
      Conversation conversation) {
    this.path = path;
    this.server = server;
    this.mostConnections = mostConnections;
    this.turnedAway = turnedAway;
    this.conversation = conversation;
  }

  /**
   * Listens at {@code path} until closed.
   *
   * @param what what listens, for complaints
   * @param mostConnections more at once are told {@code turnedAway} and closed
   * @throws CommandFailure if that is impossible
   */
  public static LocalServer open(
      Path path, String what, int mostConnections, String turnedAway, Conversation conversation) {
    try {
      removeStale(path);
      ServerSocketChannel channel = listen(path);
      LocalServer server =
          new LocalServer(path, channel, mostConnections, turnedAway, conversation);
      Runtime.getRuntime().addShutdownHook(server.removeAtExit);
      Thread.ofVirtual().name(what + " socket").start(server::acceptConnections);
      return server;
    } catch (IOException | IllegalArgumentException e) {
      throw new CommandFailure(
          "the %s cannot listen at %s: %s; name another path".formatted(what, path, e.getMessage()),
          CommandFailure.USAGE);
    }
  }

  /** Nobody may connect before the permissions are right: the socket gets its name after them. */
  private static ServerSocketChannel listen(Path path) throws IOException {
    // Checked here, because the name that is bound is another.
    if (path.toString().getBytes(StandardCharsets.UTF_8).length > LONGEST_PATH) {
      throw new IOException("the path has more than %d bytes".formatted(LONGEST_PATH));
    }
    Path parent = path.toAbsolutePath().getParent();
    Path directory = Files.createTempDirectory(parent == null ? Path.of("/") : parent, ".memvisor");
    Path unnamed = directory.resolve("s");
    ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.bind(UnixDomainSocketAddress.of(unnamed));
      Files.setPosixFilePermissions(unnamed, PosixFilePermissions.fromString("rw-------"));
      Files.move(unnamed, path, StandardCopyOption.ATOMIC_MOVE);
      return channel;
    } catch (IOException e) {
      channel.close();
      throw e;
    } finally {
      Files.deleteIfExists(unnamed);
      Files.deleteIfExists(directory);
    }
  }

  private static void removeStale(Path path) throws IOException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (((int) Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS) & FILE_TYPE)
        != SOCKET_TYPE) {
      throw new CommandFailure(
          path + " exists and is not a socket: name another path", CommandFailure.USAGE);
    }
    try {
      SocketChannel.open(UnixDomainSocketAddress.of(path)).close();
    } catch (ConnectException refused) {
      Files.delete(path);
      return;
    }
    throw new CommandFailure(
        "another program listens at %s: name another path".formatted(path), CommandFailure.USAGE);
  }

  private void acceptConnections() {
    try {
      while (true) {
        SocketChannel connection = server.accept();
        Thread.ofVirtual().name("local connection").start(() -> serve(connection));
      }
    } catch (IOException closed) {
      // The program has ended.
      return;
    }
  }

  private void serve(SocketChannel connection) {
    try (connection) {
      connections.add(connection);
      if (connections.size() > mostConnections) {
        send(connection, turnedAway);
        return;
      }
      conversation.with(connection);
    } catch (IOException gone) {
      // The other side went away: nothing is lost.
      return;
    } finally {
      connections.remove(connection);
    }
  }

  /** Sends all of a text. */
  public static void send(SocketChannel connection, String text) throws IOException {
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
      System.err.println("memvisor: closing the socket failed: " + e.getMessage());
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
