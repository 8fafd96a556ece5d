package memvisor.cpu.x86;

/**
 * Transfers through call gates, at the same and to an inner level (Intel SDM vol. 3A, 5.8.3–5.8.5).
 * Task gates and TSS descriptors as targets, which would switch tasks, raise #GP instead.
 */
final class CallGates {
  private CallGates() {}

  static int transfer(Vcpu c, SystemOp op, int gateSelector, long gate, boolean call) {
    boolean longMode = c.paging.longMode();
    int type = Descriptors.gateType(gate);
    boolean callGate =
        type == Descriptors.CALL_GATE || !longMode && type == Descriptors.CALL_GATE_16;
    int attributes = Descriptors.attributes(gate);
    int dpl = Descriptors.dpl(attributes);
    if (!callGate || dpl < c.cpl || dpl < (gateSelector & 3)) {
      return c.raise(Vector.GP, gateSelector & 0xFFFC);
    }
    if (!Descriptors.present(attributes)) {
      return c.raise(Vector.NP, gateSelector & 0xFFFC);
    }
    long target = Descriptors.gateOffset(gate);
    if (longMode) {
      target |= upperOffset(c, gateSelector);
    } else if (type == Descriptors.CALL_GATE_16) {
      target &= 0xFFFF;
    }
    int selector = Descriptors.gateSelector(gate);
    long code = c.fault != 0 ? 0 : readCode(c, selector, call);
    if (c.fault != 0 || !FarTransfers.checkTarget(c, code, target)) {
      return MicroOp.FAULT;
    }
    int size = longMode ? 8 : type == Descriptors.CALL_GATE ? 4 : 2;
    int codeAttributes = Descriptors.attributes(code);
    boolean inner =
        call
            && !Descriptors.isConforming(codeAttributes)
            && Descriptors.dpl(codeAttributes) < c.cpl;
    if (inner) {
      int parameters = longMode ? 0 : (int) (gate >>> 32) & 31;
      return enterInner(c, op, selector, code, target, size, parameters);
    }
    if (call) {
      FarTransfers.pushReturn(c, size, op.nextRip(c));
    }
    return c.fault != 0 ? MicroOp.FAULT : FarTransfers.enter(c, selector, code, target, call);
  }

  /** Offset bits 63..32 from the second half of a 64-bit gate, whose type must be 0. */
  private static long upperOffset(Vcpu c, int gateSelector) {
    if (!Segments.inTable(c, gateSelector, 16)) {
      c.raise(Vector.GP, gateSelector & 0xFFFC);
      return 0;
    }
    long address = Segments.descriptorAddress(c, gateSelector, Vector.GP, 0);
    long high = c.loadSystem(address + 8, 8);
    if (c.fault == 0 && (high >>> 40 & 0x1F) != 0) {
      c.raise(Vector.GP, gateSelector & 0xFFFC);
    }
    return high << 32;
  }

  /** The code segment behind a gate; 64-bit gates lead to 64-bit code. */
  private static long readCode(Vcpu c, int selector, boolean call) {
    if (Segments.isNull(selector)) {
      c.raise(Vector.GP, 0);
      return 0;
    }
    long raw = Segments.readDescriptor(c, selector, 0);
    if (c.fault != 0) {
      return 0;
    }
    int attributes = Descriptors.attributes(raw);
    int dpl = Descriptors.dpl(attributes);
    boolean level = dpl <= c.cpl && (call || Descriptors.isConforming(attributes) || dpl == c.cpl);
    boolean wrongSize =
        c.paging.longMode()
            && (attributes & (Descriptors.LONG | Descriptors.BIG)) != Descriptors.LONG;
    if (!Descriptors.isCode(attributes) || !level || wrongSize) {
      c.raise(Vector.GP, selector & 0xFFFC);
    } else if (!Descriptors.present(attributes)) {
      c.raise(Vector.NP, selector & 0xFFFC);
    }
    return raw;
  }

  private static int enterInner(
      Vcpu c, SystemOp op, int selector, long code, long target, int size, int parameters) {
    int newCpl = Descriptors.dpl(Descriptors.attributes(code));
    long[] copied = readParameters(c, size, parameters);
    int stackSelector = newCpl;
    long stackSegment = 0;
    if (size == 8) {
      c.stack.openLong(TaskState.stackPointer64(c, newCpl, 0), 0);
    } else if (c.fault == 0) {
      long pointer = TaskState.stackPointer(c, newCpl, 0);
      stackSelector = c.fault != 0 ? 0 : TaskState.stackSelector(c, newCpl, 0);
      stackSegment = ExceptionDelivery.readInnerStack(c, stackSelector, newCpl, 0);
      c.stack.openSegment(stackSegment, pointer, stackSelector & 0xFFFC);
    }
    if (c.fault != 0 || !Segments.setAccessed(c, selector, code)) {
      return MicroOp.FAULT;
    }
    if (!pushFrame(c, newCpl, size, copied, op.nextRip(c))) {
      return MicroOp.FAULT;
    }
    Segments.setCode(c, selector, code, newCpl);
    if (size == 8) {
      Segments.setNull(c, Vcpu.SS, newCpl);
    } else {
      Segments.set(c, Vcpu.SS, stackSelector, stackSegment);
    }
    c.stack.commit();
    c.rip = target;
    return MicroOp.BRANCH;
  }

  /** Parameters on the caller's stack, the topmost first. */
  private static long[] readParameters(Vcpu c, int size, int count) {
    long[] values = new long[count];
    c.stack.openCurrent(0);
    for (int i = 0; i < count; i++) {
      values[i] = c.stack.pop(size);
    }
    return values;
  }

  /** Pushes with the rights of the inner level; the level itself changes only afterwards. */
  private static boolean pushFrame(Vcpu c, int cpl, int size, long[] parameters, long returnRip) {
    int oldCpl = c.cpl;
    c.cpl = cpl;
    c.privilegeChanged();
    StackCursor stack = c.stack;
    stack.push(c.segmentSelector[Vcpu.SS], size);
    stack.push(c.gpr[Vcpu.RSP], size);
    for (int i = parameters.length - 1; i >= 0; i--) {
      stack.push(parameters[i], size);
    }
    stack.push(c.segmentSelector[Vcpu.CS], size);
    stack.push(returnRip, size);
    c.cpl = oldCpl;
    c.privilegeChanged();
    return c.fault == 0;
  }
}
