package memvisor.app.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code memvisor} command. */
@Command(
    name = "memvisor",
    mixinStandardHelpOptions = true,
    description = "Runs guest operating systems and shows what their memory does.")
public final class Main {
  private Main() {}

  /** Runs one command and exits with its status. */
  public static void main(String[] arguments) {
    System.exit(new CommandLine(new Main()).execute(arguments));
  }
}
