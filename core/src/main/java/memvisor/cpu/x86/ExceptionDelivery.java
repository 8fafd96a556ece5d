package memvisor.cpu.x86;

/**
 * Delivers exceptions and interrupts through the IDT or the real-mode vector table (Intel SDM vol.
 * 3A, 6.12–6.15).
 *
 * <p>A delivery checks and pushes everything before it changes a register; what faults on the way
 * is delivered instead, becomes a double fault, or shuts the processor down. That takes at most
 * {@link #MAX_NESTING} attempts. Task gates are not supported and raise #GP.
 */
final class ExceptionDelivery {
  /** Benign, contributory, page fault, double fault: no chain of distinct classes is longer. */
  private static final int MAX_NESTING = 5;

  private static final int EXCEPTION = 0;
  private static final int INTERRUPT = 1;
  private static final int SOFTWARE = 2;

  private final Vcpu c;

  // The event under delivery.
  private int vector;
  private int source;
  private int errorCode;
  private long savedRip;
  private long savedFlags;

  /** EXT bit for faults of this delivery. */
  private int ext;

  /** The gate: bits 63..0, and the offset in full. */
  private long gate;

  private long target;

  /** The code segment it leads to. */
  private int codeSelector;

  private long code;
  private int newCpl;

  /** The processor failed in the middle of the delivery: it is still to be done. */
  private boolean undelivered;

  ExceptionDelivery(Vcpu c) {
    this.c = c;
  }

  // ---- entry points ------------------------------------------------------------------------

  /**
   * Delivers an exception; {@link Vcpu#rip} is what it saves: the faulting instruction, or the next
   * one for a trap.
   */
  static void deliverException(Vcpu c, int vector, int errorCode) {
    c.exceptions.deliver(vector, EXCEPTION, errorCode);
  }

  /** Delivers an external interrupt between two instructions. */
  static void deliverInterrupt(Vcpu c, int vector) {
    c.exceptions.deliver(vector, INTERRUPT, 0);
  }

  /** The trap after an instruction that began with RFLAGS.TF set. */
  static void singleStep(Vcpu c) {
    c.debugRegisters[6] |= 1L << 14;
    deliverException(c, Vector.DB, 0);
  }

  /**
   * INT n, INT3 or INTO as one instruction: BRANCH when the handler was entered, or FAULT with the
   * state unchanged.
   *
   * @param nextRip the instruction pointer to save
   */
  static int softwareInterrupt(Vcpu c, int vector, long nextRip) {
    SupervisorPort supervisor = c.supervisor;
    if (supervisor != null) {
      return supervisor.softwareInterrupt(vector, nextRip)
          ? MicroOp.BRANCH
          : c.raise(Vector.GP, vector * 8 + 2);
    }
    ExceptionDelivery d = c.exceptions;
    d.begin(vector, SOFTWARE, 0);
    d.savedRip = nextRip;
    return d.attempt() ? MicroOp.BRANCH : MicroOp.FAULT;
  }

  /** Delivers the event, if there is one, that a failure of the processor kept from its handler. */
  void redeliver() {
    if (undelivered) {
      undelivered = false;
      deliver(vector, source, errorCode);
    }
  }

  // ---- the chain of faults -----------------------------------------------------------------

  private void deliver(int firstVector, int firstSource, int firstCode) {
    c.halted = false;
    SupervisorPort supervisor = c.supervisor;
    if (supervisor != null) {
      c.fault = 0;
      supervisor.exception(firstVector, firstCode);
      return;
    }
    begin(firstVector, firstSource, firstCode);
    for (int attempts = 0; attempts < MAX_NESTING; attempts++) {
      c.fault = 0;
      if (attempt()) {
        return;
      }
      if (c.fault == Vcpu.FAILED) {
        undelivered = true;
        return;
      }
      int second = c.fault - 1;
      boolean contributes = source == EXCEPTION;
      if (contributes && vector == Vector.DF) {
        break;
      }
      if (contributes && Vector.isDoubleFault(vector, second)) {
        begin(Vector.DF, EXCEPTION, 0);
      } else {
        begin(second, EXCEPTION, c.faultErrorCode);
      }
    }
    c.fault = 0;
    c.shutdown = true;
  }

