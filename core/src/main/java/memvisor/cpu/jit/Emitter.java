package memvisor.cpu.jit;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import memvisor.cpu.x86.HotCode;

/** The names that generated code uses, and short forms for what it often does. */
final class Emitter {
  static final ClassDesc COMPILED = ClassDesc.of(HotCode.PACKAGE, "CompiledCode");
  private static final ClassDesc STATUS = ClassDesc.of(HotCode.PACKAGE, "StatusFunctions");
  private static final ClassDesc CARRIED = ClassDesc.of(HotCode.PACKAGE, "CarriedFlags");
  static final ClassDesc VCPU = ClassDesc.of(HotCode.PACKAGE, "Vcpu");
  static final ClassDesc FLAGS = ClassDesc.of(HotCode.PACKAGE, "Flags");
  private static final ClassDesc SSE = ClassDesc.of(HotCode.PACKAGE, "SseOp");
  private static final ClassDesc LANES = ClassDesc.of(HotCode.PACKAGE, "Lanes");
  private static final ClassDesc SHUFFLES = ClassDesc.of(HotCode.PACKAGE, "Shuffles");
  private static final ClassDesc FPU = ClassDesc.of(HotCode.PACKAGE, "FpuState");
  private static final ClassDesc FLOATS = ClassDesc.of(HotCode.PACKAGE, "ScalarFloats");
  private static final ClassDesc STRINGS = ClassDesc.of(HotCode.PACKAGE, "StringOps");
  static final ClassDesc LONGS = ConstantDescs.CD_long.arrayType();
  private static final ClassDesc LONG = ConstantDescs.CD_long;
  private static final ClassDesc INT = ConstantDescs.CD_int;
  private static final ClassDesc BOOLEAN = ConstantDescs.CD_boolean;
  private static final ClassDesc VOID = ConstantDescs.CD_void;

  private static final String[] LOADS = {"load8", "load16", "load32", "load64"};
  private static final String[] STORES = {"store8", "store16", "store32", "store64"};
  private static final MethodTypeDesc LOAD = MethodTypeDesc.of(LONG, VCPU, LONG, INT, INT);
  private static final MethodTypeDesc LOAD_FOR_WRITE =
      MethodTypeDesc.of(LONG, VCPU, LONG, INT, INT, INT);
  private static final MethodTypeDesc STORE = MethodTypeDesc.of(INT, VCPU, LONG, LONG, INT, INT);
  private static final MethodTypeDesc CARRIED_STORE =
      MethodTypeDesc.of(VOID, VCPU, INT, LONG, LONG, LONG, LONG, LONG);
  private static final MethodTypeDesc CARRIED_CONDITION =
      MethodTypeDesc.of(BOOLEAN, VCPU, INT, LONG, LONG, LONG, LONG, LONG, INT);
  private static final MethodTypeDesc CARRIED_CARRY =
      MethodTypeDesc.of(BOOLEAN, VCPU, INT, LONG, LONG, LONG);
  private static final MethodTypeDesc[] SETTERS = {
    MethodTypeDesc.of(VOID), setter(1), setter(2), setter(3)
  };

  private static MethodTypeDesc setter(int arguments) {
    return MethodTypeDesc.of(VOID, longs(arguments));
  }

  /** Local 1: the processor. */
  static final int CPU = 1;

  final CodeBuilder b;

  Emitter(CodeBuilder builder) {
    this.b = builder;
  }

  int newLong() {
    return b.allocateLocal(TypeKind.LONG);
  }

  int newInt() {
    return b.allocateLocal(TypeKind.INT);
  }

  int newReference() {
    return b.allocateLocal(TypeKind.REFERENCE);
  }

  void constant(long value) {
    b.loadConstant(value);
  }

  void constant(int value) {
    b.loadConstant(value);
  }

  // ---- the processor's fields ----------------------------------------------------------------

  /** Pushes a field of the processor that holds a {@code long[]}. */
  void pushArray(String field) {
    b.aload(CPU).getfield(VCPU, field, LONGS);
  }

  void pushLongField(String field) {
    b.aload(CPU).getfield(VCPU, field, LONG);
  }

  void pushIntField(String field) {
    b.aload(CPU).getfield(VCPU, field, INT);
  }

  void putLongField(String field) {
    b.putfield(VCPU, field, LONG);
  }

  void putIntField(String field) {
    b.putfield(VCPU, field, INT);
  }

  void pushFlags() {
    b.aload(CPU).getfield(VCPU, "flags", FLAGS);
  }

  // ---- calls ---------------------------------------------------------------------------------

