package memvisor.cpu.x86;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a translator translates: a block that is executed often and, if it wants, the blocks that
 * follow it, in its page and where jumps and calls to other pages lead. Block 0 is the entry;
 * positions are linear addresses relative to its start, in bytes.
 */
public final class HotCode {
  /** A member of the package, so that generated classes see what it sees. */
  public static final String PACKAGE = HotCode.class.getPackageName();

  /** So far from the entry nothing is added, so that positions stay ints. */
  private static final long MAX_DISTANCE = 1L << 30;

  /** What is known of the code around the entry. */
  interface Surroundings {
    /** No code but what the blocks themselves know. */
    Surroundings UNKNOWN = position -> null;

    /** The block that starts so many bytes from the entry, if it is known to be there now. */
    @Nullable Block at(int position);
  }

  /** Code, where it starts and, unless it is in a page that is not bound, whose it is. */
  private record Member(DecodedCode decoded, int start, @Nullable Block block) {}

  private final List<Member> members = new ArrayList<>();
  private final Surroundings surroundings;

  /** Forms of the blocks asked for so far; translators ask often. */
  private final List<Lowered[]> lowered = new ArrayList<>();

  private final Block entry;
  private final @Nullable CompiledCode translation;

  HotCode(Block entry) {
    this(entry, Surroundings.UNKNOWN);
  }

  HotCode(Block entry, Surroundings surroundings) {
    this(entry, surroundings, null);
  }

  private HotCode(Block entry, Surroundings surroundings, @Nullable CompiledCode translation) {
    this.entry = entry;
    this.surroundings = surroundings;
    this.translation = translation;
    members.add(new Member(entry.decoded, 0, entry));
  }

  /** The blocks that {@code translation} was made of. */
  HotCode(CompiledCode translation) {
    this(translation.entry(), Surroundings.UNKNOWN, translation);
    TranslatedClass translated = translation.translated();
    for (int m = 1; m < translated.members(); m++) {
      members.add(new Member(translated.member(m), translated.start(m), null));
    }
  }

  /**
   * Adds successors of the entry, and theirs, while there are not more than the limits say.
   *
   * @param far whether also where jumps and calls to other pages lead, and what calls return to
   */
  public void grow(int maxBlocks, int maxInstructions, boolean far) {
    int instructions = entry.ops.length;
    for (int m = 0; m < members.size(); m++) {
      for (Member next : followers(m, far)) {
        int length = next.decoded.ops.length;
        boolean fits = members.size() < maxBlocks && instructions + length <= maxInstructions;
        if (fits && isWorthwhile(next)) {
          members.add(next);
          instructions += length;
        }
      }
    }
  }

  /** Where control goes after a member, as far as that is known. */
  private List<Member> followers(int number, boolean far) {
    Member member = members.get(number);
    List<Member> found = new ArrayList<>(4);
    Block block = member.block;
    if (block == null) {
      return found;
    }
    for (Block next : block.successors()) {
      found.add(new Member(next.decoded, member.start + (int) (next.hpa - block.hpa), next));
    }
    if (far) {
      addFollowersElsewhere(found, number);
    }
    return found;
  }

  /** Adds where jumps and calls to other pages lead, and what a call returns to. */
  private void addFollowersElsewhere(List<Member> found, int number) {
    Member member = members.get(number);
    switch (lowered(number, member.decoded.ops.length - 1)) {
      case Lowered.Jump o -> addFar(found, member, o.target());
      case Lowered.JumpIf o -> {
        addFar(found, member, o.target());
        addFar(found, member, member.decoded.length);
      }
      case Lowered.Call o -> {
        addFar(found, member, o.target());
        addAt(found, member.start + member.decoded.length);
      }
      default -> {
        // it ends in its page, or where only execution knows
      }
    }
  }

  /** Adds what is {@code target} bytes from a member's start, if that is another page. */
  private void addFar(List<Member> found, Member member, long target) {
    long position = member.start + target;
    if (page(position) != page(member.start) && Math.abs(position) < MAX_DISTANCE) {
      addAt(found, (int) position);
    }
  }

  private void addAt(List<Member> found, int position) {
    Block block = surroundings.at(position);
    if (block != null) {
      found.add(new Member(block.decoded, position, block));
    }
  }

  /** Forgets the blocks from {@code count} on. */
  public void truncate(int count) {
    members.subList(count, members.size()).clear();
    lowered.subList(Math.min(count, lowered.size()), lowered.size()).clear();
  }

  private boolean isWorthwhile(Member next) {
    Block block = next.block;
    return block != null
        && !block.dropped
        && !block.crossesPage()
        && block.mode == entry.mode
        && block.heat >= entry.heat >>> 4
        && blockAt(next.start) < 0
        && isWhereItsPageIs(next.start, block);
  }

  /** Whether the members so far are in the same frame, where they are in the same page. */
  private boolean isWhereItsPageIs(int start, Block block) {
    for (Member member : members) {
      Block known = member.block;
      if (known != null
          && page(member.start) == page(start)
          && known.hpa >>> 12 != block.hpa >>> 12) {
        return false;
      }
    }
    return true;
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
    return members.size();
  }

  /** Number of instructions of a block. */
  public int instructions(int block) {
    return members.get(block).decoded.ops.length;
  }

  /** Where a block starts. */
  public int start(int block) {
    return members.get(block).start;
  }

  /** Where the byte after a block is. */
  public int end(int block) {
    return start(block) + members.get(block).decoded.length;
  }

  /** Where the byte after an instruction is, relative to its block's start. */
  public int after(int block, int index) {
    MicroOp op = members.get(block).decoded.ops[index];
    return op.offset + op.length;
  }

  /** The block that starts {@code position} bytes from the entry, or -1. */
  public int blockAt(long position) {
    for (int b = 0; b < members.size(); b++) {
      if (start(b) == position) {
        return b;
      }
    }
    return -1;
  }

  /** Whether {@code position} is in the entry's page, wherever that is mapped. */
  public boolean isInPage(long position) {
    return page(position) == 0;
  }

  /** The page of a position, counted in linear addresses from the entry's page. */
  public int page(long position) {
    return TranslatedClass.page(entry.decoded, position);
  }

  /** Whether this is code of CPL 3. */
  public boolean isUser() {
    return (entry.mode >>> CodeMode.CPL_SHIFT & 3) == 3;
  }

  /** What an instruction does. */
  public Lowered lowered(int block, int index) {
    while (lowered.size() <= block) {
      lowered.add(lower(members.get(lowered.size()).decoded));
    }
    return lowered.get(block)[index];
  }

  private static Lowered[] lower(DecodedCode decoded) {
    Lowered[] forms = new Lowered[decoded.ops.length];
    Arrays.setAll(forms, i -> Lowering.lower(decoded.ops[i]));
    return forms;
  }

  /** The bytes of an instruction. */
  public byte[] bytes(int block, int index) {
    return members.get(block).decoded.bytes(index);
  }

  /** The class of the operation, for listings. */
  public String name(int block, int index) {
    return members.get(block).decoded.ops[index].getClass().getSimpleName();
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
    int[] starts = new int[members.size()];
    Arrays.setAll(starts, this::start);
    List<DecodedCode> codes = members.stream().map(Member::decoded).toList();
    TranslatedClass translated = TranslatedClass.define(classFile, codes, starts, exits, hot);
    entry.decoded.publish(translated);
    List<@Nullable Block> blocks = new ArrayList<>();
    for (Member member : members) {
      blocks.add(isInPage(member.start) ? member.block : null);
    }
    return CompiledCode.bind(translated, blocks);
  }
}
