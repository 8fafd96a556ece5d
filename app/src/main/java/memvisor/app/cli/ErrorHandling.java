package memvisor.app.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.function.BooleanSupplier;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns every failure into one sentence and an exit status; a stack trace only on request. */
final class ErrorHandling implements IParameterExceptionHandler, IExecutionExceptionHandler {
  private final BooleanSupplier debug;

  ErrorHandling(BooleanSupplier debug) {
    this.debug = debug;
  }

  @Override
  public int handleParseException(ParameterException failure, String[] arguments) {
    CommandLine command = failure.getCommandLine();
    command
        .getErr()
        .printf(
            "memvisor: %s (%s)%n",
            oneSentence(String.valueOf(failure.getMessage())), hint(failure, command));
    return CommandFailure.USAGE;
  }

  private static String hint(ParameterException failure, CommandLine command) {
    if (failure instanceof UnmatchedArgumentException unmatched) {
      List<String> similar = unmatched.getSuggestions();
      if (!similar.isEmpty()) {
        return "did you mean " + similar.getFirst() + "?";
      }
    }
    return "see " + command.getCommandSpec().qualifiedName() + " --help";
  }

  @Override
  public int handleExecutionException(Exception failure, CommandLine command, ParseResult parsed) {
    PrintWriter err = command.getErr();
    int status = 1;
    switch (failure) {
      case CommandFailure expected -> {
        err.println("memvisor: " + expected.getMessage());
        status = expected.exitStatus();
      }
      case IOException io -> err.println("memvisor: " + describe(io) + ".");
      default ->
          err.println(
              "memvisor: an error of memvisor's own, please report it (--debug says more): "
                  + oneSentence(failure.toString()));
    }
    if (debug.getAsBoolean()) {
      failure.printStackTrace(err);
    }
    return status;
  }

  /** What an input or output failure says to a user, without a full stop. */
  static String describe(IOException failure) {
    return switch (failure) {
      case NoSuchFileException missing -> "there is no file " + missing.getFile();
      case AccessDeniedException denied -> "no permission for " + denied.getFile();
      case FileSystemException file -> file.getFile() + ": " + reason(file);
      default -> oneSentence(String.valueOf(failure.getMessage()));
    };
  }

  private static String reason(FileSystemException failure) {
    String reason = failure.getReason();
    return reason == null ? failure.getClass().getSimpleName() : reason;
  }

  private static String oneSentence(String message) {
    return message.lines().findFirst().orElse("unknown").strip();
  }
}
