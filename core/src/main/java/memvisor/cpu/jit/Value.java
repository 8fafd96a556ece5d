package memvisor.cpu.jit;

/**
 * A long that generated code can push again: a local that is not written any more, or a constant.
 */
sealed interface Value {
  void push(Emitter e);

  /** A local variable. */
  record Local(int slot) implements Value {
    @Override
    public void push(Emitter e) {
      e.b.lload(slot);
    }
  }

  /** A constant. */
  record Constant(long value) implements Value {
    @Override
    public void push(Emitter e) {
      e.constant(value);
    }
  }
}
