package memvisor.cpu.x86;

/**
 * A new translation that waits for the JVM to compile it. In the JVM's interpreter it would be many
 * times slower than the operations that it is made of, which are executed meanwhile.
 *
 * <p>No supported interface tells whether a method is compiled. But a run that is told to execute
 * nothing only loops ({@link CompiledCode#PRIMED}), and takes a fraction of the time then. Where
 * that is misjudged the guest sees nothing of it: only speed depends on it.
 */
final class Apprentice {
  /** Compiled code loops more than five times as fast; a preempted run is just judged again. */
  private static final int FASTER = 3;

  private static final int FIRST_PASS = 32;
  private static final int LONGEST_PASS = 4096;

  private final CompiledCode code;
  private final long interpretedNanos;
  private int executionsLeft;
  private int pass = FIRST_PASS;

  /**
   * A translation just made, which has the JVM asked to compile it.
   *
   * @param patience executions of the block after which the translation is entered in any case
   */
  Apprentice(CompiledCode code, Vcpu c, int patience) {
    this.code = code;
    this.executionsLeft = patience;
    prime(c); // links the class
    this.interpretedNanos = prime(c);
  }

  boolean isOf(CompiledCode translation) {
    return code.equals(translation);
  }

  /** Executions of the block before it is asked again whether the translation is ready. */
  int nextPass() {
    int next = Math.min(pass, executionsLeft);
    executionsLeft -= next;
    pass = Math.min(2 * pass, LONGEST_PASS);
    return next;
  }

  boolean isReady(Vcpu c) {
    return executionsLeft == 0 || prime(c) < interpretedNanos / FASTER;
  }

  /** Executes nothing; answers how long that took. */
  private long prime(Vcpu c) {
    c.translatedLimit = CompiledCode.PRIMED;
    long start = System.nanoTime();
    code.run(c);
    return System.nanoTime() - start;
  }

  void enter() {
    code.enter();
  }
}
