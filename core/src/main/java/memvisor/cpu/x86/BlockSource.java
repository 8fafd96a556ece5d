package memvisor.cpu.x86;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import memvisor.memory.Hva;
import org.jspecify.annotations.Nullable;

/**
 * Makes the blocks of one processor: from what the library knows of their bytes, else by decoding
 * them; and binds the translations that the library has to them.
 */
final class BlockSource {
  private static final int PAGE = 4096;

  /** What a block may be made of: the operations, and an instruction that the page's end cuts. */
  private static final int MAX_READ = Block.MAX_BYTES + MicroOp.MAX_LENGTH;

  private final Vcpu c;
  private final Instruction instruction = new Instruction();
  private final byte[] bytes = new byte[MAX_READ];

  BlockSource(Vcpu c) {
    this.c = c;
  }

  /** The block at {@code hpa}; null if its first instruction goes on in the next page. */
  @Nullable Block blockAt(long hpa, int mode) {
    DecodedCode decoded = decodedAt(hpa, mode);
    return decoded == null ? null : insert(new Block(hpa, decoded, -1));
  }

  /** What the bytes at {@code hpa} decode to; null if that goes on in the next page. */
  @Nullable DecodedCode decodedAt(long hpa, int mode) {
    int pageOffset = (int) hpa & PAGE - 1;
    int available = Math.min(MAX_READ, PAGE - pageOffset);
    Hva.read(c.machine.hva(hpa), bytes, 0, available);
    DecodedCode decoded = c.library().find(bytes, available, mode, pageOffset);
    if (decoded == null) {
      decoded = decode(available, mode, pageOffset);
      if (decoded == null) {
        return null;
      }
      decoded = c.library().add(decoded, bytes, available);
    }
    return decoded;
  }

  private @Nullable DecodedCode decode(int available, int mode, int pageOffset) {
    MicroOp[] ops = new MicroOp[Block.MAX_INSTRUCTIONS];
    CodeMode.describe(mode, instruction);
    int count = 0;
    int offset = 0;
    int read = 0;
    while (count < ops.length && offset < Block.MAX_BYTES - MicroOp.MAX_LENGTH) {
      MicroOp op = decodeAt(offset, Math.min(MicroOp.MAX_LENGTH, available - offset));
      read = offset + instruction.length;
      if (op == null) {
        break;
      }
      ops[count++] = op;
      offset += op.length;
      if (op.endsBlock()) {
        break;
      }
    }
    return count == 0
        ? null
        : new DecodedCode(
            mode,
            pageOffset,
            Arrays.copyOf(ops, count),
            offset,
            Arrays.copyOf(bytes, Math.max(read, offset)));
  }

  private @Nullable MicroOp decodeAt(int offset, int available) {
    System.arraycopy(bytes, offset, instruction.bytes, 0, available);
    instruction.offset = offset;
    instruction.available = available;
    return Decoder.decode(instruction);
  }

  /** The block of one instruction that begins at {@code hpa} and goes on at {@code second}. */
  Block crossingBlock(long hpa, long second, int mode) {
    int pageOffset = (int) hpa & PAGE - 1;
    int here = PAGE - pageOffset;
    Hva.read(c.machine.hva(hpa), bytes, 0, here);
    Hva.read(c.machine.hva(second), bytes, here, MicroOp.MAX_LENGTH - here);
    CodeMode.describe(mode, instruction);
    MicroOp op = decodeAt(0, MicroOp.MAX_LENGTH);
    if (op == null) {
      throw new IllegalStateException("undecodable with all bytes: rip=0x%x".formatted(c.rip));
    }
    byte[] read = Arrays.copyOf(bytes, Math.max(op.length, instruction.length));
    return insert(
        new Block(
            hpa, new DecodedCode(mode, pageOffset, new MicroOp[] {op}, op.length, read), second));
  }

  private Block insert(Block block) {
    if (c.code.insert(block)) {
      c.forbidCachedWrites(block.hpa);
      if (block.crossesPage()) {
        c.forbidCachedWrites(block.secondHpa);
      }
    }
    return block;
  }

  // ---- translations of the library -------------------------------------------------------------

  /** Binds what was generated for the code of a block, here or for another processor. */
  @Nullable CompiledCode adopt(Block block) {
    CompiledCode code = adoptHot(block);
    return code == null ? adopt(block, block.decoded.warm()) : code;
  }

  /** As {@link #adopt}, if that was generated for code that had run for long. */
  @Nullable CompiledCode adoptHot(Block block) {
    return adopt(block, block.decoded.hot());
  }

  /** Binds a class if the other blocks of its page are there as well. */
  private @Nullable CompiledCode adopt(Block entry, @Nullable TranslatedClass translated) {
    if (translated == null) {
      return null;
    }
    List<@Nullable Block> members = new ArrayList<>(translated.members());
    members.add(entry);
    for (int m = 1; m < translated.members(); m++) {
      Block member = null;
      if (translated.page(m) == 0) {
        member = memberAt(entry.hpa + translated.start(m), entry.mode);
        if (member == null || !member.decoded.isSameAs(translated.member(m))) {
          return null;
        }
      }
      members.add(member);
    }
    return bind(translated, members);
  }

  /**
   * Whether a member of another page is in {@code frame}, where that page is mapped now. The first
   * frame that holds the code of the page is the one that counts from then on.
   */
  boolean isIn(CompiledCode code, int member, long frame) {
    if (code.isBound(member)) {
      return code.isBoundTo(member, frame);
    }
    if (!code.mayBind()) {
      return false;
    }
    List<@Nullable Block> found = membersIn(code.translated(), member, frame, code.entry().mode);
    if (found.isEmpty()) {
      code.bindingFailed();
      return false;
    }
    for (int m = 0; m < found.size(); m++) {
      Block block = found.get(m);
      if (block != null) {
        code.bind(m, block, frame);
      }
    }
    return true;
  }

  /** The members in the page of one of them, if all are in {@code frame}; else nothing. */
  private List<@Nullable Block> membersIn(
      TranslatedClass translated, int member, long frame, int mode) {
    List<@Nullable Block> found = new ArrayList<>(translated.members());
    for (int m = 0; m < translated.members(); m++) {
      Block block = null;
      if (translated.page(m) == translated.page(member)) {
        DecodedCode wanted = translated.member(m);
        block = memberAt(frame + wanted.pageOffset, mode);
        if (block == null || !block.decoded.isSameAs(wanted)) {
          return List.of();
        }
      }
      found.add(block);
    }
    return found;
  }

  private @Nullable Block memberAt(long hpa, int mode) {
    Block known = c.code.find(hpa, mode);
    return known == null ? blockAt(hpa, mode) : known;
  }

  private CompiledCode bind(TranslatedClass translated, List<@Nullable Block> members) {
    CompiledCode code = CompiledCode.bind(translated, members);
    code.adopted();
    keep(code);
    return code;
  }

  /** Has the library keep a translation for others, and for when this processor has dropped it. */
  void keep(CompiledCode code) {
    c.library().keep(code.translated());
  }
}
