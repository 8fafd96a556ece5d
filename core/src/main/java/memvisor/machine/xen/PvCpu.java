package memvisor.machine.xen;

import java.util.Objects;
import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;
import memvisor.cpu.x86.SegmentName;
import memvisor.cpu.x86.SegmentState;
import memvisor.cpu.x86.SupervisorPort;
import memvisor.machine.ExitReason;
import memvisor.mmu.direct.DirectVcpu;
import memvisor.mmu.direct.PageTypes;
import org.jspecify.annotations.Nullable;

/**
 * Ring 0 of a PV guest: traps, system calls and events become frames on the guest kernel's stack
 * (xen/arch/x86/x86_64/entry.S, create_bounce_frame), and iret takes one off.
 *
 * <p>The guest always runs at CPL 3 with interrupts enabled; whether its kernel or its user runs is
 * a flag of the monitor's, and its own interrupt flag is a byte in vcpu_info.
 */
final class PvCpu implements SupervisorPort {
  static final int KERNEL_CODE = 0xE033;
  static final int KERNEL_DATA = 0xE02B;

  static final long FLAG_TF = 1 << 8;
  static final long FLAG_IF = 1 << 9;
  static final long FLAG_DF = 1 << 10;
  static final long FLAG_IOPL = 3 << 12;
  private static final long FLAG_NT = 1 << 14;
  private static final long FLAG_RF = 1 << 16;
  private static final long FLAG_VM = 1 << 17;
  private static final long FLAG_AC = 1 << 18;

  static final int VECTOR_NMI = 2;
  static final int VECTOR_UD = 6;

  /** #NM, whose delivery clears the guest's CR0.TS. */
  private static final int VECTOR_NM = 7;

  static final int VECTOR_GP = 13;
  static final int VECTOR_PF = 14;

  /** Vectors that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
  private static final int WITH_ERROR_CODE =
      1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;

  private static final int CALLBACKS = 8;
  private static final int SYSCALL_BYTES = 2;

  /** VGCF_in_syscall in the flags of an iret frame. */
  private static final long IN_SYSTEM_CALL = 1 << 8;

  /** Places for code that the guest registers (public/callback.h). */
  static final int CALLBACK_EVENT = 0;

  static final int CALLBACK_FAILSAFE = 1;
  static final int CALLBACK_SYSTEM_CALL = 2;
  static final int CALLBACK_NMI = 4;
  static final int CALLBACK_SYSENTER = 5;
  static final int CALLBACK_SYSTEM_CALL_32 = 7;

  private final Domain domain;
  private final RegisterFile r;
  private final DirectVcpu mmu;
  private final GuestPointers memory;
  private final PrivilegedInstructions privileged;
  private final PageTypes types;
  private @Nullable Hypercalls hypercalls;

  /**
   * One entry of the trap table: address, DPL, and whether it masks events; the code segment is
   * always the flat one.
   */
  private final long[] trapAddress = new long[256];

  private final int[] trapFlags = new int[256];

  private final long[] callback = new long[CALLBACKS];
  private final boolean[] callbackMasks = new boolean[CALLBACKS];

  private long kernelStack;
  private int kernelStackSelector = KERNEL_DATA;
  private int iopl;
  private boolean architecturalIopl;

  PvCpu(Domain domain) {
    this.domain = domain;
    r = domain.registers();
    mmu = domain.mmu();
    memory = domain.memory();
    types = domain.technique().types();
    privileged = new PrivilegedInstructions(domain, this);
  }

  void setHypercalls(Hypercalls calls) {
    hypercalls = calls;
  }

  private Hypercalls requireHypercalls() {
    return Objects.requireNonNull(hypercalls);
  }

  // ---- what the guest sets -------------------------------------------------------------------

  void setTrap(int vector, int flags, long address) {
    trapAddress[vector] = address;
    trapFlags[vector] = flags;
  }

  boolean hasTrap(int vector) {
    return trapAddress[vector] != 0;
  }

  /** Whether there is a callback of this number; that of the NMI is a trap. */
  static boolean isCallback(int type) {
    return switch (type) {
      case CALLBACK_EVENT,
          CALLBACK_FAILSAFE,
          CALLBACK_SYSTEM_CALL,
          CALLBACK_SYSENTER,
          CALLBACK_SYSTEM_CALL_32 ->
          true;
      default -> false;
    };
  }

  /** Registers a callback. */
  void setCallback(int type, boolean masksEvents, long address) {
    callback[type] = address;
    callbackMasks[type] = masksEvents;
  }

  void setKernelStack(int selector, long pointer) {
    kernelStackSelector = selector | 3;
    kernelStack = pointer;
  }