  private void begin(int newVector, int newSource, int newCode) {
    vector = newVector;
    source = newSource;
    errorCode = newCode;
    ext = newSource == SOFTWARE ? 0 : 1;
    savedRip = c.rip;
    savedFlags = c.flags.value() & ~Flags.RF;
    if (newSource == EXCEPTION && Vector.isFault(newVector)) {
      savedFlags |= Flags.RF;
    }
  }

  /** One attempt; false leaves a fault pending and the registers unchanged. */
  private boolean attempt() {
    if (!c.protectedMode) {
      return real();
    }
    return c.paging.longMode() ? longMode() : protectedMode();
  }

  private boolean pushesErrorCode() {
    return source == EXCEPTION && Vector.hasErrorCode(vector);
  }

  private boolean fail(int withVector, int selector) {
    c.raise(withVector, selector & 0xFFFC | ext);
    return false;
  }

  /** A fault about the gate itself: the IDT bit and the vector as error code. */
  private boolean failGate(int withVector) {
    c.raise(withVector, vector << 3 | 2 | ext);
    return false;
  }

  // ---- real mode ---------------------------------------------------------------------------

  private boolean real() {
    if (vector * 4 + 3 > c.idtLimit) {
      return failGate(Vector.GP);
    }
    long entry = c.loadSystem(c.idtBase + vector * 4L, 4);
    StackCursor stack = c.stack;
    stack.openCurrent(0);
    stack.push(savedFlags & 0xFFFF, 2);
    stack.push(c.segmentSelector[Vcpu.CS], 2);
    stack.push(savedRip, 2);
    if (c.fault != 0) {
      return false;
    }
    stack.commit();
    Segments.setReal(c, Vcpu.CS, (int) (entry >>> 16) & 0xFFFF);
    c.rip = entry & 0xFFFF;
    clearFlags(Flags.IF | Flags.TF | Flags.RF | Flags.AC);
    return true;
  }

  // ---- gates -------------------------------------------------------------------------------

  /** Checks type, privilege and presence of the gate just read, then its code segment. */
  private boolean checkGate(boolean knownType) {
    int attributes = (int) (gate >>> 40) & 0xFF;
    if (!knownType || source == SOFTWARE && Descriptors.dpl(attributes) < c.cpl) {
      return failGate(Vector.GP);
    }
    if (!Descriptors.present(attributes)) {
      return failGate(Vector.NP);
    }
    return readCodeSegment();
  }

  private boolean readCodeSegment() {
    codeSelector = Descriptors.gateSelector(gate);
    if (Segments.isNull(codeSelector)) {
      return fail(Vector.GP, 0);
    }
    code = Segments.readDescriptor(c, codeSelector, ext);
    if (c.fault != 0) {
      return false;
    }
    int attributes = Descriptors.attributes(code);
    if (!Descriptors.isCode(attributes) || Descriptors.dpl(attributes) > c.cpl) {
      return fail(Vector.GP, codeSelector);
    }
    if (!Descriptors.present(attributes)) {
      return fail(Vector.NP, codeSelector);
    }
    boolean wrongSize =
        c.paging.longMode()
            && (attributes & (Descriptors.LONG | Descriptors.BIG)) != Descriptors.LONG;
    if (wrongSize) {
      return fail(Vector.GP, codeSelector);
    }
    newCpl = Descriptors.isConforming(attributes) ? c.cpl : Descriptors.dpl(attributes);
    return Segments.setAccessed(c, codeSelector, code);
  }

  private void clearFlags(int bits) {
    c.flags.system &= ~(long) bits;
  }

  private void enter(boolean interruptGate) {
    c.rip = target;
    clearFlags(Flags.TF | Flags.NT | Flags.RF | Flags.VM | (interruptGate ? Flags.IF : 0));
    Segments.setCode(c, codeSelector, code, newCpl);
  }

  /**
   * Pushes the frame with the rights of the new privilege level, then takes them back: only {@link
   * #enter} changes it for good.
   *
   * @param withStack whether SS and the stack pointer are part of the frame
   */
  private boolean pushFrame(int sizeBytes, boolean withStack) {
    int oldCpl = c.cpl;
    setPrivilege(newCpl);
    StackCursor stack = c.stack;
    if (withStack) {
      stack.push(c.segmentSelector[Vcpu.SS], sizeBytes);
      stack.push(c.gpr[Vcpu.RSP], sizeBytes);
    }
    stack.push(savedFlags, sizeBytes);
    stack.push(c.segmentSelector[Vcpu.CS], sizeBytes);
    stack.push(savedRip, sizeBytes);
    if (pushesErrorCode()) {
      stack.push(errorCode, sizeBytes);
    }
    setPrivilege(oldCpl);
    return c.fault == 0;
  }

