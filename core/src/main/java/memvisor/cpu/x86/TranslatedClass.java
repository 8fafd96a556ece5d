package memvisor.cpu.x86;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.List;

/**
 * A class that was generated for some code, with what its instances have in common. It knows
 * neither addresses nor processors: whoever has the same code in a page of his binds it there (see
 * {@link CompiledCode}). Immutable.
 */
final class TranslatedClass {
  private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();
  private static final MethodType CONSTRUCTOR = MethodType.methodType(void.class);
  private static final MethodType INSTANCE = MethodType.methodType(CompiledCode.class);

  /** What an instance of no class is bound to. */
  static final TranslatedClass NOTHING =
      new TranslatedClass(
          new DecodedCode[0],
          new int[0],
          0,
          0,
          false,
          MethodHandles.constant(CompiledCode.class, null));

  private final DecodedCode[] members;

  /** Where each member starts, in bytes from the first. */
  private final int[] starts;

  /** Of each operation: itself, its member, its number in it, where it begins from the entry. */
  final MicroOp[] ops;

  final int[] memberOf;
  final int[] indexOf;
  final int[] offsetOf;

  /** Number of exits with a fixed target in the page. */
  final int exits;

  /** Size of the class file. */
  final int sizeBytes;

  /** It was generated for code that had run for long. */
  final boolean hot;

  private final MethodHandle constructor;

  private TranslatedClass(
      DecodedCode[] members,
      int[] starts,
      int exits,
      int sizeBytes,
      boolean hot,
      MethodHandle constructor) {
    this.hot = hot;
    this.members = members;
    this.starts = starts;
    this.exits = exits;
    this.sizeBytes = sizeBytes;
    this.constructor = constructor;
    int count = 0;
    for (DecodedCode member : members) {
      count += member.ops.length;
    }
    ops = new MicroOp[count];
    memberOf = new int[count];
    indexOf = new int[count];
    offsetOf = new int[count];
    int n = 0;
    for (int m = 0; m < members.length; m++) {
      for (int i = 0; i < members[m].ops.length; i++) {
        MicroOp op = members[m].ops[i];
        ops[n] = op;
        memberOf[n] = m;
        indexOf[n] = i;
        offsetOf[n] = starts[m] + op.offset;
        n++;
      }
    }
  }

  /**
   * Defines a class that extends {@link CompiledCode}, hidden, in this package; it is unloaded when
   * nothing refers to it any more.
   */
  static TranslatedClass define(
      byte[] classFile, List<DecodedCode> members, int[] starts, int exits, boolean hot) {
    try {
      MethodHandles.Lookup generated = LOOKUP.defineHiddenClass(classFile, false);
      MethodHandle constructor =
          generated.findConstructor(generated.lookupClass(), CONSTRUCTOR).asType(INSTANCE);
      return new TranslatedClass(
          members.toArray(DecodedCode[]::new),
          starts.clone(),
          exits,
          classFile.length,
          hot,
          constructor);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("cannot define generated class", e);
    }
  }

  int members() {
    return members.length;
  }

  DecodedCode member(int number) {
    return members[number];
  }

  int start(int number) {
    return starts[number];
  }

  /** The page of a member, counted in linear addresses from the first member's. */
  int page(int number) {
    return page(members[0], starts[number]);
  }

  /** The page so many bytes from the start of {@code entry}, counted from its own. */
  static int page(DecodedCode entry, long position) {
    return (int) (entry.pageOffset + position >> 12);
  }

  /** An instance that is bound to nothing yet. */
  CompiledCode instantiate() {
    try {
      return (CompiledCode) constructor.invokeExact();
    } catch (Error | RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("cannot instantiate generated class", e);
    }
  }
}
