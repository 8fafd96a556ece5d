package memvisor.cpu.jit;

import java.lang.classfile.Label;
import memvisor.cpu.x86.Lowered.Address;

/** Loads and stores with the translation-cache check inlined; whatever misses it is a call. */
final class MemoryEmitter {
  private static final int INDEX_MASK = 4095;
  private static final int PAGE_SHIFT = 12;
  private static final long PAGE_MASK = -4096L;

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
    if (a.hasSegmentBase()) {
      e.pushArray("segmentBase");
      e.constant(a.segment());
      e.b.laload().ladd();
    }
    e.b.lstore(frame.address);
  }

  /** Jumps to {@code miss} unless the cache holds {@code [address, address + bytes)}. */
  private void check(int tags, int bytes, Label miss) {
    e.b.aload(tags).lload(frame.address);
    e.constant(PAGE_SHIFT);
    e.b.lushr().l2i();
    e.constant(INDEX_MASK);
    e.b.iand().dup().istore(frame.index).laload();
    e.b.lload(frame.address);
    if (bytes > 1) {
      e.constant((long) bytes - 1);
      e.b.ladd();
    }
    e.constant(PAGE_MASK);
    e.b.land().lcmp().ifne(miss);
  }

  private void pushHost(int addends) {
    e.b.lload(frame.address).aload(addends).iload(frame.index).laload().ladd();
  }

  /** Loads from {@link Frame#address} into the long local {@code to}. */
  void load(int bytes, boolean signed, int to, FlagState flags, int number) {
    Label miss = e.newLabel();
    Label done = e.newLabel();
    check(frame.readTag, bytes, miss);
    pushHost(frame.readAddend);
    e.readHost(bytes, signed);
    e.b.lstore(to).goto_(done).labelBinding(miss);
    slowLoad("load", bytes, signed, to, flags, number);
    e.b.labelBinding(done);
  }

  /**
   * Loads for a read-modify-write into {@code to} and leaves the host address in {@link
   * Frame#host}, 0 if the store must go the slow way.
   */
  void loadForWrite(int bytes, int to, FlagState flags, int number) {
    Label miss = e.newLabel();
    Label done = e.newLabel();
    check(frame.writeTag, bytes, miss);
    pushHost(frame.writeAddend);
    e.b.dup2().lstore(frame.host);
    e.readHost(bytes, true);
    e.b.lstore(to).goto_(done).labelBinding(miss);
    slowLoad("loadForWrite", bytes, true, to, flags, number);
    e.b.lconst_0().lstore(frame.host).labelBinding(done);
  }

  private void slowLoad(
      String name, int bytes, boolean signed, int to, FlagState flags, int number) {
    e.b.aload(0).aload(Emitter.CPU).lload(frame.address);
    e.constant(bytes);
    e.b.iload(frame.retired);
    e.constant(number);
    e.slowLoad(name);
    if (signed) {
      e.signExtend(bytes);
    }
    e.b.lstore(to);
    e.pushIntField("fault");
    e.b.ifne(exits.at(number, Exits.FAULT, flags));
  }

  /** Stores {@code value} at {@link Frame#address}; {@code after} are the flags once it is done. */
  void store(int bytes, Value value, FlagState flags, int number) {
    Label miss = e.newLabel();
    Label done = e.newLabel();
    check(frame.writeTag, bytes, miss);
    pushHost(frame.writeAddend);
    value.push(e);
    e.writeHost(bytes);
    e.b.goto_(done).labelBinding(miss);
    slowStore(bytes, value, number);
    e.b.ifne(exits.at(number, Exits.STORE, flags)).labelBinding(done);
  }

  /** A store that ends its block: it leaves only where it faults. */
  void storeLast(int bytes, Value value, FlagState flags, int number) {
    Label miss = e.newLabel();
    Label done = e.newLabel();
    check(frame.writeTag, bytes, miss);
    pushHost(frame.writeAddend);
    value.push(e);
    e.writeHost(bytes);
    e.b.goto_(done).labelBinding(miss);
    slowStore(bytes, value, number);
    e.b.pop();
    e.pushIntField("fault");
    e.b.ifne(exits.at(number, Exits.FAULT, flags)).labelBinding(done);
  }

  /** As {@link #store}; {@code rest} is what the operation does after it, also on the way out. */
  void storeThen(int bytes, Value value, FlagState flags, int number, Runnable rest) {
    Label miss = e.newLabel();
    Label done = e.newLabel();
    check(frame.writeTag, bytes, miss);
    pushHost(frame.writeAddend);
    value.push(e);
    e.writeHost(bytes);
    e.b.goto_(done).labelBinding(miss);
    slowStore(bytes, value, number);
    e.b.ifeq(done);
    e.pushIntField("fault");
    e.b.ifne(exits.at(number, Exits.FAULT, flags));
    rest.run();
    e.b.goto_(exits.at(number, Exits.STORE, flags)).labelBinding(done);
    rest.run();
  }

  /** The store of a read-modify-write at {@link Frame#host}. */
  void storeModified(int bytes, Value value, FlagState before, FlagState after, int number) {
    Label miss = e.newLabel();
    Label done = e.newLabel();
    e.b.lload(frame.host).lconst_0().lcmp().ifeq(miss);
    e.b.lload(frame.host);
    value.push(e);
    e.writeHost(bytes);
    e.b.goto_(done).labelBinding(miss);
    slowStore(bytes, value, number);
    e.b.ifeq(done);
    e.pushIntField("fault");
    e.b.ifne(exits.at(number, Exits.FAULT, before));
    e.b.goto_(exits.at(number, Exits.STORE, after)).labelBinding(done);
  }

  private void slowStore(int bytes, Value value, int number) {
    e.b.aload(0).aload(Emitter.CPU).lload(frame.address);
    value.push(e);
    e.constant(bytes);
    e.b.iload(frame.retired);
    e.constant(number);
    e.slowStore();
  }
}