  /** Loads: CPU, address, instructions retired and the operation's number are on the stack. */
  void load(int bytes) {
    b.invokestatic(COMPILED, LOADS[Integer.numberOfTrailingZeros(bytes)], LOAD);
  }

  /** As {@link #load}, with the size after the address. */
  void loadForWrite() {
    b.invokestatic(COMPILED, "loadForWrite", LOAD_FOR_WRITE);
  }

  /** As {@link #load}, with the value after the address; pushes whether to leave. */
  void store(int bytes) {
    b.invokestatic(COMPILED, STORES[Integer.numberOfTrailingZeros(bytes)], STORE);
  }

  /** As {@link #store}, with two halves after the address. */
  void storeVector() {
    b.invokestatic(COMPILED, "store128", MethodTypeDesc.of(INT, VCPU, LONG, LONG, LONG, INT, INT));
  }

  /** The CPU is on the stack; pushes whether SSE operations fault. */
  void vectorsUnavailable() {
    b.invokestatic(SSE, "unavailable", MethodTypeDesc.of(BOOLEAN, VCPU));
  }

  /** A function of two halves of vectors. */
  void laneFunction(String name) {
    b.invokestatic(LANES, name, MethodTypeDesc.of(LONG, LONG, LONG));
  }

  /** Pushes where {@link #shuffle} leaves its result. */
  void pushShuffled() {
    b.aload(CPU).getfield(VCPU, "fpu", FPU);
  }

  /** What {@link #pushShuffled} pushed is on the stack; pushes a half of the result. */
  void pushShuffledHalf(boolean high) {
    b.getfield(FPU, high ? "high" : "low", LONG);
  }

  /**
   * A function of two vectors; where to leave the result, four halves and an int are on the stack.
   */
  void shuffle(String name) {
    b.invokestatic(SHUFFLES, name, MethodTypeDesc.of(VOID, FPU, LONG, LONG, LONG, LONG, INT));
  }

  /** A function of the CPU, a long and {@code ints} ints, which may leave a fault pending. */
  void floatFunction(String name, ClassDesc result, int ints) {
    ClassDesc[] parameters = new ClassDesc[2 + ints];
    java.util.Arrays.fill(parameters, INT);
    parameters[0] = VCPU;
    parameters[1] = LONG;
    b.invokestatic(FLOATS, name, MethodTypeDesc.of(result, parameters));
  }

  /** The signs of the bytes of a half. */
  void byteSigns() {
    b.invokestatic(LANES, "signs8", MethodTypeDesc.of(LONG, LONG));
  }

  /** CPU, address and size are on the stack; pushes a host address, or 0. */
  void lockable() {
    b.invokestatic(COMPILED, "lockable", MethodTypeDesc.of(LONG, VCPU, LONG, INT));
  }

  /** Host address, size, operation, source and carry are on the stack; pushes the old value. */
  void updateAtomically() {
    b.invokestatic(COMPILED, "update", MethodTypeDesc.of(LONG, LONG, INT, INT, LONG, LONG));
  }

  /** Host address, size and new value are on the stack; pushes the old value. */
  void exchangeAtomically() {
    b.invokestatic(COMPILED, "exchange", MethodTypeDesc.of(LONG, LONG, INT, LONG));
  }

  /** Host address, size, expected and new value are on the stack; pushes the old value. */
  void compareExchangeAtomically() {
    b.invokestatic(COMPILED, "compareExchange", MethodTypeDesc.of(LONG, LONG, INT, LONG, LONG));
  }

  /** REP STOS or REP MOVS: CPU, so many longs and the size are on the stack; pushes if done. */
  void string(String name, int longCount) {
    ClassDesc[] parameters = new ClassDesc[longCount + 2];
    java.util.Arrays.fill(parameters, LONG);
    parameters[0] = VCPU;
    parameters[longCount + 1] = INT;
    b.invokestatic(STRINGS, name, MethodTypeDesc.of(BOOLEAN, parameters));
  }

  void opaque() {
    b.invokevirtual(COMPILED, "opaque", MethodTypeDesc.of(INT, VCPU, LONG, INT, INT));
  }

  /** The code, CPU, RIP, member and whether it is CPL 3 are on the stack; pushes whether so. */
  void reaches() {
    b.invokevirtual(COMPILED, "reaches", MethodTypeDesc.of(BOOLEAN, VCPU, LONG, INT, BOOLEAN));
  }

  void leave() {
    b.invokevirtual(COMPILED, "leave", MethodTypeDesc.of(INT, VCPU, LONG, INT, INT));
  }

  /** A function of longs to a truth value. */
  void test(String name, int arguments) {
    b.invokestatic(STATUS, name, MethodTypeDesc.of(BOOLEAN, longs(arguments)));
  }