  void setIopl(int level) {
    iopl = level;
  }

  void setArchitecturalIopl(boolean on) {
    architecturalIopl = on;
  }

  /** Whether the running code may do I/O and change the interrupt flag. */
  boolean hasIoPrivilege() {
    int level = !mmu.inKernel() ? 3 : architecturalIopl ? 0 : 1;
    return iopl >= level;
  }

  // ---- entries -------------------------------------------------------------------------------

  @Override
  public void exception(int vector, int errorCode) {
    types.beginWork();
    boolean emulated =
        vector == VECTOR_GP && errorCode == 0 && privileged.emulate()
            || vector == VECTOR_UD && privileged.emulateCpuid();
    if (!emulated) {
      domain.count(ExitReason.EXCEPTION_NMI, vector);
      trap(vector, errorCode);
    }
    leave();
  }

  /** On every way back to the guest: unfinished work first, then events. */
  private void leave() {
    if (requireHypercalls().isPending() || !types.isSettled()) {
      domain.endSlice();
    } else {
      deliverEvents();
    }
  }

  /**
   * Goes on with what the guest has asked for and waits for.
   *
   * @return whether it may run
   */
  boolean finishWork() {
    types.beginWork();
    if (types.settle() && requireHypercalls().isPending()) {
      requireHypercalls().resume();
    }
    return !requireHypercalls().isPending() && types.settle();
  }

  /** Lets the guest handle an exception. */
  void trap(int vector, int errorCode) {
    if (trapAddress[vector] == 0) {
      domain.crash(
          "an exception that it has no handler for: vector=%d errorCode=0x%x rip=0x%x cr2=0x%x"
              .formatted(vector, errorCode, r.get(RegisterName.RIP), r.get(RegisterName.CR2)));
      return;
    }
    int code = errorCode;
    if (vector == VECTOR_NM) {
      r.setTaskSwitched(false);
    }
    if (vector == VECTOR_PF) {
      r.set(RegisterName.CR2, requireHypercalls().mmu().guestAddress(r.get(RegisterName.CR2)));
      domain.shared().setCr2(r.get(RegisterName.CR2));
      code = mmu.inKernel() ? errorCode & ~4 : errorCode | 4;
    }
    boolean withCode = (WITH_ERROR_CODE >>> vector & 1) != 0 && vector < 32;
    boolean masks = (trapFlags[vector] & 4) != 0;
    bounce(trapAddress[vector], masks, withCode, code);
  }

  @Override
  public boolean softwareInterrupt(int vector, long nextRip) {
    types.beginWork();
    domain.count(ExitReason.EXCEPTION_NMI, vector);
    int dpl = trapFlags[vector] & 3;
    boolean breakpoint = vector == 3 || vector == 4;
    if (trapAddress[vector] == 0 || !breakpoint && dpl < (mmu.inKernel() ? 1 : 3)) {
      return false;
    }
    r.set(RegisterName.RIP, nextRip);
    boolean masks = (trapFlags[vector] & 4) != 0;
    bounce(trapAddress[vector], masks, false, 0);
    leave();
    return true;
  }

  @Override
  public void systemCall(long nextRip) {
    types.beginWork();
    r.set(RegisterName.RCX, nextRip);
    r.set(RegisterName.R11, r.get(RegisterName.RFLAGS) & ~FLAG_RF);
    if (!mmu.inKernel() && callback[CALLBACK_SYSTEM_CALL] == 0) {
      r.set(RegisterName.RIP, nextRip - SYSCALL_BYTES);
      exception(VECTOR_UD, 0);
      return;
    }
    r.set(RegisterName.RIP, nextRip);
    if (mmu.inKernel()) {
      requireHypercalls().enter();
    } else {
      domain.count(ExitReason.SYSTEM_CALL, r.get(RegisterName.RAX));
      bounceTo(CALLBACK_SYSTEM_CALL);
      r.set(RegisterName.RFLAGS, r.get(RegisterName.RFLAGS) & ~FLAG_DF);
    }
    leave();
  }

  /** SYSENTER keeps neither RIP nor RSP: the frame has neither, and CS 3. */
  @Override
  public void fastSystemCall() {
    types.beginWork();
    r.set(RegisterName.RIP, 0);
    r.set(RegisterName.RSP, 0);
    r.setSegment(SegmentName.CS, new SegmentState(3, 0, -1, 0xA0FB));
    loadStack(KERNEL_DATA);
    if (callback[CALLBACK_SYSENTER] == 0) {
      trap(VECTOR_GP, 0);
    } else {
      domain.count(ExitReason.SYSTEM_CALL, r.get(RegisterName.RAX));
      bounceTo(CALLBACK_SYSENTER);
    }
    leave();
  }

