package memvisor.cpu.jit;

import java.lang.classfile.Label;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.Lowered.HighByte;
import memvisor.cpu.x86.Lowered.Immediate;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Place;
import memvisor.cpu.x86.Lowered.Register;

/**
 * What the emitters of operations share: which instruction is being generated, its operands, and
 * temporaries for what it computes.
 */
final class Operands {
  final Emitter e;
  final Frame frame;
  private final HotCode code;
  private final MemoryEmitter memory;
  private final Exits exits;
  private final int[] firstNumber;

  /** Temporaries, reused from block to block. */
  private final List<Integer> longs = new ArrayList<>();

  private final List<Integer> ints = new ArrayList<>();
  private int longsInUse;
  private int intsInUse;

  /** The instruction: its block, its index there, its number in the unit. */
  private int block;

  private int index;
  private int number;

  Operands(HotCode code, Emitter e, Frame frame, Exits exits) {
    this.code = code;
    this.e = e;
    this.frame = frame;
    this.exits = exits;
    this.memory = new MemoryEmitter(e, frame, exits);
    this.firstNumber = new int[code.blocks()];
    for (int b = 1; b < firstNumber.length; b++) {
      firstNumber[b] = firstNumber[b - 1] + code.instructions(b - 1);
    }
  }

  // ---- where generation is ---------------------------------------------------------------------

  /** No value of the block before is needed any more. */
  void startBlock() {
    longsInUse = 0;
    intsInUse = 0;
  }

  /** The instruction to generate next. */
  void at(int newBlock, int newIndex) {
    block = newBlock;
    index = newIndex;
    number = firstNumber[newBlock] + newIndex;
  }

  int number() {
    return number;
  }

  /** Whether anything can see the flags that the instruction leaves. */
  boolean flagsAreObserved() {
    return !FlagLiveness.deadAt(code, block, index + 1);
  }

  /** Where the instruction's block starts, in bytes from the entry. */
  int blockStart() {
    return code.start(block);
  }

  /** Where the next instruction starts, in bytes from the entry. */
  long next() {
    return (long) code.start(block) + code.after(block, index);
  }

  int newLong() {
    if (longsInUse == longs.size()) {
      longs.add(e.newLong());
    }
    return longs.get(longsInUse++);
  }

  int newInt() {
    if (intsInUse == ints.size()) {
      ints.add(e.newInt());
    }
    return ints.get(intsInUse++);
  }

  /**
   * Where to jump, with an empty stack, to have the instruction executed by its operation and the
   * unit left after it: for whatever is too rare for code of its own. It must have changed nothing.
   */
  Label rare(FlagState flags) {
    return exits.at(number, Exits.RARE, flags);
  }

  // ---- registers and constants -----------------------------------------------------------------

  /** Pushes a register or constant, sign-extended. */
  void pushSigned(Place place) {
    switch (place) {
      case Register r -> {
        e.b.lload(frame.register(r.number()));
        e.signExtend(r.sizeBytes());
      }
      case HighByte r -> {
        e.b.lload(frame.register(r.number()));
        e.constant(8);
        e.b.lushr();
        e.signExtend(1);
      }
      case Immediate i -> e.constant(signed(i));
      case Memory m -> throw new IllegalStateException("not loaded: " + m);
    }
  }

  private static long signed(Immediate i) {
    int unused = 64 - 8 * i.sizeBytes();
    return i.value() << unused >> unused;
  }

  /** Pushes a register or constant of at most four bytes as an int, sign-extended. */
  void pushSignedInt(Place place) {
    switch (place) {
      case Register r -> {
        e.b.lload(frame.register(r.number())).l2i();
        e.signExtendInt(r.sizeBytes());
      }
      case HighByte r -> {
        e.b.lload(frame.register(r.number())).l2i();
        e.constant(8);
        e.b.iushr();
        e.signExtendInt(1);
      }
      case Immediate i -> e.constant((int) signed(i));
      case Memory m -> throw new IllegalStateException("not loaded: " + m);
    }
  }

