package memvisor.app.cli.monitor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import memvisor.app.cli.CommandFailure;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The monitor's socket, and what strangers may send it. */
@Timeout(60)
final class MonitorServerTest {
  private static final MonitoredMachine VM = new MonitoredMachine(TechniqueKind.PARTITION);

  @TempDir private Path directory = Path.of("");

  @AfterAll
  static void end() {
    VM.close();
  }

  private Path socket() {
    return directory.resolve("monitor");
  }

  private MonitorServer open() {
    return MonitorServer.open(socket(), VM.prompt);
  }

  /** One user of the socket. */
  private static final class Client implements AutoCloseable {
    private final SocketChannel channel;

    Client(Path path) throws IOException {
      channel = SocketChannel.open(UnixDomainSocketAddress.of(path));
    }

    void send(byte[] bytes) throws IOException {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
    }

    /** What comes up to the next prompt, without it. */
    String answer() throws IOException {
      StringBuilder text = new StringBuilder();
      ByteBuffer one = ByteBuffer.allocate(1);
      while (text.indexOf(MonitorPrompt.TEXT) < 0 && channel.read(one) == 1) {
        text.append((char) one.get(0));
        one.clear();
      }
      int end = text.indexOf(MonitorPrompt.TEXT);
      return end < 0 ? text.toString() : text.substring(0, end);
    }

    String ask(String line) throws IOException {
      send((line + "\n").getBytes(StandardCharsets.UTF_8));
      return answer();
    }

    String rest() throws IOException {
      return new String(Channels.newInputStream(channel).readAllBytes(), StandardCharsets.UTF_8);
    }

    @Override
    public void close() throws IOException {
      channel.close();
    }
  }

  @Test
  void aUserAsksAndIsAnswered() throws IOException {
    try (MonitorServer server = open();
        Client client = new Client(socket())) {
      assertThat(server).isNotNull();
      assertThat(client.answer()).contains("help");
      assertThat(client.ask("info status")).isEqualTo("VM status: running\n");
      assertThat(client.ask("info status\r")).isEqualTo("VM status: running\n");
      assertThat(client.ask("")).isEmpty();
    }
  }

  @Test
  void onlyTheOwnerMayConnectAndTheSocketGoesWithTheRun() throws IOException {
    MonitorServer server = open();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket())))
        .isEqualTo("rw-------");
    try (Client client = new Client(socket())) {
      assertThat(client.answer()).contains("help");
      server.close();
      assertThat(socket()).doesNotExist();
      assertThat(client.rest()).isEmpty();
    }
  }

  @Test
  void garbageOversizeAndDisconnectsHarmNobody() throws IOException {
    long seed = 20261;
    System.out.println("garbage: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    try (MonitorServer server = open();
        Client bystander = new Client(socket())) {
      assertThat(server).isNotNull();
      assertThat(bystander.answer()).isNotEmpty();
      try (Client client = new Client(socket())) {
        client.answer();
        assertThat(client.ask("x".repeat(100_000)))
            .isEqualTo("a command has at most 4096 characters\n");
        assertThat(client.ask("\u00e9\u0001\u007f")).isEqualTo("unknown command: '????'\n");
        assertThat(client.ask("%s%n%d")).isEqualTo("unknown command: '%s%n%d'\n");
      }
      for (int i = 0; i < 20; i++) {
        try (Client rude = new Client(socket())) {
          byte[] garbage = new byte[random.nextInt(1, 2000)];
          random.nextBytes(garbage);
          rude.send(garbage);
        } catch (IOException turnedAway) {
          assertThat(turnedAway).isNotNull();
        }
      }
      assertThat(bystander.ask("info status")).isEqualTo("VM status: running\n");
    }
  }

  @Test
  void tooManyUsersAreTurnedAway() throws IOException {
    try (MonitorServer server = open()) {
      assertThat(server).isNotNull();
      List<Client> clients = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        Client client = new Client(socket());
        client.answer();
        clients.add(client);
      }
      try (Client late = new Client(socket())) {
        assertThat(late.rest()).isEqualTo("too many connections\n");
      }
      assertThat(clients.getFirst().ask("info status")).isEqualTo("VM status: running\n");
      for (Client client : clients) {
        client.close();
      }
    }
  }

  @Test
  void aDeadSocketIsReplaced() throws IOException {
    ServerSocketChannel dead = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    dead.bind(UnixDomainSocketAddress.of(socket()));
    dead.close();
    assertThat(socket()).exists();
    try (MonitorServer server = open();
        Client client = new Client(socket())) {
      assertThat(server).isNotNull();
      assertThat(client.answer()).isNotEmpty();
    }
  }

  @Test
  void aLivingSocketAndAFileAreLeftAlone() throws IOException {
    try (MonitorServer server = open()) {
      assertThat(server).isNotNull();
      assertThatThrownBy(this::open)
          .isInstanceOf(CommandFailure.class)
          .hasMessageContaining("another program listens at");
      assertThat(socket()).exists();
    }
    Path file = Files.writeString(directory.resolve("file"), "precious");
    assertThatThrownBy(() -> MonitorServer.open(file, VM.prompt))
        .isInstanceOf(CommandFailure.class)
        .hasMessageContaining("is not a socket");
    assertThat(file).hasContent("precious");
  }

  @Test
  void aPathThatCannotBeIsOneSentence() {
    for (Path path :
        List.of(directory.resolve("absent/monitor"), directory.resolve("x".repeat(200)))) {
      assertThatThrownBy(() -> MonitorServer.open(path, VM.prompt))
          .isInstanceOf(CommandFailure.class)
          .hasMessageContaining("the monitor cannot listen at");
    }
  }
}
