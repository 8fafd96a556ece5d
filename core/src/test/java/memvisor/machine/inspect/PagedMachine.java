package memvisor.machine.inspect;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.GuestVirtualAddress;
import memvisor.cpu.x86.RegisterName;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationResult;

/** A PC without a kernel, with a few pages mapped by 4-level tables. */
final class PagedMachine implements AutoCloseable {
  static final long MEMORY_BYTES = 32L << 20;
  static final long PML4_GPA = 0x1_0000;
  static final long PDPT_GPA = 0x1_1000;
  static final long PD_GPA = 0x1_2000;
  static final long PT_GPA = 0x1_3000;

  /** Anybody may do anything. */
  static final long OPEN = 0x1000;

  /** Users may read and execute. */
  static final long READ_ONLY = 0x2000;

  /** The supervisor may read and write. */
  static final long SUPERVISOR_DATA = 0x3000;

  static final long NOT_PRESENT = 0x4000;
  static final long RESERVED_BIT = 0x5000;
  static final long DEVICE = 0x6000;
  static final long NOBODY = 0x7000;

  /** Open, but neither used nor dirty. */
  static final long UNTOUCHED = 0x8000;

  /** A page of 2 MiB, open. */
  static final long LARGE = 0x20_0000;

  /** The PDE names a table where there is no memory. */
  static final long TABLE_OUTSIDE = 0x40_0000;

  static final long NOT_CANONICAL = 0x8000_0000_0000L;

  private static final long NX = 1L << 63;

  final HostMemory host = HostMemory.create(4 * MEMORY_BYTES);
  final PcMachine machine;
  final Inspector inspector;

  PagedMachine(TechniqueKind technique) {
    machine =
        new PcMachine(
            PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL), host, b -> {}, b -> {});
    inspector = new Inspector(machine);
    entry(PML4_GPA, 0, PDPT_GPA | 0x27);
    entry(PDPT_GPA, 0, PD_GPA | 0x27);
    entry(PD_GPA, 0, PT_GPA | 0x27);
    entry(PD_GPA, 1, 0x40_0000 | 0xE7);
    entry(PD_GPA, 2, 0xD000_0000L | 0x27);
    page(OPEN, 0x20_0000 | 0x67);
    page(READ_ONLY, 0x20_1000 | 0x65);
    page(SUPERVISOR_DATA, 0x20_2000 | 0x63 | NX);
    page(RESERVED_BIT, 0x20_3000 | 1L << 51 | 0x67);
    page(DEVICE, 0xFEE0_0000L | 0x63);
    page(NOBODY, 0xD000_0000L | 0x63);
    page(UNTOUCHED, 0x30_0000 | 0x07);
    machine.registers().set(RegisterName.EFER, PagingState.EFER_NXE | PagingState.EFER_LME);
    machine.registers().set(RegisterName.CR4, PagingState.CR4_PAE);
    machine.registers().set(RegisterName.CR3, PML4_GPA);
  }

  private void entry(long table, int index, long value) {
    machine.memory().writeValue(table + 8L * index, 8, value);
  }

  private void page(long gva, long value) {
    entry(PT_GPA, (int) (gva >>> 12), value);
  }

  PagedMachine withPaging() {
    machine
        .registers()
        .set(RegisterName.EFER, PagingState.EFER_NXE | PagingState.EFER_LME | PagingState.EFER_LMA);
    machine
        .registers()
        .set(RegisterName.CR0, PagingState.CR0_PE | PagingState.CR0_PG | PagingState.CR0_WP);
    return this;
  }

  /** Makes one access as the processor would; what it ended in. */
  int access(long gva, int access) {
    TranslationResult result = new TranslationResult();
    for (int attempt = 0; attempt < 100; attempt++) {
      machine.unit().translate(gva, access, result);
      boolean exits =
          result.kind != TranslationResult.MAPPED
              && (result.kind != TranslationResult.PAGE_FAULT
                  || machine.technique().intercepts().pageFault());
      if (exits) {
        machine.mmu().resolve(gva, access, result);
      }
      if (result.kind != TranslationResult.RETRY) {
        return result.kind;
      }
    }
    throw new AssertionError("no progress: gva=0x" + Long.toHexString(gva));
  }

  Explanation explain(long gva) {
    return inspector.explain(new GuestVirtualAddress(gva));
  }

  /** The lines of a listing. */
  List<String> tlb() {
    List<String> lines = new ArrayList<>();
    inspector.tlb(lines::add);
    return lines;
  }

  @Override
  public void close() {
    machine.close();
    host.close();
  }
}
