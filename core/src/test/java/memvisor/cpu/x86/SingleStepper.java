package memvisor.cpu.x86;

import java.lang.reflect.Proxy;
import memvisor.memory.Hva;
import memvisor.paging.PagingState;
import memvisor.testing.TestMachine;
import memvisor.tlb.TranslationUnit;

/** Runs single instructions on our processor, in 64-bit mode at CPL 3, on one mapped page. */
final class SingleStepper {
  private static final long PRESENT_WRITE_USER = 7;

  private final TestMachine machine = new TestMachine(1 << 20);
  private final long page = machine.frame();
  private final Instruction instruction = new Instruction();
  final Vcpu c;

  SingleStepper() {
    PagingState paging = new PagingState();
    TranslationUnit unit = new TranslationUnit(machine.memory(), paging);
    Monitor none =
        (Monitor)
            Proxy.newProxyInstance(
                Monitor.class.getClassLoader(),
                new Class<?>[] {Monitor.class},
                (proxy, method, arguments) -> {
                  throw new IllegalStateException("exit: " + method.getName());
                });
    c = new Vcpu(machine.memory(), unit, none);
    unit.setListener(c);
    unit.partition(0, 1 << 20);
    paging.setCr3(map(HostProcessor.SCRATCH, page));
    paging.setCr0(PagingState.CR0_PE | PagingState.CR0_PG | PagingState.CR0_WP);
    paging.setCr4(PagingState.CR4_PAE | 3 << 9);
    paging.setEfer(PagingState.EFER_LME | PagingState.EFER_LMA);
    unit.controlsChanged();
    c.cpl = 3;
    c.longMode = true;
    c.protectedMode = true;
    c.privilegeChanged();
  }

  private long map(long gva, long hpa) {
    long root = machine.frame();
    long table = root;
    for (int shift = 39; shift > 12; shift -= 9) {
      long next = machine.frame();
      machine.write(table + 8 * (gva >>> shift & 511), next | PRESENT_WRITE_USER);
      table = next;
    }
    machine.write(table + 8 * (gva >>> 12 & 511), hpa | PRESENT_WRITE_USER);
    return root;
  }

  /** Runs {@code code}; answers the vector it raised, -1 for none. */
  int run(byte[] code, ProcessorState in, ProcessorState out) {
    load(in);
    System.arraycopy(code, 0, instruction.bytes, 0, code.length);
    instruction.available = 15;
    instruction.offset = 0;
    instruction.longMode = true;
    instruction.protectedMode = true;
    instruction.cpl = 3;
    instruction.stackAddressSize = 8;
    MicroOp op = Decoder.decode(instruction);
    if (op == null) {
      throw new IllegalStateException("not decoded");
    }
    c.gpr[Vcpu.BLOCK] = HostProcessor.SLOT;
    c.fault = 0;
    int result;
    do {
      result = op.execute(c);
    } while (result == MicroOp.REPEAT);
    store(out);
    int vector = result == MicroOp.FAULT ? c.fault - 1 : -1;
    c.fault = 0;
    return vector;
  }

  private void load(ProcessorState s) {
    for (int i = 0; i < 16; i++) {
      c.gpr[i] = s.gpr(i);
    }
    c.flags.setValue(s.get64(ProcessorState.FLAGS));
    for (int i = 0; i < 32; i++) {
      c.xmm[i] = s.get64(ProcessorState.XMM + 8 * i);
    }
    FpuState f = c.fpu;
    f.mxcsr = s.get32(ProcessorState.MXCSR);
    f.setStatusWord(s.get16(ProcessorState.FXSAVE + 2));
    f.setControl(s.get16(ProcessorState.FXSAVE));
    f.setAbridgedTags(s.get16(ProcessorState.FXSAVE + 4));
    for (int i = 0; i < 8; i++) {
      int r = f.top + i & 7;
      f.significand[r] = s.get64(ProcessorState.ST + 16 * i);
      f.signExponent[r] = s.get16(ProcessorState.ST + 16 * i + 8);
    }
    long hva = machine.memory().hva(page);
    for (int i = 0; i < ProcessorState.MEMORY_BYTES; i += 8) {
      Hva.writeLong(hva + i, s.get64(ProcessorState.MEMORY + i));
    }
  }

  private void store(ProcessorState s) {
    for (int i = 0; i < 16; i++) {
      s.setGpr(i, c.gpr[i]);
    }
    s.set64(ProcessorState.FLAGS, c.flags.value());
    for (int i = 0; i < 32; i++) {
      s.set64(ProcessorState.XMM + 8 * i, c.xmm[i]);
    }
    FpuState f = c.fpu;
    s.set32(ProcessorState.MXCSR, f.mxcsr);
    s.set16(ProcessorState.FXSAVE, f.control);
    s.set16(ProcessorState.FXSAVE + 2, f.statusWord());
    s.set16(ProcessorState.FXSAVE + 4, f.abridgedTags());
    for (int i = 0; i < 8; i++) {
      int r = f.top + i & 7;
      s.set64(ProcessorState.ST + 16 * i, f.significand[r]);
      s.set16(ProcessorState.ST + 16 * i + 8, f.signExponent[r]);
    }
    long hva = machine.memory().hva(page);
    for (int i = 0; i < ProcessorState.MEMORY_BYTES; i += 8) {
      s.set64(ProcessorState.MEMORY + i, Hva.readLong(hva + i));
    }
  }
}
