package memvisor.machine.inspect;

import java.util.List;
import java.util.Optional;
import memvisor.host.frames.FrameRecord;
import memvisor.host.frames.Ledger;
import memvisor.host.page.PageRecord;
import memvisor.host.page.PageState;
import memvisor.machine.TechniqueKind;
import memvisor.mmu.DerivedEntry;
import memvisor.paging.EntryDescription;
import memvisor.paging.PagingMode;
import memvisor.paging.Reference;
import memvisor.paging.WalkTrace;
import memvisor.tlb.CachedTranslation;

/** Writes explanations as text: sections of indented lines. */
final class ExplanationText {
  private static final double NANOS_PER_SECOND = 1e9;

  private final Explanation explanation;
  private final StringBuilder out = new StringBuilder();

  ExplanationText(Explanation explanation) {
    this.explanation = explanation;
  }

  String text() {
    line("%s under %s", explanation.gva(), explanation.technique().word());
    if (explanation.technique().isParavirtual()) {
      explanation.guest().ifPresent(this::directTables);
    } else {
      explanation.guest().ifPresent(this::guestTables);
      hardware();
    }
    caches();
    if (explanation.technique() == TechniqueKind.SHADOW) {
      shadow();
    }
    explanation.page().ifPresent(this::backing);
    explanation.guest().filter(GuestWalk::isMapped).ifPresent(this::permissions);
    conclusions(explanation.conclusions());
    return out.toString();
  }

  static String of(PhysicalExplanation physical) {
    ExplanationText text =
        new ExplanationText(
            new Explanation(
                new memvisor.address.GuestVirtualAddress(0),
                physical.technique(),
                Optional.empty(),
                Optional.empty(),
                List.of(),
                0,
                physical.cached(),
                physical.derived(),
                physical.derivedMode(),
                List.of(),
                Optional.of(physical.page()),
                physical.conclusions()));
    return text.physical(physical);
  }

  private String physical(PhysicalExplanation physical) {
    line("%s under %s", physical.page().gpa(), physical.technique().word());
    physical.derivedMode().ifPresent(mode -> nested(mode, physical.derived()));
    for (CachedTranslation entry : physical.cached()) {
      line("  the nested TLB holds it: %s", cachedText(entry));
    }
    backing(physical.page());
    physical.frame().ifPresent(this::frame);
    conclusions(physical.conclusions());
    return out.toString();
  }

  private void line(String format, Object... arguments) {
    out.append(format.formatted(arguments)).append(System.lineSeparator());
  }

  private void guestTables(GuestWalk walk) {
    line("The guest's tables (%s paging), at guest-physical addresses:", modeText(walk));
    if (walk.references().isEmpty()) {
      line("  none is read");
    }
    int number = 0;
    for (Reference reference : walk.references()) {
      line("  %2d  at gpa 0x%x  %s", ++number, reference.address(), entry(reference));
    }
    if (walk.isMapped()) {
      line("      gpa 0x%x, page of %s", walk.gpa(), size(walk.pageSizeLog2()));
    }
  }

  /** One list, because what the guest wrote is what the hardware walks. */
  private void directTables(GuestWalk walk) {
    line(
        "The guest's tables, which the hardware walks as they are, at machine addresses; %d references"
            + " with every cache cold:",
        walk.references().size());
    int number = 0;
    for (Reference reference : walk.references()) {
      line("  %2d  at %s  %s", number + 1, reference.hpa(), entry(reference));
      line("      %s", explanation.frames().get(number++).use());
    }
    if (walk.isMapped()) {
      line("      hpa 0x%x, page of %s", walk.gpa(), size(walk.pageSizeLog2()));
      frame(explanation.frames().getLast());
    }
  }

  private void frame(FrameUse frame) {
    line("  frame 0x%x is %s", frame.mfn(), frame.use());
    line("  %s", frame.maps());
  }

  private static String modeText(GuestWalk walk) {
    return switch (walk.format().mode()) {
      case BITS_32 -> "32-bit";
      case PAE -> "PAE";
      case LEVELS_4 -> "4-level";
      case LEVELS_5 -> "5-level";
      case EPT_4, EPT_5, NPT_4, NPT_5 -> "nested";
    };
  }

  /** The address in the space of its tables, and in machine memory where that is another one. */
  private static String where(Reference reference) {
    return reference.address() == reference.hpa().value()
        ? reference.hpa().toString()
        : "gpa 0x%x (%s)".formatted(reference.address(), reference.hpa());
  }

  private static String entry(Reference reference) {
    return EntryDescription.describe(reference.mode(), reference.level(), reference.entry());
  }

  private static String size(int sizeLog2) {
    return sizeLog2 >= 30
        ? (1L << sizeLog2 - 30) + " GiB"
        : sizeLog2 >= 20 ? (1L << sizeLog2 - 20) + " MiB" : (1L << sizeLog2 - 10) + " KiB";
  }

  private void hardware() {
    if (explanation.hardware().isEmpty()) {
      line("The hardware walks nothing: each access exits to the monitor.");
      return;
    }
    WalkTrace trace = explanation.hardware().get();
    long first =
        trace.references().stream()
            .filter(reference -> reference.dimension() == Reference.Dimension.FIRST)
            .count();
    long second = trace.references().size() - first;
    line(
        "The hardware's walk with every cache cold, %d references (%d of %s tables, %d of nested"
            + " tables):",
        trace.references().size(),
        first,
        explanation.technique() == TechniqueKind.SHADOW ? "shadow" : "the guest's",
        second);
    int number = 0;
    for (Reference reference : trace.references()) {
      line("  %2d  at %s  %s", ++number, where(reference), entry(reference));
    }
    line("      %s", trace.outcome());
  }