  private void bounceTo(int type) {
    bounce(callback[type], callbackMasks[type], false, 0);
  }

  /**
   * Runs the event callback if an event is pending and not masked; no exit of its own, because the
   * guest has been left already.
   *
   * @return whether it did
   */
  boolean deliverEvents() {
    boolean delivers =
        domain.shared().deliverable() && !domain.hasEnded() && callback[CALLBACK_EVENT] != 0;
    if (delivers) {
      bounce(callback[CALLBACK_EVENT], true, false, 0);
    }
    return delivers;
  }

  // ---- frames --------------------------------------------------------------------------------

  private int selector(SegmentName name) {
    return r.segment(name).selector();
  }

  /** Virtual flags: the interrupt flag is the event mask's opposite. */
  private long guestFlags(boolean masked) {
    long flags = r.get(RegisterName.RFLAGS) & ~(FLAG_IF | FLAG_IOPL);
    return flags | (masked ? 0 : FLAG_IF) | (architecturalIopl ? (long) iopl << 12 : 0);
  }

  private void bounce(long address, boolean masks, boolean withCode, int errorCode) {
    boolean masked = domain.shared().masked();
    long flags = guestFlags(masked);
    long code = selector(SegmentName.CS);
    long ss = selector(SegmentName.SS);
    long rsp = r.get(RegisterName.RSP);
    long sp = rsp;
    if (mmu.inKernel()) {
      code &= ~3L;
    } else {
      switchMode(true);
      sp = kernelStack;
    }
    sp = push(sp & -16L, ss);
    sp = push(sp, rsp);
    sp = push(sp, flags);
    sp = push(sp, code | (masked ? 1L << 32 : 0));
    sp = push(sp, r.get(RegisterName.RIP));
    sp = withCode ? push(sp, errorCode & 0xFFFF_FFFFL) : sp;
    sp = push(sp, r.get(RegisterName.R11));
    sp = push(sp, r.get(RegisterName.RCX));
    finish(sp, address, masks);
  }

