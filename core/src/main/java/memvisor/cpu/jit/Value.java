package memvisor.cpu.jit;

/**
 * An integer that generated code can push again: a local that is not written any more, or a
 * constant. Operands of up to four bytes are kept as sign-extended ints, which is what HotSpot
 * computes with as cheaply as the guest would.
 */
sealed interface Value {
  /** Pushes it as a long, sign-extended. */
  void push(Emitter e);

  /** Pushes its low 32 bits as an int. */
  void pushInt(Emitter e);

  /** Whether {@link #pushInt} pushes all of it. */
  boolean isInt();

  /** A local variable that holds a long. */
  record Local(int slot) implements Value {
    @Override
    public void push(Emitter e) {
      e.b.lload(slot);
    }

    @Override
    public void pushInt(Emitter e) {
      e.b.lload(slot).l2i();
    }

    @Override
    public boolean isInt() {
      return false;
    }
  }

  /** A local variable that holds an int. */
  record IntLocal(int slot) implements Value {
    @Override
    public void push(Emitter e) {
      e.b.iload(slot).i2l();
    }

    @Override
    public void pushInt(Emitter e) {
      e.b.iload(slot);
    }

    @Override
    public boolean isInt() {
      return true;
    }
  }

  /** A constant. */
  record Constant(long value) implements Value {
    @Override
    public void push(Emitter e) {
      e.constant(value);
    }

    @Override
    public void pushInt(Emitter e) {
      e.constant((int) value);
    }

    @Override
    public boolean isInt() {
      return value == (int) value;
    }
  }
}
