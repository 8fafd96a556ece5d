package memvisor.app.cli.host;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.ConnectException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import memvisor.app.cli.CommandFailure;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** The commands' side of the control socket. */
public final class ControlClient implements AutoCloseable {
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private final SocketChannel channel;
  private final ByteBuffer input = ByteBuffer.allocate(1 << 16).flip();

  private ControlClient(SocketChannel channel) {
    this.channel = channel;
  }

  /**
   * Connects to the host that listens at {@code path}.
   *
   * @throws CommandFailure if none does
   */
  public static ControlClient connect(Path path) {
    try {
      return new ControlClient(SocketChannel.open(UnixDomainSocketAddress.of(path)));
    } catch (ConnectException refused) {
      throw new CommandFailure(
          "the host that listened at %s has ended; start it again with memvisor host"
              .formatted(path));
    } catch (IOException | IllegalArgumentException failure) {
      if (Files.exists(path)) {
        throw new CommandFailure("cannot connect to %s: %s".formatted(path, failure.getMessage()));
      }
      throw new CommandFailure(
          "no host listens at %s; start one with memvisor host --config FILE, or name its --socket"
              .formatted(path));
    }
  }

  /**
   * The result of a request.
   *
   * @throws CommandFailure if the host refuses, with its reason
   */
  JsonNode ask(Request request) {
    try {
      ByteBuffer line = ByteBuffer.wrap((request.toLine() + "\n").getBytes(StandardCharsets.UTF_8));
      send(line);
      JsonNode reply = MAPPER.readTree(readLine());
      if (reply.path(Reply.OK).booleanValue(false)) {
        return reply.path(Reply.RESULT);
      }
      throw new CommandFailure(reply.path(Reply.ERROR).asString("the host gave no reason"));
    } catch (IOException | JacksonException gone) {
      throw new CommandFailure("the host went away before it answered");
    }
  }

  /** A host that turns us away closes before we have spoken, but has said why. */
  private void send(ByteBuffer line) {
    try {
      while (line.hasRemaining()) {
        channel.write(line);
      }
    } catch (IOException closed) {
      line.position(line.limit());
    }
  }

  private String readLine() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    while (true) {
      while (input.hasRemaining()) {
        byte value = input.get();
        if (value == '\n') {
          return line.toString(StandardCharsets.UTF_8);
        }
        line.write(value);
      }
      input.clear();
      int count = channel.read(input);
      input.flip();
      if (count < 0) {
        throw new IOException("end of the conversation");
      }
    }
  }

  /** The result as text for people who wrote a program. */
  static String json(JsonNode result) {
    return MAPPER.writeValueAsString(result) + "\n";
  }

  /** The result as a record. */
  static <T> T as(JsonNode result, Class<T> type) {
    return MAPPER.treeToValue(result, type);
  }

  /** Bytes that came behind the last reply. */
  byte[] rest() {
    byte[] bytes = new byte[input.remaining()];
    input.get(bytes);
    return bytes;
  }

  SocketChannel channel() {
    return channel;
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // Nothing more was wanted from it.
      return;
    }
  }
}
