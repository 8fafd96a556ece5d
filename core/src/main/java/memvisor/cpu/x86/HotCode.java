package memvisor.cpu.x86;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a translator translates: a block that is executed often and, if it wants, the blocks of the
 * same page that follow it. Block 0 is the entry; positions in bytes are relative to its start.
 */
public final class HotCode {
  /** A member of the package, so that generated classes see what it sees. */
  public static final String PACKAGE = HotCode.class.getPackageName();

  private final List<Block> blocks = new ArrayList<>();

  /** Forms of the blocks asked for so far; translators ask often. */
  private final List<Lowered[]> lowered = new ArrayList<>();

  private final Block entry;
  private final @Nullable CompiledCode translation;

  HotCode(Block entry) {
    this(entry, null);
  }

  private HotCode(Block entry, @Nullable CompiledCode translation) {
    this.entry = entry;
    this.translation = translation;
    blocks.add(entry);
  }

  /** The blocks that {@code translation} was made of. */
  HotCode(CompiledCode translation) {
    this(translation.member(0), translation);
    for (int b = 1; b < translation.members(); b++) {
      blocks.add(translation.member(b));
    }
  }

  /** Adds successors of the entry, and theirs, while there are not more than the limits say. */
  public void grow(int maxBlocks, int maxInstructions) {
    int instructions = entry.ops.length;
    for (int b = 0; b < blocks.size(); b++) {
      for (Block next : blocks.get(b).successors()) {
        boolean fits =
            blocks.size() < maxBlocks && instructions + next.ops.length <= maxInstructions;
        if (fits && isWorthwhile(next)) {
          blocks.add(next);
          instructions += next.ops.length;
        }
      }
    }
  }

  /** Forgets the blocks from {@code count} on. */
  public void truncate(int count) {
    blocks.subList(count, blocks.size()).clear();
    lowered.subList(Math.min(count, lowered.size()), lowered.size()).clear();
  }

  private boolean isWorthwhile(Block next) {
    return !next.dropped
        && !next.crossesPage()
        && next.mode == entry.mode
        && next.hpa >>> 12 == entry.hpa >>> 12
        && next.heat >= entry.heat >>> 4
        && !blocks.contains(next);
  }

  /** Whether the code is 64-bit code that lies in one page; nothing else is translated. */
  public boolean isTranslatable() {
    return isTranslatable(entry);
  }

  static boolean isTranslatable(Block block) {
    return (block.mode & CodeMode.LONG) != 0 && !block.crossesPage();
  }

  /** Host physical address of the entry. */
  public long hpa() {
    return entry.hpa;
  }

  /** Executions of the entry by interpretation, since it was decoded or last translated. */
  public int interpretations() {
    return entry.heat;
  }

  /** What is executed instead of the blocks, if they are translated. */
  public Optional<CompiledCode> translation() {
    return Optional.ofNullable(translation);
  }

  /** Number of blocks. */
  public int blocks() {
    return blocks.size();
  }

  /** Number of instructions of a block. */
  public int instructions(int block) {
    return blocks.get(block).ops.length;
  }

  /** Where a block starts. */
  public int start(int block) {
    return (int) (blocks.get(block).hpa - entry.hpa);
  }

  /** Where the byte after a block is. */
  public int end(int block) {
    return start(block) + blocks.get(block).length;
  }

  /** Where the byte after an instruction is, relative to its block's start. */
  public int after(int block, int index) {
    MicroOp op = blocks.get(block).decoded.ops[index];
    return op.offset + op.length;
  }

  /** The block that starts {@code position} bytes from the entry, or -1. */
  public int blockAt(long position) {
    for (int b = 0; b < blocks.size(); b++) {
      if (start(b) == position) {
        return b;
      }
    }
    return -1;
  }

  /** Whether {@code position} is in the entry's page, wherever that is mapped. */
  public boolean isInPage(long position) {
    return entry.hpa >>> 12 == entry.hpa + position >>> 12;
  }

  /** What an instruction does. */
  public Lowered lowered(int block, int index) {
    while (lowered.size() <= block) {
      lowered.add(lower(blocks.get(lowered.size())));
    }
    return lowered.get(block)[index];
  }

  private static Lowered[] lower(Block block) {
    Lowered[] forms = new Lowered[block.ops.length];
    Arrays.setAll(forms, i -> Lowering.lower(block.decoded.ops[i]));
    return forms;
  }

  /** The bytes of an instruction. */
  public byte[] bytes(int block, int index) {
    return blocks.get(block).decoded.bytes(index);
  }

  /** The class of the operation, for listings. */
  public String name(int block, int index) {
    return blocks.get(block).decoded.ops[index].getClass().getSimpleName();
  }

  /**
   * Defines the class that was generated for this code, in this package, and executes it from now
   * on instead of the blocks. Other processors find it when they come to the same code.
   *
   * @param classFile of a class that extends {@link CompiledCode}
   * @param exits number of exits with a fixed target in the page
   * @param hot whether it replaces a translation that had run for long
   */
  public CompiledCode install(byte[] classFile, int exits, boolean hot) {
    int[] starts = new int[blocks.size()];
    Arrays.setAll(starts, this::start);
    List<DecodedCode> members = blocks.stream().map(block -> block.decoded).toList();
    TranslatedClass translated = TranslatedClass.define(classFile, members, starts, exits, hot);
    entry.decoded.publish(translated);
    return CompiledCode.bind(translated, blocks);
  }
}
