package memvisor.cpu.x86.asm;

/** x87 and SSE state, moves and arithmetic; rarer forms by opcode through {@link #sse}. */
abstract sealed class SseAssembler extends SystemAssembler permits Assembler {
  SseAssembler(long origin) {
    super(origin);
  }

  /**
   * Any SSE instruction with ModRM, by its opcode: mandatory prefix in bits 24–31, then the opcode
   * bytes, as {@code 0x660F_3800} for PSHUFB.
   */
  public final void sse(int opcode, Operand reg, Operand rm) {
    instruction(opcode, 0, reg, rm, 0);
  }

  /** Any SSE instruction with ModRM and an immediate byte. */
  public final void sse(int opcode, Operand reg, Operand rm, int immediate) {
    instruction(opcode, 0, reg, rm, 1);
    emitImmediate(1, immediate);
  }

  /** MOVUPS. */
  public final void movups(Operand to, Operand from) {
    move(0x0F10, 0x0F11, to, from);
  }

  /** MOVAPS. */
  public final void movaps(Operand to, Operand from) {
    move(0x0F28, 0x0F29, to, from);
  }

  /** MOVDQU. */
  public final void movdqu(Operand to, Operand from) {
    move(0xF300_0F6F, 0xF300_0F7F, to, from);
  }

  /** MOVDQA. */
  public final void movdqa(Operand to, Operand from) {
    move(0x6600_0F6F, 0x6600_0F7F, to, from);
  }

  /** MOVSD between XMM registers and memory. */
  public final void movsd(Operand to, Operand from) {
    move(0xF200_0F10, 0xF200_0F11, to, from);
  }

  /** MOVSS between XMM registers and memory. */
  public final void movss(Operand to, Operand from) {
    move(0xF300_0F10, 0xF300_0F11, to, from);
  }

  private void move(int load, int store, Operand to, Operand from) {
    if (to instanceof Xmm) {
      instruction(load, 0, to, from, 0);
    } else {
      instruction(store, 0, from, to, 0);
    }
  }

  /** MOVD: 32 bits between an XMM register and a general register or memory. */
  public final void movd(Operand to, Operand from) {
    if (to instanceof Xmm) {
      instruction(0x6600_0F6E, 0, to, from, 0);
    } else {
      instruction(0x6600_0F7E, 0, from, to, 0);
    }
  }

  /** MOVQ: 64 bits between an XMM register and a general register, memory or XMM register. */
  public final void movq(Operand to, Operand from) {
    if (to instanceof Xmm && from instanceof Register) {
      instruction(0x6600_0F6E, 8, to, from, 0);
    } else if (to instanceof Xmm) {
      instruction(0xF300_0F7E, 0, to, from, 0);
    } else if (to instanceof Register) {
      instruction(0x6600_0F7E, 8, from, to, 0);
    } else {
      instruction(0x6600_0FD6, 0, from, to, 0);
    }
  }

  /** ADDSD. */
  public final void addsd(Xmm to, Operand from) {
    sse(0xF200_0F58, to, from);
  }

  /** MULSD. */
  public final void mulsd(Xmm to, Operand from) {
    sse(0xF200_0F59, to, from);
  }

  /** SUBSD. */
  public final void subsd(Xmm to, Operand from) {
    sse(0xF200_0F5C, to, from);
  }

  /** DIVSD. */
  public final void divsd(Xmm to, Operand from) {
    sse(0xF200_0F5E, to, from);
  }

  /** SQRTSD. */
  public final void sqrtsd(Xmm to, Operand from) {
    sse(0xF200_0F51, to, from);
  }

  /** UCOMISD. */
  public final void ucomisd(Xmm a, Operand b) {
    sse(0x6600_0F2E, a, b);
  }

  /** CVTSI2SD. */
  public final void cvtsi2sd(Xmm to, Register from) {
    instruction(0xF200_0F2A, from.sizeBytes, to, from, 0);
  }

  /** CVTTSD2SI. */
  public final void cvttsd2si(Register to, Operand from) {
    instruction(0xF200_0F2C, to.sizeBytes, to, from, 0);
  }

  /** PXOR. */
  public final void pxor(Xmm to, Operand from) {
    sse(0x6600_0FEF, to, from);
  }

  /** PADDQ. */
  public final void paddq(Xmm to, Operand from) {
    sse(0x6600_0FD4, to, from);
  }

  /** PADDD. */
  public final void paddd(Xmm to, Operand from) {
    sse(0x6600_0FFE, to, from);
  }

  /** PCMPEQB. */
  public final void pcmpeqb(Xmm to, Operand from) {
    sse(0x6600_0F74, to, from);
  }

  /** PMOVMSKB. */
  public final void pmovmskb(Register to, Xmm from) {
    sse(0x6600_0FD7, to, from);
  }

  /** PSHUFD. */
  public final void pshufd(Xmm to, Operand from, int order) {
    sse(0x6600_0F70, to, from, order);
  }

  // ---- x87 and state -------------------------------------------------------------------------

  /** FXSAVE. */
  public final void fxsave(Memory to) {
    instruction(0x0FAE, 0, 0, to, 0);
  }

  /** FXSAVE64. */
  public final void fxsave64(Memory to) {
    instruction(0x0FAE, 8, 0, to, 0);
  }

  /** FXRSTOR. */
  public final void fxrstor(Memory from) {
    instruction(0x0FAE, 0, 1, from, 0);
  }

  /** FXRSTOR64. */
  public final void fxrstor64(Memory from) {
    instruction(0x0FAE, 8, 1, from, 0);
  }

  /** LDMXCSR. */
  public final void ldmxcsr(Memory from) {
    instruction(0x0FAE, 0, 2, from, 0);
  }

  /** STMXCSR. */
  public final void stmxcsr(Memory to) {
    instruction(0x0FAE, 0, 3, to, 0);
  }

  /** FNINIT. */
  public final void fninit() {
    emit(2, 0xE3DB);
  }

  /** FWAIT. */
  public final void fwait() {
    emitByte(0x9B);
  }

  /** An x87 instruction on registers: escape opcode D8–DF and second byte C0–FF. */
  public final void x87(int escape, int second) {
    emitByte(escape);
    emitByte(second);
  }

  /** An x87 instruction on memory: escape opcode D8–DF and the ModRM.reg extension. */
  public final void x87(int escape, int extension, Memory operand) {
    instruction(escape, 0, extension, operand, 0);
  }
}