  private void finish(long sp, long address, boolean masks) {
    if (memory.takeFailure()) {
      domain.crash(
          "its stack cannot take a frame: rsp=0x%x rip=0x%x"
              .formatted(sp, r.get(RegisterName.RIP)));
      return;
    }
    if (masks) {
      domain.shared().setMasked(true);
    }
    r.set(RegisterName.RSP, sp);
    r.set(RegisterName.RIP, address);
    long flags = r.get(RegisterName.RFLAGS);
    r.set(
        RegisterName.RFLAGS, flags & ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_AC | FLAG_VM) | FLAG_IF);
    loadCode(KERNEL_CODE);
    loadStack(KERNEL_DATA);
  }

  private long push(long sp, long value) {
    memory.store(sp - 8, 8, value);
    return sp - 8;
  }

  private boolean loadCode(int selector) {
    if (selector(SegmentName.CS) == selector) {
      return true;
    }
    if (selector == KERNEL_CODE) {
      r.setSegment(SegmentName.CS, new SegmentState(KERNEL_CODE, 0, -1, 0xA0FB));
      return true;
    }
    return r.loadUserCode(selector);
  }

  private boolean loadStack(int selector) {
    if (selector(SegmentName.SS) == selector) {
      return true;
    }
    if (selector == KERNEL_DATA) {
      r.setSegment(SegmentName.SS, new SegmentState(KERNEL_DATA, 0, -1, 0xC0F3));
      return true;
    }
    return r.loadSelector(SegmentName.SS, selector);
  }

  /** Kernel to user or back: other tables, and the other GS base. */
  private boolean switchMode(boolean kernel) {
    if (mmu.inKernel() == kernel) {
      return true;
    }
    if (!mmu.switchTo(kernel)) {
      return false;
    }
    swapGs();
    return true;
  }

  private void swapGs() {
    long base = r.base(SegmentName.GS);
    r.setBase(SegmentName.GS, r.get(RegisterName.KERNEL_GS_BASE));
    r.set(RegisterName.KERNEL_GS_BASE, base);
  }

  /** HYPERVISOR_iret: takes a frame off the stack and goes where it says. */
  void interruptReturn() {
    long sp = r.get(RegisterName.RSP);
    long[] frame = new long[9];
    for (int i = 0; i < frame.length; i++) {
      frame[i] = memory.load(sp + 8L * i, 8);
    }
    if (memory.takeFailure()) {
      domain.crash("iret from a stack that cannot be read: rsp=0x%x".formatted(sp));
      return;
    }
    int code = (int) frame[5] & 0xFFFF;
    if ((code & 3) == 3 && !switchMode(false)) {
      domain.crash("iret to user mode without a user page table");
      return;
    }
    long flags = frame[6];
    r.set(RegisterName.RAX, frame[0]);
    boolean system = (frame[3] & IN_SYSTEM_CALL) != 0;
    r.set(RegisterName.R11, system ? flags : frame[1]);
    r.set(RegisterName.RCX, system ? frame[4] : frame[2]);
    r.set(RegisterName.RIP, frame[4]);
    r.set(RegisterName.RFLAGS, flags & ~(FLAG_IOPL | FLAG_VM | FLAG_RF) | FLAG_IF | 2);
    if (architecturalIopl) {
      iopl = (int) (flags >>> 12) & 3;
    }
    r.set(RegisterName.RSP, frame[7]);
    domain.shared().setMasked((flags & FLAG_IF) == 0);
    enterFrame(code | 3, (int) frame[8] & 0xFFFF | 3);
  }

  /** Goes where an iret frame says: what is impossible there is an exception there. */
  private void enterFrame(int code, int stack) {
    long rip = r.get(RegisterName.RIP);
    boolean codeLoaded = loadCode(code);
    boolean stackLoaded = codeLoaded && loadStack(stack);
    if (stackLoaded && rip << 16 >> 16 == rip) {
      return;
    }
    // What is saved is what was asked for. Nothing runs with it.
    r.setSegment(SegmentName.CS, new SegmentState(code, 0, -1, 0xA0FB));
    r.setSegment(SegmentName.SS, new SegmentState(stack, 0, -1, 0xC0F3));
    impossible(!codeLoaded ? code : stackLoaded ? 0 : stack);
  }

  private void impossible(int selector) {
    if (trapAddress[VECTOR_GP] != 0) {
      trap(VECTOR_GP, selector & ~3);
    } else {
      failsafe();
    }
  }

  /** A guest without a handler for it gets to know by its failsafe callback. */
  private void failsafe() {
    if (callback[CALLBACK_FAILSAFE] == 0) {
      domain.crash("iret to an impossible place without a failsafe callback");
      return;
    }
    boolean masked = domain.shared().masked();
    long flags = guestFlags(masked);
    boolean fromKernel = mmu.inKernel();
    long code = selector(SegmentName.CS) & (fromKernel ? ~3L : -1L) | (masked ? 1L << 32 : 0);
    long rsp = r.get(RegisterName.RSP);
    switchMode(true);
    long sp = (fromKernel ? rsp : kernelStack) & -16L;
    sp = push(sp, selector(SegmentName.SS));
    sp = push(sp, rsp);
    sp = push(sp, flags);
    sp = push(sp, code);
    sp = push(sp, r.get(RegisterName.RIP));
    sp = push(sp, selector(SegmentName.GS));
    sp = push(sp, selector(SegmentName.FS));
    sp = push(sp, selector(SegmentName.ES));
    sp = push(sp, selector(SegmentName.DS));
    sp = push(sp, r.get(RegisterName.R11));
    sp = push(sp, r.get(RegisterName.RCX));
    finish(sp, callback[CALLBACK_FAILSAFE], callbackMasks[CALLBACK_FAILSAFE]);
  }

  /** Selector that the kernel's stack will have, for a dump. */
  int kernelStackSelector() {
    return kernelStackSelector;
  }

  // ---- segment bases -------------------------------------------------------------------------

  /** HYPERVISOR_set_segment_base; whether there is such a base and the address is canonical. */
  boolean setSegmentBase(int which, long value) {
    boolean canonical = value << 16 >> 16 == value;
    if (which < 3 && !canonical) {
      return false;
    }
    switch (which) {
      case 0 -> r.setBase(SegmentName.FS, value);
      case 1 -> r.set(RegisterName.KERNEL_GS_BASE, value);
      case 2 -> r.setBase(SegmentName.GS, value);
      case 3 -> loadUserGs((int) value & 0xFFFF);
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Loads the selector of the user's GS; the kernel's base stays. A bad one becomes null. */
  private void loadUserGs(int selector) {
    long kernelBase = r.base(SegmentName.GS);
    boolean loaded = r.loadSelector(SegmentName.GS, selector);
    if (!loaded) {
      r.loadSelector(SegmentName.GS, 0);
    }
    long userBase = r.base(SegmentName.GS);
    r.set(RegisterName.KERNEL_GS_BASE, selector > 3 && loaded ? userBase : 0);
    r.setBase(SegmentName.GS, kernelBase);
  }
}
