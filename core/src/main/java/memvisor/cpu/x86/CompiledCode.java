package memvisor.cpu.x86;

import java.util.Arrays;
import java.util.List;
import memvisor.memory.Hva;
import org.jspecify.annotations.Nullable;

/**
 * The translation of one block, or of several, for one processor. Generated classes extend this and
 * override {@link #run}; what they need off their hot path is here. An instance holds what one
 * processor knows: its blocks, where they lead, whether they were dropped. The class and its {@link
 * TranslatedClass} serve every processor that has the same code.
 *
 * <p>A translation is executed only where at least the entry block fits into the budget. It tests
 * {@link Vcpu#translatedLimit} before every further block, so that a run ends at the same block
 * boundary at which interpretation would end it.
 */
public abstract class CompiledCode {
  /** {@link #run} left without a known successor; RIP says where to. */
  static final int LEFT = -1;

  /** {@link #run} left with a fault pending. */
  static final int FAULTED = -2;

  /** {@link #run} left after an operation that may have changed the mode. */
  static final int MODE = -3;

  /** As exit kind beside those of {@link MicroOp}: a store faulted, or overwrote its own block. */
  static final int STORE = 6;

  /** Another exit kind: the operation was not executed, which is left to its object. */
  static final int RARE = 7;

  /** As {@link Vcpu#translatedLimit}: execute nothing, only count for the JVM's sake. */
  static final int PRIMED = -1;

  /** The generated code answers an exit as {@code operation << EXIT_SHIFT | kind}. */
  static final int EXIT_SHIFT = 4;

  /** One in so many runs is special. */
  private static final int SPECIAL_MASK = 31;

  /** No frame's HPA. */
  private static final long UNBOUND = Long.MIN_VALUE;

  /** Bounds what comparing the code of other pages costs. */
  private static final int MAX_FAILURES = 8;

  private TranslatedClass translated = TranslatedClass.NOTHING;

  /** Null where the block's page is not bound yet. */
  private @Nullable Block[] blocks = {};

  /** Of each block: its frame, as an HPA, once its page is bound. */
  private long[] frames = {};

  /** How often other code than the translated was found in one of its pages. */
  private int failures;

  /** Successors in the page, by exit number. */
  private @Nullable Block[] links = {};

  private long runs;

  private boolean adopted;
  private boolean hot;

  /** Instructions retired by runs. */
  long retired;

  /** It was offered once more, or is what came of that. */
  private boolean offered;

  /** A block of it was overwritten or it was evicted: it may not be entered again. */
  private boolean dropped;

  /** Instructions of the entry block. */
  int entryLength;

  CompiledCode() {}

  /** Stands in {@link Vcpu#translation} before anything was translated. */
  static final CompiledCode NOTHING =
      new CompiledCode() {
        @Override
        int run(Vcpu c) {
          throw new IllegalStateException("no translation");
        }
      };

  /** Has a class executed instead of the blocks of a processor, which hold the code it is for. */
  static CompiledCode bind(TranslatedClass translated, List<@Nullable Block> members) {
    CompiledCode code = translated.instantiate();
    code.translated = translated;
    code.blocks = members.toArray(new @Nullable Block[0]);
    code.frames = new long[members.size()];
    Arrays.fill(code.frames, UNBOUND);
    code.links = new @Nullable Block[translated.exits];
    Block entry = code.entry();
    code.entryLength = entry.ops.length;
    code.offered = translated.hot;
    code.hot = translated.hot;
    CompiledCode narrower = entry.code;
    if (narrower != null) {
      narrower.drop();
    }
    for (Block member : code.blocks) {
      if (member != null) {
        member.contain(code);
      }
    }
    entry.code = code;
    return code;
  }

  /**
   * Whether a member in another page may be entered at {@code rip}: the page is mapped, as far as
   * fetches know, to the frame that holds the code.
   */
  final boolean reaches(Vcpu c, long rip, int member, boolean user) {
    return c.jumps.page(rip, user) == (frames[member] | rip & 0xFFF)
        || c.interpreter.reach(this, rip, member);
  }