  private void setPrivilege(int cpl) {
    if (c.cpl != cpl) {
      c.cpl = cpl;
      c.privilegeChanged();
    }
  }

  // ---- long mode ---------------------------------------------------------------------------

  private boolean longMode() {
    if (vector * 16 + 15 > c.idtLimit) {
      return failGate(Vector.GP);
    }
    long entry = c.idtBase + vector * 16L;
    gate = c.loadSystem(entry, 8);
    target = Descriptors.gateOffset(gate) | c.loadSystem(entry + 8, 4) << 32;
    if (c.fault != 0) {
      return false;
    }
    int type = Descriptors.gateType(gate);
    if (!checkGate(type == Descriptors.INTERRUPT_GATE || type == Descriptors.TRAP_GATE)) {
      return false;
    }
    if (!openLongStack()) {
      return false;
    }
    if (!Segments.isCanonical(c, target)) {
      return fail(Vector.GP, 0);
    }
    if (!pushFrame(8, true)) {
      return false;
    }
    boolean inner = newCpl < c.cpl;
    c.stack.commit();
    enter(type == Descriptors.INTERRUPT_GATE);
    if (inner) {
      Segments.setNull(c, Vcpu.SS, newCpl);
    }
    return true;
  }

  private boolean openLongStack() {
    int ist = (int) (gate >>> 32) & 7;
    long pointer;
    if (ist != 0) {
      pointer = TaskState.interruptStack(c, ist, ext);
    } else if (newCpl < c.cpl) {
      pointer = TaskState.stackPointer64(c, newCpl, ext);
    } else {
      pointer = c.gpr[Vcpu.RSP];
    }
    if (c.fault != 0) {
      return false;
    }
    if (!Segments.isCanonical(c, pointer)) {
      return fail(Vector.SS, 0);
    }
    c.stack.openLong(pointer & -16L, ext);
    return true;
  }

  // ---- protected mode ----------------------------------------------------------------------

  private boolean protectedMode() {
    if (vector * 8 + 7 > c.idtLimit) {
      return failGate(Vector.GP);
    }
    gate = c.loadSystem(c.idtBase + vector * 8L & 0xFFFF_FFFFL, 8);
    if (c.fault != 0) {
      return false;
    }
    int type = Descriptors.gateType(gate);
    boolean wide = type == Descriptors.INTERRUPT_GATE || type == Descriptors.TRAP_GATE;
    boolean narrow = type == Descriptors.INTERRUPT_GATE_16 || type == Descriptors.TRAP_GATE_16;
    if (!checkGate(wide || narrow)) {
      return false;
    }
    target = Descriptors.gateOffset(gate) & (wide ? 0xFFFF_FFFFL : 0xFFFFL);
    if (target > (Descriptors.limit(code) & 0xFFFF_FFFFL)) {
      return fail(Vector.GP, 0);
    }
    int stackSelector = 0;
    long stackSegment = 0;
    boolean inner = newCpl < c.cpl;
    if (inner) {
      long pointer = TaskState.stackPointer(c, newCpl, ext);
      stackSelector = c.fault != 0 ? 0 : TaskState.stackSelector(c, newCpl, ext);
      stackSegment = readInnerStack(c, stackSelector, newCpl, ext);
      c.stack.openSegment(stackSegment, pointer, stackSelector & 0xFFFC | ext);
    } else {
      c.stack.openCurrent(ext);
    }
    if (c.fault != 0 || !pushFrame(wide ? 4 : 2, inner)) {
      return false;
    }
    if (inner) {
      Segments.set(c, Vcpu.SS, stackSelector, stackSegment);
    }
    c.stack.commit();
    enter((type & 1) == 0);
    return true;
  }

  /** The stack segment that a TSS names for {@code cpl}, checked with #TS. */
  static long readInnerStack(Vcpu c, int selector, int cpl, int ext) {
    if (c.fault != 0) {
      return 0;
    }
    if (Segments.isNull(selector)) {
      c.raise(Vector.TS, ext);
      return 0;
    }
    long raw = Segments.readStackDescriptor(c, selector, cpl, Vector.TS, ext);
    if (c.fault == 0) {
      Segments.setAccessed(c, selector, raw);
    }
    return raw;
  }
}
