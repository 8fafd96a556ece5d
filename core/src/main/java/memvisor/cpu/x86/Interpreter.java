package memvisor.cpu.x86;

import java.util.Optional;
import memvisor.address.Access;
import org.jspecify.annotations.Nullable;

/**
 * The run loop: finds blocks, executes their operations one by one, delivers faults and interrupts
 * between them, and keeps the instruction count and RIP.
 */
final class Interpreter {
  /** Bounds how long translated code runs before another thread's kick is seen. */
  private static final int MAX_TRANSLATED_RUN = 1 << 16;

  /** Dropped translations are let go of after so many new ones. */
  private static final int FORGET_INTERVAL = 256;

  private final Vcpu c;
  private final JumpCache jumps;
  private final BlockSource source;

  private @Nullable Translator translator;
  private int translateAt;
  private long hotAt;
  private long warmInstructions;
  private long hotInstructions;
  private long made;

  private int mode;
  private long codeBase;

  /** Whether the block to execute may be remembered (the trap technique forbids it). */
  private boolean cacheable;

  /** Whether the page last fetched from is global. */
  private boolean fetchedGlobal;

  Interpreter(Vcpu c, JumpCache jumps) {
    this.c = c;
    this.jumps = jumps;
    this.source = new BlockSource(c);
  }

  RunExit run(long maxInstructions) {
    long start = c.instructions;
    long limit = start + maxInstructions < start ? Long.MAX_VALUE : start + maxInstructions;
    refreshMode();
    @Nullable Block next = null;
    while (true) {
      if (c.attention) {
        RunExit exit = attend();
        if (exit != null) {
          return exit;
        }
        next = null;
      }
      long left = limit - c.instructions;
      if (left <= 0) {
        return RunExit.BUDGET;
      }
      Block block = next == null ? find() : next;
      if (block == null) {
        deliverFault();
        continue;
      }
      next = step(block, left);
    }
  }

  /** Executes a block, at most {@code left} instructions of it; answers the successor if known. */
  private @Nullable Block step(Block block, long left) {
    if (c.stepwise()) {
      singleStep(block);
      return null;
    }
    CompiledCode code = block.code;
    if (code != null && left >= code.entryLength) {
      return runTranslated(code, left);
    }
    if (++block.heat == translateAt) {
      translate(block);
    }
    long start = c.rip;
    int count = (int) Math.min(left, block.ops.length);
    if (execute(block, count) == MicroOp.BRANCH && block.near) {
      return successor(block, start);
    }
    return null;
  }

  /** Executes up to {@code count} operations, and settles RIP, count, faults and mode. */
  private int execute(Block block, int count) {
    long start = c.rip;
    c.gpr[Vcpu.BLOCK] = start;
    MicroOp[] ops = block.ops;
    for (int i = 0; i < count; i++) {
      c.position = i;
      MicroOp op = ops[i];
      int result = op.execute(c);
      if (result != MicroOp.NEXT) {
        c.position = 0;
        return settle(block, op, i, result, start);
      }
    }
    c.position = 0;
    c.instructions += count;
    c.rip = advance(start, count < ops.length ? ops[count].offset : block.length);
    return MicroOp.NEXT;
  }

  // ---- translated code -------------------------------------------------------------------------

  void setTranslator(Translator newTranslator) {
    translator = newTranslator;
    translateAt = newTranslator.threshold();
    hotAt = newTranslator.hotThreshold();
  }

  long warmInstructions() {
    return warmInstructions;
  }

  long hotInstructions() {
    return hotInstructions;
  }

  /** The code with an instruction at {@code hpa} as it is, or would be, executed. */
  Optional<HotCode> codeAt(long hpa) {
    Block block = c.code.covering(hpa);
    if (block == null) {
      DecodedCode decoded = source.decodedAt(hpa, CodeMode.of(c));
      block = decoded == null ? null : new Block(hpa, decoded, -1);
    }
    if (block == null) {
      return Optional.empty();
    }
    CompiledCode code = block.code;
    return Optional.of(code == null ? new HotCode(block) : new HotCode(code));
  }

  /** Has a block executed by a translation from now on: one that exists already, or a new one. */
  private void translate(Block block) {
    if (translator == null || !HotCode.isTranslatable(block)) {
      return;
    }
    CompiledCode known = source.adopt(block);
    if (known != null) {
      translator.adopted(known);
      return;
    }
    forgetDroppedNowAndThen();
    CompiledCode code = translator.translate(new HotCode(block, surroundings(c.rip)));
    if (code != null) {
      source.keep(code);
      c.translatedLimit = CompiledCode.PRIMED;
      code.run(c);
    }
  }

  /** The code around RIP {@code start}, as far as it is known without fetching anything. */
  private HotCode.Surroundings surroundings(long start) {
    return position -> {
      long hpa = jumps.pageOfBlock(start + position, c.cpl == 3);
      Block block = hpa < 0 ? null : c.code.find(hpa, mode);
      return block == null || block.crossesPage() ? null : block;
    };
  }