  /** Whether the page of a member is bound to a frame. */
  final boolean isBound(int member) {
    return frames[member] != UNBOUND;
  }

  /** Whether a member's page is bound to {@code frame}. */
  final boolean isBoundTo(int member, long frame) {
    return frames[member] == frame;
  }

  /** Whether it is worth comparing the code in a frame with a member that is not bound. */
  final boolean mayBind() {
    return failures < MAX_FAILURES && !dropped;
  }

  /** A page was mapped to other code. */
  final void bindingFailed() {
    failures++;
  }

  /** The member's page is in {@code frame}, where {@code block} holds its code. */
  final void bind(int member, Block block, long frame) {
    blocks[member] = block;
    frames[member] = frame;
    block.contain(this);
  }

  /**
   * Executes from {@link Vcpu#rip}; leaves RIP, registers and count exact. Answers an exit number
   * with a fixed target in the page, or one of the negative constants above.
   */
  abstract int run(Vcpu c);

  /** Makes sure that this is never entered again; the blocks are interpreted from now on. */
  public final void drop() {
    if (!dropped) {
      dropped = true;
      for (Block block : blocks) {
        if (block != null) {
          block.forget(this);
        }
      }
    }
  }

  /** Whether it may no longer be entered. */
  public final boolean isDropped() {
    return dropped;
  }

  /** Size of the class file in bytes. */
  public final int sizeBytes() {
    return translated.sizeBytes;
  }

  /** Instructions in it. */
  public final int instructions() {
    return translated.ops.length;
  }

  /** How often it was entered. */
  public final long runs() {
    return runs;
  }

  /** Whether its class was found in the library: made for another processor, or earlier. */
  public final boolean isAdopted() {
    return adopted;
  }

  /** Whether it replaces a translation that had run for long. */
  public final boolean isHot() {
    return hot;
  }

  final TranslatedClass translated() {
    return translated;
  }

  final Block entry() {
    Block entry = blocks[0];
    if (entry == null) {
      throw new IllegalStateException("no entry: " + translated.members() + " members");
    }
    return entry;
  }

  /** Whether the code of an operation that is being executed was overwritten. */
  private boolean isOverwritten(int number) {
    Block block = blocks[translated.memberOf[number]];
    return block == null || block.dropped;
  }

  /** Counts a run; true now and then, for {@link #takeHotTurn}. */
  final boolean nextRunIsSpecial() {
    return (++runs & SPECIAL_MASK) == 0;
  }

  /** Whether it has run for so long that it is worth a better translation; true once. */
  final boolean takeHotTurn(long threshold) {
    if (retired < threshold || offered || dropped) {
      return false;
    }
    offered = true;
    return true;
  }

  /** The class was found, not made. */
  final void adopted() {
    adopted = true;
  }

  final @Nullable Block link(int exit) {
    Block block = links[exit];
    return block == null || block.dropped ? null : block;
  }

  final void link(int exit, Block to) {
    links[exit] = to;
  }

  // ---- called by generated code, off the hot path ----------------------------------------------

  /** Executes an operation that has no form of its own; registers and flags are in {@code c}. */
  final int opaque(Vcpu c, long base, int retired, int number) {
    MicroOp op = translated.ops[number];
    c.gpr[Vcpu.BLOCK] = base + translated.offsetOf[number] - op.offset;
    c.position = retired + translated.indexOf[number];
    int result = op.execute(c);
    endSoonIfAsked(c);
    return result == MicroOp.NEXT && isOverwritten(number) ? MicroOp.STALE : result;
  }

  // Loads and stores are methods too large for C1 to inline, which leaves its code small and calls
  // what C2 compiled; C2 inlines them into code that is hot. Generated code tests Vcpu.fault after
  // a load, and leaves where a store answers that it must.

  /** Loads one byte, zero-extended. */
  static long load8(Vcpu c, long gva, int retired, int number) {
    if (TranslationCache.isReadable(c.table, gva, 0)) {
      return Hva.readByte(TranslationCache.readableHva(c.table, gva));
    }
    return c.translation.load(c, gva, 1, retired, number);
  }

