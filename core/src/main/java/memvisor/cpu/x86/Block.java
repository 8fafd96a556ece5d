package memvisor.cpu.x86;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@link DecodedCode} at one host physical address, as one processor executes it.
 *
 * <p>A block knows no virtual address; it may run under any that maps its frame. When its bytes are
 * overwritten every operation is replaced by {@link Stale}, so that a running block stops after the
 * current instruction and whoever still holds the block finds out by executing it.
 */
final class Block {
  /** More instructions than this do not gain anything and make exact budgets dearer. */
  static final int MAX_INSTRUCTIONS = 48;

  /** Bounds the search for blocks that overlap a write. */
  static final int MAX_BYTES = 256;

  final long hpa;

  /** What its bytes decode to. */
  final DecodedCode decoded;

  /** The mode bits it was decoded under; see {@link CodeMode}. */
  final int mode;

  /** The operations of {@link #decoded}, in an array of its own. */
  final MicroOp[] ops;

  /** Bytes covered. */
  final int length;

  /** HPA of the next page where the block's only instruction crosses into it, else -1. */
  final long secondHpa;

  /** The last operation is a near transfer: it changes RIP and nothing else that matters here. */
  final boolean near;

  /** Next block that starts in the same granule of the frame. */
  @Nullable Block nextInGranule;

  /** Next block that ends in the same frame, having started in another. */
  @Nullable Block nextCrossing;

  boolean dropped;

  /** Executions by interpretation, until the block is offered for translation. */
  int heat;

  /** The translation to execute instead. */
  @Nullable CompiledCode code;

  /** Translations that this block is part of. */
  private final List<CompiledCode> translations = new ArrayList<>(0);

  /** Successors in the same page, by distance from this block's start; 0 is none. */
  private long delta0;

  private long delta1;
  private @Nullable Block link0;
  private @Nullable Block link1;

  Block(long hpa, DecodedCode decoded, long secondHpa) {
    this.hpa = hpa;
    this.decoded = decoded;
    this.mode = decoded.mode;
    this.ops = decoded.ops.clone();
    this.length = decoded.length;
    this.secondHpa = secondHpa;
    this.near = ops[ops.length - 1].isNearTransfer();
  }

  boolean crossesPage() {
    return secondHpa >= 0;
  }

  /** Whether one of the instructions begins at {@code address}. */
  boolean beginsInstruction(long address) {
    for (MicroOp op : decoded.ops) {
      if (hpa + op.offset == address) {
        return true;
      }
    }
    return false;
  }

  /** Of two blocks with an instruction: that which begins with it, else which is translated. */
  boolean isShownRatherThan(Block other, long address) {
    boolean begins = hpa == address;
    if (begins != (other.hpa == address)) {
      return begins;
    }
    return code != null && other.code == null;
  }

  /** The known successor {@code delta} bytes from this block's start. */
  @Nullable Block successor(long delta) {
    if (delta == delta0) {
      return link0;
    }
    return delta == delta1 ? link1 : null;
  }

  /**
   * Remembers a successor in the same page: wherever the page is mapped, the distance leads there.
   */
  void link(long delta, Block to) {
    if (link0 == null || delta == delta0) {
      delta0 = delta;
      link0 = to;
    } else {
      delta1 = delta;
      link1 = to;
    }
  }

  /** The successors known so far. */
  List<Block> successors() {
    List<Block> known = new ArrayList<>(2);
    if (link0 != null) {
      known.add(link0);
    }
    if (link1 != null) {
      known.add(link1);
    }
    return known;
  }

  /** This block is part of a translation, which goes when the block goes. */
  void contain(CompiledCode translation) {
    translations.add(translation);
  }

  /** A translation was dropped. */
  void forget(CompiledCode translation) {
    translations.remove(translation);
    if (translation.equals(code)) {
      code = null;
      heat = 0;
    }
  }

  void drop() {
    dropped = true;
    link0 = null;
    link1 = null;
    while (!translations.isEmpty()) {
      translations.getLast().drop();
    }
    for (int i = 0; i < ops.length; i++) {
      ops[i] = Stale.AT[ops[i].offset];
    }
  }

  /** Stands where an operation was whose code is no longer there. */
  private static final class Stale extends MicroOp {
    /** By offset. */
    private static final Stale[] AT = new Stale[MAX_BYTES];

    static {
      Arrays.setAll(AT, Stale::new);
    }

    private Stale(int offset) {
      super(offset, 0);
    }

    @Override
    int execute(Vcpu c) {
      return STALE;
    }
  }
}