  /** Pushes a register or constant, zero-extended; a constant stays sign-extended. */
  void pushZeroExtended(Place place) {
    switch (place) {
      case Register r -> {
        e.b.lload(frame.register(r.number()));
        e.zeroExtend(r.sizeBytes());
      }
      case HighByte r -> {
        e.b.lload(frame.register(r.number()));
        e.constant(8);
        e.b.lushr();
        e.zeroExtend(1);
      }
      case Immediate i -> e.constant(i.value());
      case Memory m -> throw new IllegalStateException("not loaded: " + m);
    }
  }

  /** Writes a value to a register; only its low bytes count. */
  void write(Value value, Place place) {
    if (value instanceof Value.Constant c && place instanceof Register r && r.sizeBytes() >= 4) {
      e.constant(r.sizeBytes() == 4 ? c.value() & 0xFFFF_FFFFL : c.value());
      e.b.lstore(frame.register(r.number()));
    } else {
      value.push(e);
      write(place);
    }
  }

  /** Writes the long on the stack to a register; only its low bytes count. */
  void write(Place place) {
    switch (place) {
      case Register r -> {
        int local = frame.register(r.number());
        if (r.sizeBytes() < 4) {
          long mask = -1L >>> 64 - 8 * r.sizeBytes();
          e.constant(mask);
          e.b.land().lload(local);
          e.constant(~mask);
          e.b.land().lor();
        } else {
          e.zeroExtend(r.sizeBytes());
        }
        e.b.lstore(local);
      }
      case HighByte r -> {
        int local = frame.register(r.number());
        e.constant(0xFFL);
        e.b.land();
        e.constant(8);
        e.b.lshl().lload(local);
        e.constant(~0xFF00L);
        e.b.land().lor().lstore(local);
      }
      case Immediate i -> throw new IllegalStateException("a constant as destination: " + i);
      case Memory m -> throw new IllegalStateException("not a register: " + m);
    }
  }

  // ---- any place -------------------------------------------------------------------------------

  /** Reads a place, sign-extended, into a value that stays. */
  Value readSigned(Place place, FlagState flags) {
    return read(place, true, flags);
  }

  /** Reads a place, sign- or zero-extended (a constant always signed), into a value that stays. */
  Value read(Place place, boolean signed, FlagState flags) {
    if (place instanceof Immediate i) {
      return new Value.Constant(signed(i));
    }
    if (signed && place.sizeBytes() <= 4) {
      return readInt(place, flags);
    }
    int local = newLong();
    if (place instanceof Memory m) {
      load(m, signed, local, flags);
    } else {
      if (signed) {
        pushSigned(place);
      } else {
        pushZeroExtended(place);
      }
      e.b.lstore(local);
    }
    return new Value.Local(local);
  }

  /** Reads a place of at most four bytes. */
  private Value readInt(Place place, FlagState flags) {
    if (place instanceof Memory m) {
      address(m);
      return readSignedHere(m.sizeBytes(), flags);
    }
    pushSignedInt(place);
    return keepInt();
  }

  /** Loads from {@link Frame#address}, sign-extended. */
  Value readSignedHere(int bytes, FlagState flags) {
    if (bytes <= 4) {
      int local = newInt();
      memory.loadInt(bytes, local, flags, number);
      return new Value.IntLocal(local);
    }
    int local = newLong();
    memory.load(bytes, true, local, flags, number);
    return new Value.Local(local);
  }

  /** Stores the int on the stack in a temporary. */
  Value keepInt() {
    int local = newInt();
    e.b.istore(local);
    return new Value.IntLocal(local);
  }

  /** Stores the long on the stack in a temporary. */
  Value keep() {
    int local = newLong();
    e.b.lstore(local);
    return new Value.Local(local);
  }

