package memvisor.app.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** A file that a command writes at its end; whether it can is found out at its beginning. */
final class OutputFile {
  private OutputFile() {}

  /** Fails if {@code file}, the value of {@code option}, cannot be written. */
  static void requireWritable(String option, Optional<Path> file) {
    file.flatMap(OutputFile::obstacle)
        .ifPresent(
            obstacle -> {
              throw new CommandFailure(
                  "%s: %s; name a file that can be written.".formatted(option, obstacle),
                  CommandFailure.USAGE);
            });
  }

  private static Optional<String> obstacle(Path file) {
    Path absolute = file.toAbsolutePath();
    Path parent = absolute.getParent();
    if (Files.isDirectory(absolute) || parent == null) {
      return Optional.of(file + " is a directory");
    }
    if (!Files.isDirectory(parent)) {
      return Optional.of("there is no directory " + parent);
    }
    boolean writable = Files.isWritable(Files.exists(absolute) ? absolute : parent);
    return writable ? Optional.empty() : Optional.of("no permission to write " + file);
  }
}
