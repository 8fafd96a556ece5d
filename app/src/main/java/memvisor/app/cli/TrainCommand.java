package memvisor.app.cli;

import java.util.List;
import picocli.CommandLine.Command;

/**
 * {@code memvisor train}: what the launcher has the JVM watch after a build, to start from a cache
 * of the classes, links and profiles that runs need. Short runs of the built-in guest; what they
 * print is of no interest.
 */
@Command(
    name = "train",
    hidden = true,
    mixinStandardHelpOptions = true,
    description = "Does in some seconds what runs do, for the launcher's cache of classes.")
final class TrainCommand implements Runnable {
  private static final List<String> COMMAND_LINES =
      List.of(
          "--help",
          "walk",
          "run --timeout 4s --mmu nested --workload random",
          "run --timeout 2s --mmu nested --workload cow --jit off",
          "run --timeout 2s --mmu shadow --workload switch",
          "run --timeout 2s --mmu partition --workload churn",
          "run --timeout 2s --mmu trap --workload copy");

  @Override
  public void run() {
    for (String line : COMMAND_LINES) {
      String[] words = line.split(" ", -1);
      Main.commandLineFor(words).execute(words);
    }
  }
}