  /** What to store of a register or constant: only its low bytes count. */
  Value valueToStore(Place source) {
    return switch (source) {
      case Register r -> new Value.Local(frame.register(r.number()));
      case Immediate i -> new Value.Constant(i.value());
      case HighByte r -> {
        pushZeroExtended(r);
        yield keep();
      }
      case Memory m -> throw new IllegalStateException("memory to memory: " + m);
    };
  }

  /** What an operation makes of its destination, and the flags then. */
  record Change(Value result, FlagState after) {}

  /** Reads a place, sign-extended, and writes what {@code operation} makes of it. */
  FlagState change(Place place, FlagState before, Function<Value, Change> operation) {
    if (place instanceof Memory m) {
      address(m);
      return changeHere(m.sizeBytes(), before, operation);
    }
    Change change = operation.apply(readSigned(place, before));
    write(change.result, place);
    return change.after;
  }

  /** The same for what is at {@link Frame#address}. */
  FlagState changeHere(int bytes, FlagState before, Function<Value, Change> operation) {
    Change change = operation.apply(loadForWriteHere(bytes, before));
    storeHereThen(bytes, change.result, before, change.after, () -> {});
    return change.after;
  }

  // ---- memory ----------------------------------------------------------------------------------

  /** Pushes the offset of an address. */
  void pushOffset(Memory m) {
    memory.pushOffset(m.address(), blockStart());
  }

  /** Sets {@link Frame#address} to where {@code m} is. */
  void address(Memory m) {
    memory.address(m.address(), blockStart());
  }

  /** The same, {@code distance} bytes further on. */
  void address(Memory m, Value distance) {
    memory.address(m.address(), blockStart(), distance);
  }

  /** Leaves where what came before has left a fault pending, and changed nothing. */
  void leaveIfFaulted(FlagState flags) {
    memory.leaveIfFaulted(flags, number);
  }

  void load(Memory m, boolean signed, int to, FlagState flags) {
    address(m);
    loadHere(m.sizeBytes(), signed, to, flags);
  }

  /** Loads from {@link Frame#address} into a long local. */
  void loadHere(int bytes, boolean signed, int to, FlagState flags) {
    memory.load(bytes, signed, to, flags, number);
  }

  /** Loads from {@link Frame#address} for a read-modify-write, sign-extended. */
  Value loadForWriteHere(int bytes, FlagState flags) {
    if (bytes <= 4) {
      int local = newInt();
      memory.loadIntForWrite(bytes, local, flags, number);
      return new Value.IntLocal(local);
    }
    int local = newLong();
    memory.loadForWrite(bytes, local, flags, number);
    return new Value.Local(local);
  }

  /**
   * Pushes the host address of what is at {@link Frame#address}, aligned plain memory that may be
   * written; anything else is rare.
   */
  void lockHere(int bytes, FlagState flags) {
    memory.pushLockable(bytes);
    Value hva = keep();
    hva.push(e);
    e.b.lconst_0().lcmp().ifeq(rare(flags));
    hva.push(e);
  }

  /** Stores at {@link Frame#address}; the flags stay. */
  void storeHere(int bytes, Value value, FlagState flags) {
    memory.store(bytes, value, flags, number);
  }

  /**
   * Stores at {@link Frame#address}. Then comes {@code rest}, also on the way out, which leaves the
   * flags {@code after}.
   */
  void storeHereThen(int bytes, Value value, FlagState before, FlagState after, Runnable rest) {
    memory.storeThen(bytes, value, before, after, number, rest);
  }

  /** Stores 16 bytes at {@link Frame#address}, or faults having stored none. */
  void storeVectorHere(Value low, Value high, FlagState flags) {
    memory.storeVector(low, high, flags, number);
  }

  /** Stores at {@link Frame#address} what the last instruction of a block stores. */
  void storeHereLast(Value value, FlagState flags) {
    memory.storeLast(8, value, flags, number);
  }
}
