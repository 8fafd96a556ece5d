package memvisor.cpu.jit;

import java.lang.classfile.Label;
import memvisor.cpu.x86.Lowered.Address;

/** Addresses, loads and stores. */
final class MemoryEmitter {
  private final Emitter e;
  private final Frame frame;
  private final Exits exits;

  MemoryEmitter(Emitter e, Frame frame, Exits exits) {
    this.e = e;
    this.frame = frame;
    this.exits = exits;
  }

  /** Pushes the offset of an address; {@code blockStart} is where the block starts. */
  void pushOffset(Address a, int blockStart) {
    long displacement = a.displacement();
    boolean empty = true;
    if (a.base() == Address.BLOCK) {
      e.b.lload(frame.base);
      displacement += blockStart;
      empty = false;
    } else if (a.base() != Address.NONE) {
      e.b.lload(frame.register(a.base()));
      empty = false;
    }
    if (a.index() != Address.NONE) {
      e.b.lload(frame.register(a.index()));
      if (a.scale() != 0) {
        e.constant(a.scale());
        e.b.lshl();
      }
      if (!empty) {
        e.b.ladd();
      }
      empty = false;
    }
    if (empty) {
      e.constant(displacement);
    } else if (displacement != 0) {
      e.constant(displacement);
      e.b.ladd();
    }
    if (a.mask() != -1L) {
      e.constant(a.mask());
      e.b.land();
    }
  }

  /** Sets {@link Frame#address} to the linear address. */
  void address(Address a, int blockStart) {
    pushOffset(a, blockStart);
    segment(a);
  }

  /** The same, {@code distance} bytes further on. */
  void address(Address a, int blockStart, Value distance) {
    pushOffset(a, blockStart);
    distance.push(e);
    e.b.ladd();
    if (a.mask() != -1L) {
      e.constant(a.mask());
      e.b.land();
    }
    segment(a);
  }

  private void segment(Address a) {
    if (a.hasSegmentBase()) {
      e.pushArray("segmentBase");
      e.constant(a.segment());
      e.b.laload().ladd();
    }
    e.b.lstore(frame.address);
  }

  private void pushPosition(int number) {
    e.b.iload(frame.retired);
    e.constant(number);
  }

  /** Loads from {@link Frame#address} into the long local {@code to}. */
  void load(int bytes, boolean signed, int to, FlagState flags, int number) {
    e.b.aload(Emitter.CPU).lload(frame.address);
    pushPosition(number);
    e.load(bytes);
    finishLoad(bytes, signed, to, flags, number);
  }

  /** Loads at most four bytes, sign-extended, into the int local {@code to}. */
  void loadInt(int bytes, int to, FlagState flags, int number) {
    e.b.aload(Emitter.CPU).lload(frame.address);
    pushPosition(number);
    e.load(bytes);
    finishLoadInt(bytes, to, flags, number);
  }

  /** Loads eight bytes for a read-modify-write into {@code to}. */
  void loadForWrite(int bytes, int to, FlagState flags, int number) {
    pushLoadForWrite(bytes, number);
    finishLoad(bytes, true, to, flags, number);
  }

  /** The same for at most four bytes, sign-extended, and an int local. */
  void loadIntForWrite(int bytes, int to, FlagState flags, int number) {
    pushLoadForWrite(bytes, number);
    finishLoadInt(bytes, to, flags, number);
  }

  private void pushLoadForWrite(int bytes, int number) {
    e.b.aload(Emitter.CPU).lload(frame.address);
    e.constant(bytes);
    pushPosition(number);
    e.loadForWrite();
  }

  /** Pushes the host address for an atomic access at {@link Frame#address}, or 0. */
  void pushLockable(int bytes) {
    e.b.aload(Emitter.CPU).lload(frame.address);
    e.constant(bytes);
    e.lockable();
  }

  private void finishLoad(int bytes, boolean signed, int to, FlagState flags, int number) {
    if (signed) {
      e.signExtend(bytes);
    }
    e.b.lstore(to);
    leaveIfFaulted(flags, number);
  }

  private void finishLoadInt(int bytes, int to, FlagState flags, int number) {
    e.b.l2i();
    e.signExtendInt(bytes);
    e.b.istore(to);
    leaveIfFaulted(flags, number);
  }

  /** Leaves where what came before has left a fault pending, and changed nothing. */
  void leaveIfFaulted(FlagState flags, int number) {
    e.pushIntField("fault");
    e.b.ifne(exits.at(number, Exits.FAULT, flags));
  }

  /** Stores {@code value} at {@link Frame#address}. */
  void store(int bytes, Value value, FlagState flags, int number) {
    pushStore(bytes, value, number);
    e.b.ifne(exits.at(number, Exits.STORE, flags));
  }

  /** Stores two halves at {@link Frame#address}. */
  void storeVector(Value low, Value high, FlagState flags, int number) {
    e.b.aload(Emitter.CPU).lload(frame.address);
    low.push(e);
    high.push(e);
    pushPosition(number);
    e.storeVector();
    e.b.ifne(exits.at(number, Exits.STORE, flags));
  }

  /** A store that ends its block: it leaves only where it faults. */
  void storeLast(int bytes, Value value, FlagState flags, int number) {
    Label done = e.newLabel();
    pushStore(bytes, value, number);
    e.b.ifeq(done);
    e.pushIntField("fault");
    e.b.ifne(exits.at(number, Exits.FAULT, flags)).labelBinding(done);
  }

  /**
   * A store that changes something: {@code rest} is what the operation does once it is made, also
   * on the way out, and leaves the flags {@code after}.
   */
  void storeThen(
      int bytes, Value value, FlagState before, FlagState after, int number, Runnable rest) {
    Label done = e.newLabel();
    pushStore(bytes, value, number);
    e.b.ifeq(done);
    e.pushIntField("fault");
    e.b.ifne(exits.at(number, Exits.FAULT, before));
    rest.run();
    e.b.goto_(exits.at(number, Exits.STORE, after)).labelBinding(done);
    rest.run();
  }

  private void pushStore(int bytes, Value value, int number) {
    e.b.aload(Emitter.CPU).lload(frame.address);
    value.push(e);
    pushPosition(number);
    e.store(bytes);
  }
}
