package memvisor.cpu.x86;

import static memvisor.cpu.x86.asm.Memory.at;
import static memvisor.cpu.x86.asm.Register.*;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Memory;
import memvisor.cpu.x86.asm.Register;

/**
 * Runs single instructions on the processor below us, with every register but RSP chosen freely.
 *
 * <p>A thunk loads the state, runs the instruction in a slot of its own, and stores the state. RSP
 * points at the state meanwhile. An instruction that faults takes the whole process with it.
 */
final class HostProcessor {
  /** Where the scratch page lies, in the host and in the guest. */
  static final long SCRATCH = 0x2000_0000_0000L;

  /** Where the instruction lies. */
  static final long SLOT = SCRATCH + 0x1_0800L;

  private static final long CODE = SCRATCH + 0x1_0000L;
  private static final long STATE = SCRATCH + 0x3_0000L;
  private static final int RESULT = 1024;
  private static final int SAVED_RSP = 4096;
  private static final int MAP_BYTES = 0x4_0000;
  private static final Register[] GPRS = {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15
  };

  private final MemorySegment mapping;
  private final MethodHandle thunk;

  /** The one there is: it lives at a fixed address. */
  static HostProcessor get() {
    return Holder.HOST;
  }

  private static final class Holder {
    static final HostProcessor HOST = new HostProcessor();
  }

  private HostProcessor() {
    try {
      Linker linker = Linker.nativeLinker();
      mapping = map(linker);
      byte[] code = assemble();
      MemorySegment.copy(code, 0, mapping, ValueLayout.JAVA_BYTE, CODE - SCRATCH, code.length);
      thunk = linker.downcallHandle(MemorySegment.ofAddress(CODE), FunctionDescriptor.ofVoid());
    } catch (Throwable e) {
      throw new IllegalStateException("no host processor to compare with", e);
    }
  }

  static boolean supported() {
    return System.getProperty("os.arch").equals("amd64")
        && System.getProperty("os.name").equals("Linux");
  }

  private static MemorySegment map(Linker linker) throws Throwable {
    MethodHandle mmap =
        linker.downcallHandle(
            linker.defaultLookup().find("mmap").orElseThrow(),
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG));
    int readWriteExecute = 7;
    int privateAnonymousFixedNoReplace = 0x02 | 0x20 | 0x100000;
    long address =
        (long)
            mmap.invokeExact(
                SCRATCH,
                (long) MAP_BYTES,
                readWriteExecute,
                privateAnonymousFixedNoReplace,
                -1,
                0L);
    if (address != SCRATCH) {
      throw new IllegalStateException("mmap answered %d".formatted(address));
    }
    return MemorySegment.ofAddress(address).reinterpret(MAP_BYTES);
  }

  private static byte[] assemble() {
    Assembler a = new Assembler(CODE);
    for (Register r : new Register[] {RBX, RBP, R12, R13, R14, R15}) {
      a.push(r);
    }
    a.mov(RDI, STATE);
    a.mov(at(RDI, SAVED_RSP), RSP);
    a.mov(RSP, RDI);
    a.fxrstor64(at(RSP, ProcessorState.FXSAVE));
    for (Register r : GPRS) {
      if (r != RSP) {
        a.mov(r, at(RSP, 8 * r.ordinal()));
      }
    }
    a.push(at(RSP, ProcessorState.FLAGS).qword());
    a.popf();
    while (a.here() < SLOT + 32) {
      a.nop();
    }
    for (Register r : GPRS) {
      if (r != RSP) {
        a.mov(at(RSP, RESULT + 8 * r.ordinal()), r);
      }
    }
    a.pushf();
    a.pop(Memory.at(RSP, RESULT + ProcessorState.FLAGS).qword());
    a.fxsave64(at(RSP, RESULT + ProcessorState.FXSAVE));
    a.cld();
    a.fninit();
    var mxcsr = a.label();
    a.ldmxcsr(at(mxcsr));
    a.mov(RSP, at(RSP, SAVED_RSP));
    for (Register r : new Register[] {R15, R14, R13, R12, RBP, RBX}) {
      a.pop(r);
    }
    a.ret();
    a.align(4);
    a.bind(mxcsr);
    a.dd(FpuState.MXCSR_RESET);
    return a.assemble();
  }

  /** Runs {@code instruction} on {@code in}, leaving what it made of it in {@code out}. */
  void run(byte[] instruction, ProcessorState in, ProcessorState out) {
    long slot = SLOT - SCRATCH;
    mapping.asSlice(slot, 16).fill((byte) 0x90);
    MemorySegment.copy(instruction, 0, mapping, ValueLayout.JAVA_BYTE, slot, instruction.length);
    long state = STATE - SCRATCH;
    int header = ProcessorState.MEMORY;
    MemorySegment.copy(in.segment(), 0, mapping, state, header);
    MemorySegment.copy(in.segment(), header, mapping, 0, ProcessorState.MEMORY_BYTES);
    try {
      thunk.invokeExact();
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
    MemorySegment.copy(mapping, state + RESULT, out.segment(), 0, header);
    MemorySegment.copy(mapping, 0, out.segment(), header, ProcessorState.MEMORY_BYTES);
  }
}
