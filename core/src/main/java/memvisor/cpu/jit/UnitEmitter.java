package memvisor.cpu.jit;

import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.Arrays;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.Lowered;

/**
 * Generates the class of a piece of hot code: one method, guest registers in locals, blocks that
 * jump to each other directly.
 */
final class UnitEmitter {
  /**
   * So many backward branches in its first run, which executes nothing, have HotSpot's policy ask
   * for C2 at once; where the launcher keeps C2 from the class, it compiles with C1 without
   * counters then, instead of with counters first.
   */
  private static final int PRIMING_LOOPS = 160;

  private static final FlagState IN_PROCESSOR = new FlagState.InProcessor();

  private final HotCode code;
  private final Emitter e;
  private final Frame frame;
  private final Exits exits;
  private final OperationEmitter operations;
  private final Label[] blockLabels;

  /** Where each block finds the flags. */
  private final FlagState[] entryFlags;

  private final FlagState.Carried carried;
  private final Label finish;
  private final Label spillAndLeave;
  private final Label leave;
  private final LinkTable links;

  private UnitEmitter(HotCode code, CodeBuilder builder, LinkTable links) {
    this.code = code;
    this.links = links;
    this.e = new Emitter(builder);
    this.frame = new Frame(e, code);
    this.finish = e.newLabel();
    this.spillAndLeave = e.newLabel();
    this.leave = e.newLabel();
    this.exits = new Exits(e, frame, spillAndLeave);
    this.operations = new OperationEmitter(code, e, frame, exits, leave);
    this.blockLabels = new Label[code.blocks()];
    for (int i = 0; i < blockLabels.length; i++) {
      blockLabels[i] = e.newLabel();
    }
    this.carried = FlagState.Carried.in(e);
    this.entryFlags = entryFlags();
  }

  /** A class file and the number of its exits to fixed places in the page. */
  record Unit(byte[] classFile, int links) {
    /** Size of the bytecode of its longest method. */
    int methodBytes() {
      return ClassFile.of().parse(classFile).methods().stream()
          .flatMap(method -> method.findAttribute(Attributes.code()).stream())
          .mapToInt(CodeAttribute::codeLength)
          .max()
          .orElse(0);
    }
  }

  /**
   * Generates a class.
   *
   * @param hot whether it is worth the JVM's optimizing compiler; the launcher keeps that from the
   *     classes of the other name
   */
  static Unit emit(HotCode code, boolean hot) {
    LinkTable links = new LinkTable();
    byte[] bytes =
        ClassFile.of()
            .build(
                ClassDesc.of(HotCode.PACKAGE, hot ? "TranslatedHot" : "TranslatedWarm"),
                c -> {
                  c.withFlags(ClassFile.ACC_FINAL | ClassFile.ACC_SUPER);
                  c.withSuperclass(Emitter.COMPILED);
                  c.withMethodBody(
                      ConstantDescs.INIT_NAME,
                      ConstantDescs.MTD_void,
                      0,
                      b ->
                          b.aload(0)
                              .invokespecial(
                                  Emitter.COMPILED, ConstantDescs.INIT_NAME, ConstantDescs.MTD_void)
                              .return_());
                  c.withMethodBody(
                      "run",
                      MethodTypeDesc.of(ConstantDescs.CD_int, Emitter.VCPU),
                      0,
                      b -> new UnitEmitter(code, b, links).emitMethod(!hot));
                });
    return new Unit(bytes, links.size());
  }

  private void emitMethod(boolean primed) {
    if (primed) {
      emitPriming();
    }
    frame.prologue();
    if (code.blocks() > 1 || entryFlags[0].equals(carried)) {
      carried.reset(e);
    }
    for (int block = 0; block < code.blocks(); block++) {
      e.b.labelBinding(blockLabels[block]);
      emitBlock(block);
      exits.flush();
    }
    epilogues();
  }

  /** Counts where the caller asks for that, and does nothing else; see {@link #PRIMING_LOOPS}. */
  private void emitPriming() {
    Label start = e.newLabel();
    Label loop = e.newLabel();
    e.pushIntField("translatedLimit");
    e.b.ifge(start);
    e.b.iconst_0().istore(frame.retired);
    e.b.labelBinding(loop);
    e.b.iinc(frame.retired, 1).iload(frame.retired);
    e.constant(PRIMING_LOOPS);
    e.b.if_icmplt(loop);
    e.b.iconst_m1().ireturn();
    e.b.labelBinding(start);
  }

  /** In the processor, where the block is entered only from outside. */
  private FlagState[] entryFlags() {
    FlagState[] states = new FlagState[code.blocks()];
    Arrays.fill(states, carried);
    states[0] = IN_PROCESSOR;
    for (int block = 0; block < code.blocks(); block++) {
      int last = code.instructions(block) - 1;
      long target =
          switch (code.lowered(block, last)) {
            case Lowered.Jump o -> o.target();
            case Lowered.JumpIf o -> o.target();
            case Lowered.Call o -> o.target();
            default -> code.after(block, last);
          };
      // a block that follows may also be what a call returns to
      if (code.start(block) + target == 0 || code.end(block) == 0) {
        states[0] = carried;
      }
    }
    return states;
  }