  /** Whether a member of {@code code} that lies in another page is at {@code rip} now. */
  boolean reach(CompiledCode code, long rip, int member) {
    long hpa = jumps.pageOfBlock(rip, c.cpl == 3);
    return hpa >= 0 && source.isIn(code, member, hpa & -4096L);
  }

  /** Each new translation may have dropped others. */
  private void forgetDroppedNowAndThen() {
    if (++made % FORGET_INTERVAL == 0) {
      jumps.forgetDropped();
    }
  }

  /** The same for a block that is translated and ran for long; else what there is. */
  private CompiledCode translateHot(Translator again, CompiledCode code) {
    Block entry = code.entry();
    CompiledCode known = source.adoptHot(entry);
    if (known != null) {
      again.adopted(known);
      return known;
    }
    forgetDroppedNowAndThen();
    CompiledCode better = again.translateHot(new HotCode(entry, surroundings(c.rip)));
    if (better == null) {
      return code;
    }
    source.keep(better);
    return better;
  }

  /** Runs translated code, and where it leads as long as that is translated and fits. */
  private @Nullable Block runTranslated(CompiledCode first, long budget) {
    if (!cacheable) {
      return runAlone(first);
    }
    long limit = c.instructions + budget;
    CompiledCode code = first;
    while (true) {
      int exit = enter(code, (int) Math.min(limit - c.instructions, MAX_TRANSLATED_RUN));
      if (exit < CompiledCode.LEFT) {
        settle(exit);
        return null;
      }
      if (c.attention || limit <= c.instructions) {
        return null;
      }
      CompiledCode next;
      if (exit == CompiledCode.LEFT) {
        next = jumps.translation(c.rip);
        if (next == null) {
          return null;
        }
      } else {
        Block linked = follow(c.translation, exit);
        next = linked == null ? null : linked.code;
        if (linked == null || next == null || !cacheable) {
          return linked;
        }
      }
      if (limit - c.instructions < next.entryLength) {
        return next.entry();
      }
      code = next;
    }
  }

  /** Runs a block of a page whose translation may not be remembered: it is fetched for each. */
  private @Nullable Block runAlone(CompiledCode code) {
    int exit = enter(code, code.entryLength);
    if (exit == CompiledCode.FAULTED || exit == CompiledCode.MODE) {
      settle(exit);
    }
    return null;
  }

  private int enter(CompiledCode code, int limit) {
    long before = c.instructions;
    c.translatedLimit = limit;
    c.translation = code;
    int exit = code.nextRunIsSpecial() ? runSpecially(code) : code.run(c);
    CompiledCode ran = c.translation; // a better one may have taken its place
    long retired = c.instructions - before;
    ran.retired += retired;
    if (ran.isHot()) {
      hotInstructions += retired;
    } else {
      warmInstructions += retired;
    }
    return exit;
  }

  private void settle(int exit) {
    if (exit == CompiledCode.FAULTED) {
      deliverFault();
    } else {
      refreshMode();
    }
  }

  /** Where an exit in the page leads; null leaves a fault pending. */
  private @Nullable Block follow(CompiledCode code, int exit) {
    Block next = code.link(exit);
    if (next == null) {
      next = find();
      if (next == null) {
        deliverFault();
      } else if (!next.crossesPage() && cacheable) {
        code.link(exit, next);
      }
    }
    return next;
  }

  private int runSpecially(CompiledCode code) {
    CompiledCode now = code;
    if (translator != null && code.takeHotTurn(hotAt)) {
      now = translateHot(translator, code);
      c.translation = now;
    }
    return now.run(c);
  }

  private int settle(Block block, MicroOp op, int index, int result, long start) {
    if (result == MicroOp.BRANCH) {
      c.instructions += index + 1;
      if (!block.near) {
        refreshMode();
      }
      return result;
    }
    switch (result) {
      case MicroOp.FAULT -> {
        c.instructions += index;
        c.rip = advance(start, op.offset);
        deliverFault();
      }
      case MicroOp.STALE -> {
        c.instructions += index;
        c.rip = advance(start, op.offset);
      }
      case MicroOp.REPEAT -> {
        c.instructions += index + 1;
        c.rip = advance(start, op.offset);
      }
      default -> {
        c.instructions += index + 1;
        c.rip = advance(start, op.offset + op.length);
        refreshMode();
      }
    }
    return result;
  }

  /** One instruction in an interrupt shadow or with RFLAGS.TF set. */
  private void singleStep(Block block) {
    boolean trap = (c.flags.system & Flags.TF) != 0;
    c.interruptShadow = false;
    int result = execute(block, 1);
    if (trap && result != MicroOp.FAULT && result != MicroOp.STALE) {
      ExceptionDelivery.singleStep(c);
      refreshMode();
    }
    c.updateAttention();
  }