  /** Loads two bytes, zero-extended. */
  static long load16(Vcpu c, long gva, int retired, int number) {
    if (TranslationCache.isReadable(c.table, gva, 1)) {
      return Hva.readShort(TranslationCache.readableHva(c.table, gva));
    }
    return c.translation.load(c, gva, 2, retired, number);
  }

  /** Loads four bytes, zero-extended. */
  static long load32(Vcpu c, long gva, int retired, int number) {
    if (TranslationCache.isReadable(c.table, gva, 3)) {
      return Hva.readInt(TranslationCache.readableHva(c.table, gva)) & 0xFFFF_FFFFL;
    }
    return c.translation.load(c, gva, 4, retired, number);
  }

  /** Loads eight bytes. */
  static long load64(Vcpu c, long gva, int retired, int number) {
    if (TranslationCache.isReadable(c.table, gva, 7)) {
      return Hva.readLong(TranslationCache.readableHva(c.table, gva));
    }
    return c.translation.load(c, gva, 8, retired, number);
  }

  /** Stores one byte; not zero if the code must be left. */
  static int store8(Vcpu c, long gva, long value, int retired, int number) {
    if (TranslationCache.isWritable(c.table, gva, 0)) {
      Hva.writeByte(TranslationCache.writableHva(c.table, gva), (int) value);
      return 0;
    }
    return c.translation.store(c, gva, value, 1, retired, number);
  }

  /** Stores two bytes; not zero if the code must be left. */
  static int store16(Vcpu c, long gva, long value, int retired, int number) {
    if (TranslationCache.isWritable(c.table, gva, 1)) {
      Hva.writeShort(TranslationCache.writableHva(c.table, gva), (int) value);
      return 0;
    }
    return c.translation.store(c, gva, value, 2, retired, number);
  }

  /** Stores four bytes; not zero if the code must be left. */
  static int store32(Vcpu c, long gva, long value, int retired, int number) {
    if (TranslationCache.isWritable(c.table, gva, 3)) {
      Hva.writeInt(TranslationCache.writableHva(c.table, gva), (int) value);
      return 0;
    }
    return c.translation.store(c, gva, value, 4, retired, number);
  }

  /** Stores eight bytes; not zero if the code must be left. */
  static int store64(Vcpu c, long gva, long value, int retired, int number) {
    if (TranslationCache.isWritable(c.table, gva, 7)) {
      Hva.writeLong(TranslationCache.writableHva(c.table, gva), value);
      return 0;
    }
    return c.translation.store(c, gva, value, 8, retired, number);
  }

  /** Stores 16 bytes, or faults having stored none; not zero if the code must be left. */
  static int store128(Vcpu c, long gva, long low, long high, int retired, int number) {
    if (TranslationCache.isWritable(c.table, gva, 15)) {
      Hva.writeLong(TranslationCache.writableHva(c.table, gva), low);
      Hva.writeLong(TranslationCache.writableHva(c.table, gva) + 8, high);
      return 0;
    }
    return c.translation.slowStore128(c, gva, low, high, retired, number);
  }

  /** The load of a read-modify-write; zero-extended. */
  static long loadForWrite(Vcpu c, long gva, int bytes, int retired, int number) {
    if (TranslationCache.isWritable(c.table, gva, bytes - 1)) {
      return Vcpu.readHva(TranslationCache.writableHva(c.table, gva), bytes);
    }
    return c.translation.slowLoadForWrite(c, gva, bytes, retired, number);
  }

  private long load(Vcpu c, long gva, int bytes, int retired, int number) {
    c.position = retired + translated.indexOf[number];
    long value = c.load(gva, bytes);
    endSoonIfAsked(c);
    return value;
  }

  private long slowLoadForWrite(Vcpu c, long gva, int bytes, int retired, int number) {
    c.position = retired + translated.indexOf[number];
    long value = c.loadForWrite(gva, bytes);
    endSoonIfAsked(c);
    return value;
  }

