package memvisor.mmu;

import java.util.function.Function;
import memvisor.address.Access;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.page.Placement;
import memvisor.memory.Backing;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.TlbConfiguration;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * A VM without a processor: memory, one translation unit, one technique; it does to them what a
 * processor does.
 */
final class TechniqueVm implements AutoCloseable {
  static final long MIB = 1L << 20;
  static final long ROM_GPA = 0xF_0000;
  static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY
          .with(new MemoryRegion(0, 0xA_0000, MemoryRegion.Kind.RAM))
          .with(new MemoryRegion(ROM_GPA, 0x1_0000, MemoryRegion.Kind.ROM))
          .with(new MemoryRegion(MIB, 15 * MIB, MemoryRegion.Kind.RAM));

  /** What an access came to. */
  record Outcome(int kind, int errorCode, long gpa, boolean tracked) {}

  static final long GIB = 1L << 30;

  /** Besides that, a gibibyte that one page can map. */
  static final GuestMemoryMap LARGE_MAP =
      MAP.with(new MemoryRegion(GIB, GIB, MemoryRegion.Kind.RAM));

  final HostMemory host;
  final GuestMemoryMap map;
  final VmMemory memory;
  final PagingState guest = new PagingState();
  final TranslationUnit unit;
  final Technique technique;
  final VcpuMmu mmu;
  final TranslationResult result = new TranslationResult();

  /** The frame asked about last, which those asked about next mostly lie around. */
  private long knownGpa;

  private long knownHpa;

  TechniqueVm(
      GuestMemoryMap map,
      Placement placement,
      PagingState initial,
      TlbConfiguration tlb,
      Function<VmBacking, Technique> technique) {
    this.map = map;
    host = HostMemory.create(64 * MIB + (map == LARGE_MAP ? GIB : 0));
    memory = host.createVm(map, placement);
    guest.copyFrom(initial);
    unit = new TranslationUnit(memory.machine(), guest, tlb);
    this.technique = technique.apply(memory);
    mmu = this.technique.attach(unit, guest);
  }

  TechniqueVm(Placement placement, PagingState initial, Function<VmBacking, Technique> technique) {
    this(MAP, placement, initial, TlbConfiguration.DEFAULT, technique);
  }

  /** A state of 2, 3 (PAE), 4 or 5 levels, or none, with WP and NXE on. */
  static PagingState state(int levels, long cr3) {
    PagingState state = new PagingState();
    state.setCr0(PagingState.CR0_PE);
    if (levels == 0) {
      return state;
    }
    state.setCr0(PagingState.CR0_PE | PagingState.CR0_PG | PagingState.CR0_WP);
    state.setCr4(levels == 2 ? PagingState.CR4_PSE : PagingState.CR4_PAE);
    state.setEfer(levels > 2 ? PagingState.EFER_NXE : 0);
    if (levels > 3) {
      state.setEfer(PagingState.EFER_NXE | PagingState.EFER_LME | PagingState.EFER_LMA);
    }
    if (levels == 5) {
      state.setCr4(PagingState.CR4_PAE | PagingState.CR4_LA57);
    }
    state.setCr3(cr3);
    return state;
  }

  ShadowTechnique shadow() {
    return (ShadowTechnique) technique;
  }

  long counter(String name) {
    return technique.statistics().counter(name);
  }

  /** One access as a processor makes it, without moving data; {@link #result} keeps the rest. */
  Outcome access(long gva, int access) {
    for (int attempt = 0; attempt < 100; attempt++) {
      unit.translate(gva, access, result);
      if (result.kind == TranslationResult.PAGE_FAULT && !technique.intercepts().pageFault()) {
        return outcome();
      }
      if (result.kind != TranslationResult.MAPPED) {
        mmu.resolve(gva, access, result);
      }
      if (result.kind != TranslationResult.RETRY) {
        return outcome();
      }
    }
    unit.translate(gva, access, result);
    throw new AssertionError(
        "no progress: gva=0x%x access=0x%x hardware errorCode=0x%x entries=%s"
            .formatted(gva, access, result.errorCode, mmu.derivedPath(gva, result.gpa)));
  }

  private Outcome outcome() {
    return switch (result.kind) {
      case TranslationResult.MAPPED ->
          new Outcome(result.kind, 0, gpaOf(result.hpa), result.tracked);
      case TranslationResult.PAGE_FAULT -> new Outcome(result.kind, result.errorCode, -1, false);
      default -> new Outcome(result.kind, 0, result.gpa, false);
    };
  }

  /** Which guest physical address a host physical one belongs to, by asking for every page. */
  private long gpaOf(long hpa) {
    long page = hpa & -4096L;
    if (!isAt(knownGpa + page - knownHpa, page)) {
      knownGpa = search(page);
      knownHpa = page;
    }
    return knownGpa + hpa - knownHpa;
  }

  private boolean isAt(long gpa, long hpa) {
    long frame = memory.peek(gpa >>> 12);
    return Backing.isPresent(frame) && Backing.hpa(frame) == hpa;
  }

  private long search(long hpa) {
    for (MemoryRegion region : map.regions()) {
      for (long gpa = region.gpa(); gpa < region.end(); gpa += 4096) {
        if (isAt(gpa, hpa)) {
          return gpa;
        }
      }
    }
    throw new AssertionError("not a frame of this VM: hpa=0x%x".formatted(hpa));
  }

  /** A store through a GVA, one page; false if it faulted. */
  boolean store(long gva, int sizeBytes, long value) {
    Outcome outcome = access(gva, Access.WRITE);
    if (outcome.kind != TranslationResult.MAPPED) {
      return false;
    }
    memory.writeValue(outcome.gpa, sizeBytes, value);
    if (outcome.tracked) {
      mmu.trackedWrite(outcome.gpa, sizeBytes);
    }
    return true;
  }

  /** A store to guest memory through some mapping that this test does not model. */
  void poke(long gpa, int sizeBytes, long value) {
    memory.writeValue(gpa, sizeBytes, value);
    if (technique instanceof ShadowTechnique shadow && shadow.tables().isTracked(gpa >>> 12)) {
      mmu.trackedWrite(gpa, sizeBytes);
    }
  }

  void poke(long gpa, long value) {
    poke(gpa, 8, value);
  }

  long peek(long gpa) {
    return memory.readValue(gpa, 8);
  }

  void loadCr3(long cr3) {
    guest.setCr3(cr3);
    if (technique.intercepts().cr3()) {
      mmu.cr3Written(false);
    } else {
      unit.cr3Loaded(false);
    }
  }

  void controlsChanged() {
    if (technique.intercepts().pagingControls()) {
      mmu.pagingControlsWritten();
    } else {
      unit.controlsChanged();
    }
  }

  void invlpg(long gva) {
    if (technique.intercepts().invlpg()) {
      mmu.invlpg(gva);
    } else {
      unit.invalidatePage(gva);
    }
  }

  void invpcid(int type, int pcid, long gva) {
    if (technique.intercepts().invlpg()) {
      mmu.invpcid(type, pcid, gva);
    } else {
      unit.invalidatePcid(type, pcid, gva);
    }
  }

  @Override
  public void close() {
    // What is given back is zeroed, which takes long for a gibibyte and is not under test here.
    if (map == MAP) {
      memory.close();
    }
    host.audit();
    host.close();
  }
}
