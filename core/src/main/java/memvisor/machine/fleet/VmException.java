package memvisor.machine.fleet;

/** A VM is not in a state in which it can do what it was asked; the message is for the user. */
public final class VmException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** A refusal in one sentence. */
  public VmException(String sentence) {
    super(sentence);
  }
}