  private int store(Vcpu c, long gva, long value, int bytes, int retired, int number) {
    c.position = retired + translated.indexOf[number];
    c.store(gva, bytes, value);
    return afterStore(c, number);
  }

  private int slowStore128(Vcpu c, long gva, long low, long high, int retired, int number) {
    c.position = retired + translated.indexOf[number];
    c.store128(gva, low, high);
    return afterStore(c, number);
  }

  private int afterStore(Vcpu c, int number) {
    endSoonIfAsked(c);
    return c.fault != 0 ? MicroOp.FAULT : isOverwritten(number) ? MicroOp.STALE : 0;
  }

  private void endSoonIfAsked(Vcpu c) {
    if (c.attention || dropped) {
      c.translatedLimit = 0;
    }
  }

  /** Leaves at an operation instead of at the end of a block; registers are in {@code c}. */
  final int leave(Vcpu c, long base, int retired, int exit) {
    int number = exit >>> EXIT_SHIFT;
    int kind = exit & (1 << EXIT_SHIFT) - 1;
    long rip = base + translated.offsetOf[number];
    int before = retired + translated.indexOf[number];
    if (kind == RARE) {
      MicroOp op = translated.ops[number];
      c.gpr[Vcpu.BLOCK] = rip - op.offset;
      c.position = before;
      kind = op.execute(c);
    }
    c.position = 0;
    if (kind == MicroOp.FAULT || kind == STORE && c.fault != 0) {
      c.instructions += before;
      c.rip = rip;
      return FAULTED;
    }
    c.instructions += before + 1;
    if (kind == MicroOp.REPEAT) {
      c.rip = rip;
      return LEFT;
    }
    if (kind == MicroOp.BRANCH) {
      return MODE;
    }
    c.rip = rip + translated.ops[number].length;
    return kind == MicroOp.END ? MODE : LEFT;
  }

  // ---- atomic operations -----------------------------------------------------------------------

  /** The host address of aligned plain memory that may be written, else 0; no fault is pending. */
  static long lockable(Vcpu c, long gva, int bytes) {
    boolean hit = TranslationCache.isWritable(c.table, gva, 0) && (gva & bytes - 1) == 0;
    return hit ? TranslationCache.writableHva(c.table, gva) : 0;
  }

  private static long read(long hva, int bytes) {
    int unused = 64 - 8 * bytes;
    return Vcpu.readHva(hva, bytes) << unused >> unused;
  }

  /** Combines memory with {@code source} as {@link AluOps#compute}; answers what was there. */
  static long update(long hva, int bytes, int operation, long source, long carry) {
    while (true) {
      long old = read(hva, bytes);
      long result = AluOps.compute(operation, old, source, (int) carry);
      if (AtomicOps.replace(hva, bytes, old, result)) {
        return old;
      }
    }
  }

  /** Replaces memory; answers what was there. */
  static long exchange(long hva, int bytes, long value) {
    while (true) {
      long old = read(hva, bytes);
      if (AtomicOps.replace(hva, bytes, old, value)) {
        return old;
      }
    }
  }

  /** Replaces memory if it is as expected; answers what was there. All sign-extended. */
  static long compareExchange(long hva, int bytes, long expected, long value) {
    while (true) {
      long old = read(hva, bytes);
      if (old != expected || AtomicOps.replace(hva, bytes, old, value)) {
        return old;
      }
    }
  }

  // ---- double shifts; operands and results sign-extended ---------------------------------------

  static long shld64(long destination, long source, int amount) {
    return amount == 0 ? destination : destination << amount | source >>> 64 - amount;
  }

  static long shrd64(long destination, long source, int amount) {
    return amount == 0 ? destination : destination >>> amount | source << 64 - amount;
  }

  static long shld32(long destination, long source, int amount) {
    return amount == 0 ? destination : (int) destination << amount | (int) source >>> 32 - amount;
  }

  static long shrd32(long destination, long source, int amount) {
    return amount == 0 ? destination : (int) destination >>> amount | (int) source << 32 - amount;
  }
}
