package memvisor.app.cli.host;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import memvisor.app.cli.CommandFailure;
import memvisor.app.cli.host.config.HostConfig;
import memvisor.host.HostMemory;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapFile;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;

/** Runs a host in the foreground: its VMs, its socket, and what is to be seen of them. */
public final class HostSession {
  private static final long REFRESH_MILLIS = 1000;

  private final HostConfig config;
  private final Path socket;
  private final PrintStream out;
  private final boolean terminal;

  /**
   * A session that shows itself on {@code out}.
   *
   * @param terminal whether the view may be redrawn in place
   */
  public HostSession(HostConfig config, Path socket, PrintStream out, boolean terminal) {
    this.config = config;
    this.socket = socket;
    this.out = out;
    this.terminal = terminal;
  }

  /** Where a host listens if nobody names a place. */
  public static Path defaultSocket() {
    return Optional.ofNullable(System.getenv("XDG_RUNTIME_DIR"))
        .filter(text -> !text.isEmpty())
        .map(text -> Path.of(text, "memvisor.sock"))
        .orElseGet(
            () -> Path.of(System.getProperty("user.home", "."), ".cache", "memvisor", "host.sock"));
  }

  /** Runs until no VM is left that could be started again by itself, or until interrupted. */
  public void run() throws InterruptedException {
    makeDirectory();
    try (VmHost host = new VmHost(memory())) {
      Thread endAtExit = new Thread(host::close, "end host");
      Runtime.getRuntime().addShutdownHook(endAtExit);
      ControlServer server = ControlServer.open(socket, host);
      try {
        for (HostConfig.Guest guest : config.vms()) {
          Vm vm = host.add(guest.spec());
          if (guest.start()) {
            vm.start();
          }
        }
        out.println("memvisor: control this host with memvisor ps --socket " + socket);
        new LiveView(host, out, terminal).show(REFRESH_MILLIS);
      } finally {
        server.close();
      }
    }
  }

  private void makeDirectory() {
    Path parent = socket.toAbsolutePath().getParent();
    try {
      if (parent != null && !Files.isDirectory(parent)) {
        Files.createDirectories(
            parent,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      }
    } catch (IOException failure) {
      throw new CommandFailure(
          "cannot make %s for the socket: %s; name another place with --socket"
              .formatted(parent, failure.getMessage()));
    }
  }

  private HostMemory memory() {
    HostMemory memory;
    try {
      memory = HostMemory.create(config.memoryBytes());
    } catch (HostMemoryException failure) {
      throw new CommandFailure(String.valueOf(failure.getMessage()));
    }
    ReclaimOptions options = config.reclaim();
    if (config.swap().isPresent()) {
      HostConfig.Swap swap = config.swap().get();
      try {
        options = options.withSwap(SwapFile.create(swap.file(), swap.sizeBytes()));
      } catch (IOException failure) {
        memory.close();
        throw new CommandFailure(String.valueOf(failure.getMessage()));
      }
    }
    memory.enableReclaim(options).enablePolicy(config.policy());
    return memory;
  }
}
