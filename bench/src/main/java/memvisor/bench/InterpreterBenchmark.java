package memvisor.bench;

import static memvisor.cpu.x86.asm.Register.BL;
import static memvisor.cpu.x86.asm.Register.EAX;
import static memvisor.cpu.x86.asm.Register.ECX;
import static memvisor.cpu.x86.asm.Register.EDI;
import static memvisor.cpu.x86.asm.Register.EDX;
import static memvisor.cpu.x86.asm.Register.RAX;
import static memvisor.cpu.x86.asm.Register.RBP;
import static memvisor.cpu.x86.asm.Register.RBX;
import static memvisor.cpu.x86.asm.Register.RCX;
import static memvisor.cpu.x86.asm.Register.RDI;
import static memvisor.cpu.x86.asm.Register.RDX;
import static memvisor.cpu.x86.asm.Register.RSI;
import static memvisor.cpu.x86.asm.Register.RSP;

import java.util.concurrent.TimeUnit;
import memvisor.cpu.x86.Vcpu;
import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Guest instructions per microsecond (that is, millions per second) of the interpreter, on loops
 * that never leave it: a mix of arithmetic, loads, stores, branches and calls; and stores alone.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
    value = 1,
    jvmArgsAppend = {
      "--enable-native-access=ALL-UNNAMED",
      "--sun-misc-unsafe-memory-access=allow",
      "-XX:+UseSerialGC"
    })
public class InterpreterBenchmark {
  private static final int INSTRUCTIONS = 1_000_000;
  private static final long CODE = 0x10_0000;
  private static final long DATA = 0x20_0000;

  private Vcpu mixed;
  private Vcpu stores;

  /** Assembles the loops. */
  @Setup
  public void assemble() {
    Assembler a = new Assembler(CODE);
    mixedLoop(a);
    mixed = FlatProcessor.running(CODE, a.assemble());
    Assembler b = new Assembler(CODE);
    storeLoop(b);
    stores = FlatProcessor.running(CODE, b.assemble());
  }

  private static void mixedLoop(Assembler a) {
    Memory slot = Memory.at(RSI, RDI, 1, 0).qword();
    Label function = a.label();
    Label skip = a.label();
    a.mov(RSI, DATA);
    a.mov(RAX, 1);
    Label top = a.labelHere();
    a.mov(RDX, RAX);
    a.shl(RDX, 13);
    a.xor(RAX, RDX);
    a.mov(RDX, RAX);
    a.shr(RDX, 7);
    a.xor(RAX, RDX);
    a.mov(EDI, EAX);
    a.and(EDI, 0xFF8);
    a.add(RAX, slot);
    a.mov(slot, RAX);
    a.test(EAX, 1);
    a.j(Condition.E, skip);
    a.call(function);
    a.bind(skip);
    a.lea(RBX, Memory.at(RBX, 3));
    a.jmp(top);
    a.bind(function);
    a.push(RBP);
    a.mov(RBP, RSP);
    a.add(RBX, RDX);
    a.movzx(EDX, BL);
    a.cmp(RDX, 100);
    a.pop(RBP);
    a.ret();
  }

  private static void storeLoop(Assembler a) {
    a.mov(RSI, DATA);
    Label again = a.labelHere();
    a.mov(ECX, 512);
    Label top = a.labelHere();
    a.mov(Memory.at(RSI, RCX, 8, -8).qword(), RAX);
    a.dec(ECX);
    a.j(Condition.NE, top);
    a.jmp(again);
  }

  /** Arithmetic, memory, branches and calls. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public Object mixed() {
    return mixed.run(INSTRUCTIONS);
  }

  /** One store in three instructions. */
  @Benchmark
  @OperationsPerInvocation(INSTRUCTIONS)
  public Object stores() {
    return stores.run(INSTRUCTIONS);
  }
}
