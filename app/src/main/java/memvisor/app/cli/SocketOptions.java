package memvisor.app.cli;

import java.nio.file.Path;
import java.util.Optional;
import memvisor.app.cli.host.HostSession;
import picocli.CommandLine.Option;

/** Which host a command is about. */
final class SocketOptions {
  @Option(
      names = "--socket",
      paramLabel = "PATH",
      description =
          "Where the host listens (default: memvisor.sock in $$XDG_RUNTIME_DIR, else"
              + " ~/.cache/memvisor/host.sock).")
  private Optional<Path> socket = Optional.empty();

  Path path() {
    return socket.orElseGet(HostSession::defaultSocket);
  }
}