  private long advance(long start, int bytes) {
    long rip = start + bytes;
    return (mode & CodeMode.LONG) != 0 ? rip : rip & 0xFFFF_FFFFL;
  }

  // ---- exceptions, interrupts, exits ---------------------------------------------------------

  /** Stops, interrupts, HLT; an exit to leave with, or null to go on. */
  private @Nullable RunExit attend() {
    if (c.takeStop()) {
      return RunExit.STOPPED;
    }
    if (c.takeKick()) {
      return RunExit.BUDGET;
    }
    if (c.failure() != null) {
      return RunExit.FAILED;
    }
    if (c.shutdown) {
      return RunExit.SHUTDOWN;
    }
    if (c.interruptDeliverable()) {
      int vector = c.monitor.acknowledgeInterrupt();
      if (vector >= 0) {
        ExceptionDelivery.deliverInterrupt(c, vector);
        refreshMode();
      }
    }
    c.updateAttention();
    return c.halted ? RunExit.HALTED : null;
  }

  /** Delivers the pending fault, unless it is that the processor cannot go on. */
  private void deliverFault() {
    if (c.fault > 0) {
      ExceptionDelivery.deliverException(c, c.fault - 1, c.faultErrorCode);
      refreshMode();
    }
  }

  private void refreshMode() {
    mode = CodeMode.of(c);
    long base = (mode & CodeMode.LONG) != 0 ? 0 : c.segmentBase[Vcpu.CS];
    codeBase = base;
    jumps.enter(mode, base);
    c.updateAttention();
  }

  // ---- code ----------------------------------------------------------------------------------

  private @Nullable Block successor(Block block, long start) {
    long target = c.rip;
    long delta = target - start;
    if (!cacheable) {
      return null;
    }
    Block next = block.successor(delta);
    if (next != null && !next.dropped) {
      return next;
    }
    next = find();
    boolean samePage = (target + codeBase) >>> 12 == (start + codeBase) >>> 12;
    if (next != null && samePage && !next.crossesPage() && cacheable) {
      block.link(delta, next);
    }
    return next;
  }

  /** The block at RIP, decoded if need be; null leaves a fault pending. */
  private @Nullable Block find() {
    Block block = jumps.find(c.rip);
    if (block != null) {
      cacheable = true;
      return block;
    }
    if ((mode & CodeMode.LONG) == 0
        && Long.compareUnsigned(c.rip, c.segmentLimit[Vcpu.CS] & 0xFFFF_FFFFL) > 0) {
      c.raise(Vector.GP, 0);
      return null;
    }
    long hpa = fetch(linear(c.rip));
    if (hpa < 0) {
      return null;
    }
    boolean mayKeep = cacheable;
    boolean global = fetchedGlobal;
    block = mayKeep ? jumps.confirm(c.rip, hpa, global) : null;
    if (block != null) {
      return block;
    }
    block = c.code.find(hpa, mode);
    if (block == null || !crossingIsCurrent(block)) {
      block = c.fault == 0 ? decode(hpa) : null;
    }
    if (block != null && mayKeep && !block.crossesPage()) {
      jumps.put(c.rip, block, global);
    }
    cacheable = mayKeep;
    return block;
  }

  private long linear(long rip) {
    return (mode & CodeMode.LONG) != 0 ? rip : rip + codeBase & 0xFFFF_FFFFL;
  }

  /** HPA of the instruction byte at {@code linear}, or -1 with a fault pending. */
  private long fetch(long linear) {
    boolean user = c.cpl == 3;
    long hpa = jumps.page(linear, user);
    if (hpa >= 0) {
      cacheable = true;
      fetchedGlobal = jumps.isGlobal(linear, user);
      return hpa;
    }
    hpa = c.path.fetch(linear, user ? Access.USER : 0);
    cacheable = hpa >= 0 && c.path.fetchIsCacheable();
    if (cacheable) {
      fetchedGlobal = c.path.fetchIsGlobal();
      jumps.putPage(linear, user, hpa, fetchedGlobal);
    }
    return hpa;
  }

  /** Whether the second page of a crossing block is still where it was when decoded. */
  private boolean crossingIsCurrent(Block block) {
    if (!block.crossesPage()) {
      return true;
    }
    long second = fetch((linear(c.rip) | 0xFFF) + 1);
    if (second >= 0 && second != block.secondHpa) {
      c.code.written(block.hpa, block.length);
    }
    return second == block.secondHpa;
  }

  private @Nullable Block decode(long hpa) {
    c.code.flushIfFull();
    Block block = source.blockAt(hpa, mode);
    if (block == null) {
      long second = fetch((linear(c.rip) | 0xFFF) + 1);
      return second < 0 ? null : source.crossingBlock(hpa, second, mode);
    }
    if (block.decoded.isTranslated()) {
      block.heat = translateAt - 1; // the translation is there already
    }
    return block;
  }
}
