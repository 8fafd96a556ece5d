package memvisor.app.cli.run;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The terminal on standard input, in raw mode: each key goes to the guest as it is typed. Left as
 * it was found, also when the program is killed.
 */
public final class Terminal implements AutoCloseable {
  private final String savedSettings;
  private final Thread restoreAtExit = new Thread(this::restore, "restore terminal");

  private Terminal(String savedSettings) {
    this.savedSettings = savedSettings;
    Runtime.getRuntime().addShutdownHook(restoreAtExit);
  }

  /** Makes the terminal raw; empty if standard input is none. */
  public static Optional<Terminal> raw() {
    Optional<String> settings = stty("-g");
    if (settings.isEmpty() || stty("raw", "-echo").isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(new Terminal(settings.get()));
  }

  @Override
  public void close() {
    restore();
    Runtime.getRuntime().removeShutdownHook(restoreAtExit);
  }

  private void restore() {
    stty(savedSettings);
  }

  /** What stty prints about standard input; empty where it fails. */
  private static Optional<String> stty(String... arguments) {
    List<String> command = new ArrayList<>(List.of("stty"));
    command.addAll(List.of(arguments));
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectInput(ProcessBuilder.Redirect.INHERIT)
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String output =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).strip();
      return process.waitFor() == 0 ? Optional.of(output) : Optional.empty();
    } catch (IOException absent) {
      return Optional.empty();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    }
  }
}