  private void epilogues() {
    e.b.labelBinding(finish);
    frame.spill();
    e.b.aload(Emitter.CPU).lload(frame.target);
    e.putLongField("rip");
    e.b.aload(Emitter.CPU).dup();
    e.b.getfield(Emitter.VCPU, "instructions", ConstantDescs.CD_long);
    e.b.iload(frame.retired).i2l().ladd();
    e.putLongField("instructions");
    e.b.aload(Emitter.CPU).iconst_0();
    e.putIntField("position");
    e.b.iload(frame.exit).ireturn();

    e.b.labelBinding(spillAndLeave);
    frame.spill();
    e.b.labelBinding(leave);
    e.b.aload(0).aload(Emitter.CPU).lload(frame.base).iload(frame.retired).iload(frame.exit);
    e.leave();
    e.b.ireturn();
  }

  private void emitBlock(int block) {
    FlagState flags = entryFlags[block];
    operations.startBlock();
    int last = code.instructions(block) - 1;
    for (int i = 0; i < last; i++) {
      flags = operations.emit(block, i, flags);
    }
    Lowered end = code.lowered(block, last);
    Label exit = e.newLabel();
    switch (end) {
      case Lowered.Jump o -> edge(block, o.target(), flags, exit);
      case Lowered.JumpIf o -> {
        Label taken = e.newLabel();
        flags.branch(e, o.condition(), taken);
        edge(block, code.after(block, last), flags, exit);
        e.b.labelBinding(taken);
        edge(block, o.target(), flags, exit);
      }
      case Lowered.Call o -> {
        operations.pushReturnAddress(block, last, flags);
        edge(block, o.target(), flags, exit);
      }
      case Lowered.CallIndirect o -> {
        int target = operations.readTarget(o.target(), block, last, flags);
        operations.pushReturnAddress(block, last, flags);
        e.b.lload(target).lstore(frame.target);
        indirect(block, exit);
      }
      case Lowered.JumpIndirect o -> {
        int target = operations.readTarget(o.target(), block, last, flags);
        e.b.lload(target).lstore(frame.target);
        indirect(block, exit);
      }
      case Lowered.Return o -> {
        operations.popReturnAddress(o.releasedBytes(), block, last, flags);
        retire(block);
        goBack(block, flags);
        e.b.iconst_m1().istore(frame.exit).goto_(exit);
      }
      default -> {
        flags = operations.emit(block, last, flags);
        edge(block, code.after(block, last), flags, exit);
      }
    }
    e.b.labelBinding(exit);
    flags.store(e);
    e.b.goto_(finish);
  }

  private void retire(int block) {
    e.b.iload(frame.retired);
    e.constant(code.instructions(block));
    e.b.iadd().istore(frame.retired);
  }

  private void indirect(int block, Label exit) {
    retire(block);
    e.b.iconst_m1().istore(frame.exit).goto_(exit);
  }

  /** Goes on after one of the unit's own calls, if that is where a return leads. */
  private void goBack(int block, FlagState flags) {
    for (int caller = 0; caller < code.blocks(); caller++) {
      boolean calls = code.lowered(caller, code.instructions(caller) - 1) instanceof Lowered.Call;
      int next = calls ? code.blockAt(code.end(caller)) : -1;
      if (next >= 0) {
        Label elsewhere = e.newLabel();
        e.b.lload(frame.target);
        pushRip(code.start(next));
        e.b.lcmp().ifne(elsewhere);
        enter(block, next, flags, elsewhere);
        e.b.labelBinding(elsewhere);
      }
    }
  }

  private void pushRip(long position) {
    e.b.lload(frame.base);
    if (position != 0) {
      e.constant(position);
      e.b.ladd();
    }
  }

  /**
   * Goes to another block, or to {@code out} if that does not fit into the budget or its page is
   * not mapped to it.
   */
  private void enter(int block, int next, FlagState flags, Label out) {
    e.b.iload(frame.retired);
    e.constant(code.instructions(next));
    e.b.iadd();
    e.pushIntField("translatedLimit");
    e.b.if_icmpgt(out);
    int page = code.page(code.start(next));
    if (page != 0 && page != code.page(code.start(block))) {
      e.b.aload(0).aload(Emitter.CPU);
      pushRip(code.start(next));
      e.constant(next);
      e.constant(code.isUser() ? 1 : 0);
      e.reaches();
      e.b.ifeq(out);
    }
    if (!FlagLiveness.deadAtEntry(code, next)) {
      flags.carry(e, carried);
    }
    e.b.goto_(blockLabels[next]);
  }

  /** Goes on at {@code target}, relative to the block's start: in this unit, or out of it. */
  private void edge(int block, long target, FlagState flags, Label exit) {
    long position = code.start(block) + target;
    int next = code.blockAt(position);
    retire(block);
    if (next >= 0) {
      Label out = e.newLabel();
      enter(block, next, flags, out);
      e.b.labelBinding(out);
    }
    pushRip(position);
    e.b.lstore(frame.target);
    e.constant(code.isInPage(position) ? links.number(position) : -1);
    e.b.istore(frame.exit).goto_(exit);
  }
}
