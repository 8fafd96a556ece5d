package memvisor.app.cli;

/**
 * A command cannot do what it was asked, for a reason its user can act on. The message is the whole
 * output: one sentence that says what to do.
 */
public final class CommandFailure extends RuntimeException {
  /** The status of a command line that cannot be carried out as it stands. */
  public static final int USAGE = 2;

  private final int exitStatus;

  /** Fails with exit status 1. */
  public CommandFailure(String sentence) {
    this(sentence, 1);
  }

  /** Fails with {@code exitStatus}. */
  public CommandFailure(String sentence, int exitStatus) {
    super(sentence);
    this.exitStatus = exitStatus;
  }

  /** The status the process ends with. */
  public int exitStatus() {
    return exitStatus;
  }
}