  private void caches() {
    line("The caches now:");
    for (CachedTranslation entry : explanation.cached()) {
      line("  %s", cachedText(entry));
    }
    if (explanation.cached().isEmpty()) {
      line("  no TLB holds the address");
    }
    explanation
        .hardware()
        .flatMap(ExplanationText::walkedMode)
        .ifPresent(
            mode -> {
              if (explanation.startLevel() > 0) {
                line(
                    "  paging-structure caches: a walk would start at the %s%s",
                    mode.entryName(explanation.startLevel()),
                    explanation.startLevel() == mode.levels() ? ", the root's" : "");
              }
            });
    for (CachedTranslation entry : explanation.nestedCached()) {
      line("  %s", cachedText(entry));
    }
  }

  private static Optional<PagingMode> walkedMode(WalkTrace trace) {
    return trace.references().stream()
        .filter(reference -> reference.dimension() == Reference.Dimension.FIRST)
        .map(Reference::mode)
        .findFirst();
  }

  private static String cachedText(CachedTranslation entry) {
    return entry.toString();
  }

  /** Each shadow entry beside the guest's entry of its level. */
  private void shadow() {
    PagingMode mode = explanation.derivedMode().orElse(PagingMode.LEVELS_5);
    line("The shadow entries, and the guest's entry that each is derived from:");
    if (explanation.derived().isEmpty()) {
      line("  there are none yet");
    }
    for (DerivedEntry derived : explanation.derived()) {
      line(
          "  at hpa 0x%x  %s",
          derived.entryHpa(), EntryDescription.describe(mode, derived.level(), derived.value()));
      line("      of the shadow page of %s", derived.role());
      line("      from %s", guestEntry(derived.level()));
    }
  }

  private String guestEntry(int level) {
    return explanation.guest().stream()
        .flatMap(walk -> walk.references().stream())
        .filter(reference -> reference.level() == level)
        .findFirst()
        .map(reference -> "gpa 0x%x  %s".formatted(reference.address(), entry(reference)))
        .orElse("no entry of the guest: this level is the monitor's own");
  }

  private void nested(PagingMode mode, List<DerivedEntry> path) {
    line("The nested tables:");
    for (DerivedEntry derived : path) {
      line(
          "  at hpa 0x%x  %s",
          derived.entryHpa(), EntryDescription.describe(mode, derived.level(), derived.value()));
    }
  }

  private void backing(PhysicalPage page) {
    line("Behind %s:", page.gpa());
    switch (page) {
      case PhysicalPage.Resident resident -> {
        line("  %s, region %s", resident.region().kind(), range(resident.region()));
        line("  %s, %s, %s", resident.hpa(), resident.hva(), writable(resident));
        line("  %s", frame(resident.frame()));
        if (resident.page().state() != PageState.RESIDENT) {
          line("  %s", history(resident.page()));
        }
      }
      case PhysicalPage.Untouched untouched ->
          line(
              "  %s, region %s, no host frame yet",
              untouched.region().kind(), range(untouched.region()));
      case PhysicalPage.Away away -> {
        line(
            "  %s, region %s, no host frame: %s",
            away.region().kind(), range(away.region()), away.page().state());
        line("  %s", history(away.page()));
      }
      case PhysicalPage.Device device ->
          line(
              "  device %s, 0x%x-0x%x",
              device.window().name(), device.window().start(), device.window().end() - 1);
      case PhysicalPage.Nobody nobody -> line("  nothing");
    }
  }

  private static String range(memvisor.memory.MemoryRegion region) {
    return "0x%x-0x%x".formatted(region.gpa(), region.end() - 1);
  }

  private static String writable(PhysicalPage.Resident resident) {
    return resident.writable() ? "writable" : "read-only to the guest";
  }

  private static String history(PageRecord page) {
    return "ledger: page 0x%x is %s, last change %s %.3f s after the start"
        .formatted(page.gfn(), page.state(), page.reason(), page.timeNanos() / NANOS_PER_SECOND);
  }

  private static String frame(FrameRecord frame) {
    return "ledger: frame 0x%x owned by %s, %s, %d reference%s, last change %s %.3f s after the start"
        .formatted(
            frame.hfn(),
            frame.vmId() == Ledger.NO_VM ? "nobody" : "VM " + frame.vmId(),
            frame.role(),
            frame.referenceCount(),
            frame.referenceCount() == 1 ? "" : "s",
            frame.reason(),
            frame.timeNanos() / NANOS_PER_SECOND);
  }

  private void permissions(GuestWalk walk) {
    line(
        explanation.technique().isParavirtual()
            ? "Permissions by the guest's tables, for its kernel as for its user, both at CPL 3:"
            : "Permissions by the guest's tables and controls (EFLAGS.AC clear):");
    for (AccessKind kind : AccessKind.of(explanation.technique())) {
      line(
          "  %-17s %s",
          kind,
          walk.allows(kind.access())
              ? "allowed"
              : "page fault, error code 0x%x".formatted(walk.errorCode(kind.access())));
    }
  }

  private void conclusions(List<String> sentences) {
    line("So:");
    for (String sentence : sentences) {
      line("  %s", sentence);
    }
  }
}
