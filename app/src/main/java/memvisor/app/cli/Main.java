package memvisor.app.cli;

import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The {@code memvisor} command: everything it does is a subcommand. */
@Command(
    name = "memvisor",
    mixinStandardHelpOptions = true,
    versionProvider = VersionText.class,
    synopsisSubcommandLabel = "COMMAND",
    description = "Runs guest operating systems and shows what their memory does.",
    footer = {
      "",
      "Start here:",
      "  memvisor demo                every technique compared, with a report",
      "  memvisor walk                how one address is translated, step by step",
      "  memvisor run                 one guest, its console here",
      "  memvisor host --config FILE  many guests on one machine memory",
      "  memvisor guest fetch         get Debian's kernel and a small user space",
      "  memvisor COMMAND --help      what a command does, with examples",
      "",
      "Exit status: 0 it worked, 1 it did not, 2 the command line was wrong, 3 the guest failed.",
    })
public final class Main implements Runnable {
  private static final String RUN = "run";

  private static final List<Class<?>> COMMANDS =
      List.of(
          DemoCommand.class,
          RunCommand.class,
          CompareCommand.class,
          WalkCommand.class,
          ExplainCommand.class,
          HostCommand.class,
          PsCommand.class,
          VmCommands.Start.class,
          VmCommands.Stop.class,
          VmCommands.Pause.class,
          VmCommands.Resume.class,
          VmCommands.Console.class,
          HostQueries.Balloon.class,
          HostQueries.Ledger.class,
          HostQueries.Stat.class,
          HostQueries.Explain.class,
          HostQueries.WhySlow.class,
          GuestCommand.class,
          TrainCommand.class,
          CompletionCommand.class,
          HelpCommand.class);

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--debug",
      scope = ScopeType.INHERIT,
      description = "When something unexpected fails, also print where in the program.")
  private boolean debug;

  private Main() {}

  /** Runs one command and exits with its status. */
  public static void main(String[] arguments) {
    int status;
    try {
      status = commandLineFor(arguments).execute(arguments);
    } catch (OutOfMemoryError | StackOverflowError | LinkageError failure) {
      System.err.println("memvisor: Java gave up: " + failure);
      status = 1;
    }
    System.exit(status);
  }

  /** A guest need not wait until every other command has been described. */
  static CommandLine commandLineFor(String[] arguments) {
    boolean runs = arguments.length > 0 && arguments[0].equals(RUN);
    return commandLine(runs ? List.of(RunCommand.class) : COMMANDS);
  }

  /** The parser, with every command and the handling of errors. */
  static CommandLine commandLine() {
    return commandLine(COMMANDS);
  }

  private static CommandLine commandLine(List<Class<?>> commands) {
    Main main = new Main();
    ErrorHandling errors = new ErrorHandling(() -> main.debug);
    CommandLine line = new CommandLine(main);
    commands.forEach(line::addSubcommand);
    return line.setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler(errors)
        .setExecutionExceptionHandler(errors)
        .setUsageHelpAutoWidth(true);
  }

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "say what to do: memvisor COMMAND; memvisor --help lists the commands");
  }
}