  /** CF and OF as an image, from {@code longs} longs and then {@code ints} ints. */
  void status(String name, int longCount, int intCount) {
    ClassDesc[] parameters = new ClassDesc[longCount + intCount];
    for (int i = 0; i < parameters.length; i++) {
      parameters[i] = i < longCount ? LONG : INT;
    }
    b.invokestatic(STATUS, name, MethodTypeDesc.of(INT, parameters));
  }

  private static ClassDesc[] longs(int count) {
    ClassDesc[] parameters = new ClassDesc[count];
    java.util.Arrays.fill(parameters, LONG);
    return parameters;
  }

  /** Sets the processor's flags; the flags and {@code arguments} longs are on the stack. */
  void setFlags(String name, int arguments) {
    b.invokevirtual(FLAGS, name, SETTERS[arguments]);
  }

  void setResult() {
    b.invokevirtual(FLAGS, "result", MethodTypeDesc.of(VOID, LONG, INT));
  }

  /** The flags and an image are on the stack. */
  void setStatus() {
    b.invokevirtual(FLAGS, "setStatus", MethodTypeDesc.of(VOID, INT));
  }

  void setCarryOverflow() {
    b.invokevirtual(FLAGS, "carryOverflow", MethodTypeDesc.of(VOID, INT));
  }

  void setCarry() {
    b.invokevirtual(FLAGS, "carry", MethodTypeDesc.of(VOID, BOOLEAN));
  }

  /** Carried flags are on the stack: CPU, kind and five longs. */
  void storeCarriedFlags() {
    b.invokestatic(CARRIED, "store", CARRIED_STORE);
  }

  /** The same with a condition; pushes whether it holds. */
  void carriedCondition() {
    b.invokestatic(CARRIED, "condition", CARRIED_CONDITION);
  }

  /** CPU, kind and three longs of carried flags are on the stack; pushes whether CF is set. */
  void carriedCarry() {
    b.invokestatic(CARRIED, "carry", CARRIED_CARRY);
  }

  void flagsCondition() {
    b.invokevirtual(FLAGS, "condition", MethodTypeDesc.of(BOOLEAN, INT));
  }

  void longFunction(Class<?> owner, String name, int arguments) {
    b.invokestatic(
        owner.describeConstable().orElseThrow(), name, MethodTypeDesc.of(LONG, longs(arguments)));
  }

  /** A function of a long to an int. */
  void intFunction(Class<?> owner, String name) {
    b.invokestatic(owner.describeConstable().orElseThrow(), name, MethodTypeDesc.of(INT, LONG));
  }

  /** Rotates the long or int on the stack, by the int above it. */
  void rotateLeft(int bytes) {
    if (bytes == 8) {
      b.invokestatic(ConstantDescs.CD_Long, "rotateLeft", MethodTypeDesc.of(LONG, LONG, INT));
    } else {
      b.invokestatic(ConstantDescs.CD_Integer, "rotateLeft", MethodTypeDesc.of(INT, INT, INT));
    }
  }

  /** SHLD or SHRD: destination, source and amount are on the stack; pushes the result. */
  void doubleShift(boolean left, int bytes) {
    String name = (left ? "shld" : "shrd") + 8 * bytes;
    b.invokestatic(COMPILED, name, MethodTypeDesc.of(LONG, LONG, LONG, INT));
  }

  void compareUnsigned() {
    b.invokestatic(ConstantDescs.CD_Long, "compareUnsigned", MethodTypeDesc.of(INT, LONG, LONG));
  }

  void compareUnsignedInts() {
    b.invokestatic(ConstantDescs.CD_Integer, "compareUnsigned", MethodTypeDesc.of(INT, INT, INT));
  }

  // ---- arithmetic ----------------------------------------------------------------------------

  /** Sign-extends the low {@code bytes} bytes of the long on the stack. */
  void signExtend(int bytes) {
    switch (bytes) {
      case 1 -> b.l2i().i2b().i2l();
      case 2 -> b.l2i().i2s().i2l();
      case 4 -> b.l2i().i2l();
      default -> {
        // all of it
      }
    }
  }

  /** Sign-extends the low {@code bytes} bytes of the int on the stack, at most four. */
  void signExtendInt(int bytes) {
    switch (bytes) {
      case 1 -> b.i2b();
      case 2 -> b.i2s();
      default -> {
        // all of it
      }
    }
  }

  /** Keeps the low {@code bytes} bytes of the long on the stack. */
  void zeroExtend(int bytes) {
    if (bytes < 8) {
      constant(-1L >>> 64 - 8 * bytes);
      b.land();
    }
  }

  Label newLabel() {
    return b.newLabel();
  }
}
