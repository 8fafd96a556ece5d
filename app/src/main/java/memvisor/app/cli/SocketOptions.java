package memvisor.app.cli;

import java.nio.file.Path;
import java.util.Optional;
import memvisor.app.cli.host.HostSession;
import picocli.CommandLine.Option;

/** Which host a command is about, and how it answers. */
final class SocketOptions {
  @Option(
      names = "--socket",
      paramLabel = "PATH",
      description =
          "Where the host listens (default: memvisor.sock in $$XDG_RUNTIME_DIR, else"
              + " ~/.cache/memvisor/host.sock).")
  private Optional<Path> socket = Optional.empty();

  @Option(names = "--json", description = "Answer in JSON.")
  private boolean json;

  Path path() {
    return socket.orElseGet(HostSession::defaultSocket);
  }

  boolean json() {
    return json;
  }
}
