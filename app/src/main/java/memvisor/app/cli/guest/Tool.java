package memvisor.app.cli.guest;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import memvisor.app.cli.CommandFailure;

/** Runs programs of the host. */
final class Tool {
  private static final long POLL_MILLIS = 200;

  private Tool() {}

  /** What a program printed, errors included, and how it ended. */
  record Output(int exitStatus, String text) {
    boolean succeeded() {
      return exitStatus == 0;
    }
  }

  /** Whether a program is on the path. */
  static boolean exists(String name) {
    String path = System.getenv("PATH");
    if (path == null) {
      return false;
    }
    for (String folder : path.split(File.pathSeparator)) {
      if (Files.isExecutable(Path.of(folder, name))) {
        return true;
      }
    }
    return false;
  }

  /**
   * Runs an apt program to its end.
   *
   * @param aptConfiguration the value of APT_CONFIG
   * @param whileRunning called a few times a second
   */
  static Output run(
      List<String> command, Path folder, Path aptConfiguration, Runnable whileRunning) {
    try {
      Path log = Files.createTempFile("memvisor", ".log");
      try {
        ProcessBuilder builder =
            new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile());
        builder
            .environment()
            .putAll(Map.of("APT_CONFIG", aptConfiguration.toString(), "LC_ALL", "C"));
        return new Output(waitFor(builder.start(), whileRunning), Files.readString(log));
      } finally {
        Files.delete(log);
      }
    } catch (IOException failure) {
      throw new CommandFailure("cannot run " + command.getFirst() + ": " + failure.getMessage());
    }
  }

  private static int waitFor(Process process, Runnable whileRunning) {
    try {
      while (!process.waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
        whileRunning.run();
      }
      return process.exitValue();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new CommandFailure("interrupted.");
    } finally {
      process.destroy();
    }
  }
}
