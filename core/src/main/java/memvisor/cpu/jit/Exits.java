package memvisor.cpu.jit;

import java.lang.classfile.Label;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The cold ways out of a generated method. Each operation that can fault has an exit that says
 * which it was; exits in the same state of the flags share the code that stores them.
 */
final class Exits {
  /** Kinds as the run loop's results; the operation has done nothing. */
  static final int FAULT = 2;

  /** A store that faulted, or that was made and overwrote the code that made it. */
  static final int STORE = 6;

  /** Nothing was done yet: the operation itself is to be executed, and then to be left. */
  static final int RARE = 7;

  /** As in {@code CompiledCode.leave}. */
  static final int KIND_BITS = 4;

  private static final int KIND = (1 << KIND_BITS) - 1;

  private record Exit(Label label, int code, FlagState flags) {}

  private final Emitter e;
  private final Frame frame;

  /** Stores the registers and leaves. */
  private final Label spillAndLeave;

  private final List<Exit> pending = new ArrayList<>();

  Exits(Emitter e, Frame frame, Label spillAndLeave) {
    this.e = e;
    this.frame = frame;
    this.spillAndLeave = spillAndLeave;
  }

  /** Where to jump to leave at operation {@code number}, with an empty stack. */
  Label at(int number, int kind, FlagState flags) {
    int code = number << KIND_BITS | kind;
    for (Exit exit : pending) {
      if (exit.code == code && exit.flags.equals(flags)) {
        return exit.label;
      }
    }
    Exit exit = new Exit(e.newLabel(), code, flags);
    pending.add(exit);
    return exit.label;
  }

  /** The same where {@link Frame#exit} holds the kind. */
  Label withKind(int number, FlagState flags) {
    Exit exit = new Exit(e.newLabel(), number << KIND_BITS, flags);
    pending.add(exit);
    return exit.label;
  }

  /** Emits the exits asked for since the last time; control does not fall into them. */
  void flush() {
    Map<FlagState, Label> stores = new LinkedHashMap<>();
    for (Exit exit : pending) {
      Label store = stores.computeIfAbsent(exit.flags, unused -> e.newLabel());
      e.b.labelBinding(exit.label);
      e.constant(exit.code);
      if ((exit.code & KIND) == 0) {
        e.b.iload(frame.exit).ior();
      }
      e.b.istore(frame.exit).goto_(store);
    }
    stores.forEach(
        (flags, label) -> {
          e.b.labelBinding(label);
          flags.store(e);
          e.b.goto_(spillAndLeave);
        });
    pending.clear();
  }
}
