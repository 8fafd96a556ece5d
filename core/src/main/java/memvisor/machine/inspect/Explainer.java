package memvisor.machine.inspect;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import memvisor.address.Access;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.GuestVirtualAddress;
import memvisor.machine.TechniqueKind;
import memvisor.machine.VirtualMachine;
import memvisor.mmu.DerivedEntry;
import memvisor.mmu.NestedTechnique;
import memvisor.paging.PagingMode;
import memvisor.paging.WalkTrace;
import memvisor.tlb.CachedTranslation;
import memvisor.tlb.TranslationUnit;

/** Gathers what is known about an address. */
final class Explainer {
  private final Inspector inspector;
  private final VirtualMachine machine;

  Explainer(Inspector inspector) {
    this.inspector = inspector;
    machine = inspector.machine();
  }

  Explanation explain(GuestVirtualAddress gva) {
    long address = gva.value();
    Optional<GuestWalk> guest =
        machine.paging().paging()
            ? Optional.of(inspector.tables().walk(address))
            : Optional.empty();
    TranslationUnit unit = machine.unit();
    TechniqueKind technique = machine.kind();
    boolean canonical = guest.isEmpty() || guest.get().isCanonical();
    Optional<WalkTrace> hardware = unit.explain(address, access(guest));
    List<CachedTranslation> cached = canonical ? unit.cached(address) : List.of();
    int startLevel = canonical ? unit.startLevel(address) : 0;
    Optional<GuestPhysicalAddress> gpa = gpa(address, guest);
    Optional<PhysicalPage> page = gpa.map(inspector::page);
    List<DerivedEntry> derived = canonical ? derived(address, gpa) : List.of();

    Conclusions conclusions = new Conclusions(technique);
    conclusions.guest(address, guest);
    page.ifPresent(known -> conclusions.page(known, machine.memory().transitionCosts()));
    conclusions.technique(guest, page, hardware, derived);
    conclusions.cost(hardware, cached, startLevel);
    return new Explanation(
        gva,
        technique,
        guest,
        hardware,
        cached,
        startLevel,
        gpa.map(known -> unit.nestedCached(known.value())).orElse(List.of()),
        derived,
        derivedMode(),
        frames(guest),
        page,
        conclusions.sentences());
  }

  /** An access that the guest's tables allow, so that the hardware's walk goes to its end. */
  private static int access(Optional<GuestWalk> guest) {
    return guest.isPresent() && !guest.get().allows(Access.READ) && guest.get().allows(Access.USER)
        ? Access.USER
        : Access.READ;
  }

  private Optional<GuestPhysicalAddress> gpa(long gva, Optional<GuestWalk> guest) {
    if (guest.isEmpty()) {
      return Optional.of(new GuestPhysicalAddress(gva));
    }
    OptionalLong gpa =
        guest.get().isMapped() ? inspector.guestPhysical(guest.get().gpa()) : OptionalLong.empty();
    return gpa.isPresent()
        ? Optional.of(new GuestPhysicalAddress(gpa.getAsLong()))
        : Optional.empty();
  }

  /**
   * The frames of the guest's tables, the topmost first, and of the page; only if it knows them.
   */
  private List<FrameUse> frames(Optional<GuestWalk> guest) {
    Optional<DirectFrames> frames = inspector.frames();
    if (frames.isEmpty() || guest.isEmpty()) {
      return List.of();
    }
    List<FrameUse> uses = new ArrayList<>();
    guest
        .get()
        .references()
        .forEach(reference -> uses.add(frames.get().use(reference.hpa().value() >>> 12)));
    if (guest.get().isMapped()) {
      uses.add(frames.get().use(guest.get().gpa() >>> 12));
    }
    return uses;
  }

  private List<DerivedEntry> derived(long gva, Optional<GuestPhysicalAddress> gpa) {
    boolean byGpa = machine.technique() instanceof NestedTechnique;
    return byGpa && gpa.isEmpty()
        ? List.of()
        : machine.mmu().derivedPath(gva, gpa.map(GuestPhysicalAddress::value).orElse(0L));
  }

  /** The format of the technique's own tables; shadow tables always have five levels. */
  private Optional<PagingMode> derivedMode() {
    return switch (machine.kind()) {
      case NESTED ->
          machine.technique() instanceof NestedTechnique nested
              ? Optional.of(nested.format().mode())
              : Optional.empty();
      case SHADOW -> Optional.of(PagingMode.LEVELS_5);
      case PARTITION, TRAP, DIRECT -> Optional.empty();
    };
  }

  PhysicalExplanation explain(GuestPhysicalAddress gpa) {
    boolean nested = machine.technique() instanceof NestedTechnique;
    PhysicalPage page = inspector.page(gpa);
    Conclusions conclusions = new Conclusions(machine.kind());
    conclusions.page(page, machine.memory().transitionCosts());
    return new PhysicalExplanation(
        machine.kind(),
        page,
        nested ? machine.mmu().derivedPath(0, gpa.value()) : List.of(),
        nested ? derivedMode() : Optional.empty(),
        machine.unit().nestedCached(gpa.value()),
        use(page),
        conclusions.sentences());
  }

  private Optional<FrameUse> use(PhysicalPage page) {
    return page instanceof PhysicalPage.Resident resident
        ? inspector.frames().map(frames -> frames.use(resident.hpa().value() >>> 12))
        : Optional.empty();
  }
}
