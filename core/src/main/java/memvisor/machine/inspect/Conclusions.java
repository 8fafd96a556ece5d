package memvisor.machine.inspect;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import memvisor.host.frames.TransitionCost;
import memvisor.host.frames.TransitionReason;
import memvisor.machine.TechniqueKind;
import memvisor.mmu.DerivedEntry;
import memvisor.paging.PagingFormat;
import memvisor.paging.Reference;
import memvisor.paging.Rights;
import memvisor.paging.Translation;
import memvisor.paging.WalkTrace;
import memvisor.paging.Walker;
import memvisor.tlb.CachedTranslation;
import org.jspecify.annotations.Nullable;

/** What follows from the state of an address, in sentences. */
final class Conclusions {
  /** Accesses whose error codes tell all: a read and a write, by the supervisor and the user. */
  private static final List<AccessKind> EXAMPLES =
      List.of(
          AccessKind.SUPERVISOR_READ,
          AccessKind.SUPERVISOR_WRITE,
          AccessKind.USER_READ,
          AccessKind.USER_WRITE);

  private final TechniqueKind technique;
  private final List<String> sentences = new ArrayList<>();

  Conclusions(TechniqueKind technique) {
    this.technique = technique;
  }

  List<String> sentences() {
    return List.copyOf(sentences);
  }

  /** The guest's own walk, or its absence. */
  void guest(long gva, Optional<GuestWalk> walk) {
    if (walk.isEmpty()) {
      sentences.add("Paging is off: the linear address is the guest-physical address.");
    } else if (!walk.get().isCanonical()) {
      sentences.add(
          ("0x%x is not canonical: an access raises #GP(0), or #SS(0) through the stack segment,"
                  + " before any table is read.")
              .formatted(gva));
    } else {
      guest(walk.get());
    }
  }

  private void guest(GuestWalk walk) {
    switch (walk.outcome()) {
      case Walker.MAPPED -> sentences.addAll(Permissions.sentences(walk, technique));
      case Walker.NOT_PRESENT ->
          sentences.add(
              "Nothing is mapped here: %s. %s."
                  .formatted(
                      walk.references().isEmpty()
                          ? "the PDPTE register is not present"
                          : stopper(walk) + " is not present",
                      Permissions.faults(walk, examples())));
      case Walker.MALFORMED ->
          sentences.add(
              "%s has a reserved bit set: every access faults. %s."
                  .formatted(stopper(walk), Permissions.faults(walk, examples())));
      default ->
          sentences.add(
              ("Nothing is mapped here: the %s would be at gpa 0x%x, where the guest has never"
                      + " written (it reads as zeroes) or has no memory.")
                  .formatted(
                      walk.format()
                          .mode()
                          .entryName(walk.format().levels() - walk.references().size()),
                      walk.unreachableGpa()));
    }
  }

  private List<AccessKind> examples() {
    List<AccessKind> possible = AccessKind.of(technique);
    return EXAMPLES.stream().filter(possible::contains).toList();
  }

  private static String stopper(GuestWalk walk) {
    Reference last = walk.references().getLast();
    return "the %s at gpa 0x%x".formatted(last.name(), last.address());
  }

  /**
   * What stands behind the guest-physical address.
   *
   * @param costs what changes of this guest's pages have taken so far
   */
  void page(PhysicalPage page, Map<TransitionReason, TransitionCost> costs) {
    sentences.add(
        switch (page) {
          case PhysicalPage.Resident resident ->
              "The byte is at %s, %s, %s%s."
                  .formatted(
                      resident.gpa(),
                      resident.hpa(),
                      resident.hva(),
                      resident.writable()
                          ? ""
                          : "; host memory keeps the frame read-only" + why(resident));
          case PhysicalPage.Untouched untouched ->
              "%s is memory that nobody has used: the first access gets a frame of zeroes."
                  .formatted(untouched.gpa());
          case PhysicalPage.Away away -> away(away, costs);
          case PhysicalPage.Device device ->
              "%s is a register of the device %s: every access exits, no TLB ever holds it."
                  .formatted(device.gpa(), device.window().name());
          case PhysicalPage.Nobody nobody ->
              "%s belongs to nobody: reads give all-ones, writes are lost.".formatted(nobody.gpa());
        });
  }

  private static String why(PhysicalPage.Resident resident) {
    return switch (resident.page().state()) {
      case SHARED ->
          ", because %d pages share it: the first write gets a copy"
              .formatted(resident.frame().referenceCount());
      case ZERO -> ", because it is the one page of zeroes: the first write gets a frame";
      case UNTOUCHED, RESIDENT, BALLOONED, SAME_FILLED, COMPRESSED, SWAPPED -> "";
    };
  }

  private static String away(PhysicalPage.Away away, Map<TransitionReason, TransitionCost> costs) {
    return switch (away.page().state()) {
      case COMPRESSED ->
          "The contents of %s are %s in machine memory: the next access unpacks them into a new frame%s."
              .formatted(
                  away.gpa(),
                  switch (away.page().reason()) {
                    case PATCHED -> "kept as a patch to a similar page";
                    case KEPT_WHOLE -> "kept as they are, for patches of similar pages,";
                    default -> "compressed";
                  },
                  usually(costs.get(TransitionReason.DECOMPRESSED)));
      case SWAPPED ->
          "The contents of %s are in the swap file: the next access reads them into a new frame%s."
              .formatted(away.gpa(), usually(costs.get(TransitionReason.SWAPPED_IN)));
      case SAME_FILLED ->
          "%s is one word over and over, of which only the word is kept: the next access fills a frame."
              .formatted(away.gpa());
      case BALLOONED ->
          "The guest has put the page of %s into its balloon: it has no contents, and whoever touches it finds zeroes."
              .formatted(away.gpa());
      case UNTOUCHED, RESIDENT, ZERO, SHARED ->
          throw new IllegalStateException("not away: " + away.page());
    };
  }

  private static String usually(@Nullable TransitionCost cost) {
    return cost == null || cost.count() == 0
        ? ""
        : ", which has taken %.0f us on average".formatted(cost.nanos() / 1e3 / cost.count());
  }

  /** What an access costs cold, warm and now. */
  void cost(Optional<WalkTrace> hardware, List<CachedTranslation> cached, int startLevel) {
    if (hardware.isEmpty()) {
      sentences.add("Every access exits (TRAPPED_ACCESS): the monitor performs it.");
      return;
    }
    WalkTrace trace = hardware.get();
    boolean mapped = trace.outcome() instanceof Translation.Mapped;
    if (!mapped && trace.references().isEmpty()) {
      return;
    }
    String now = cached.isEmpty() ? starts(trace, startLevel) : "now a hit in " + names(cached);
    sentences.add(
        "%d reference%s with cold caches%s; %s."
            .formatted(
                trace.references().size(),
                trace.references().size() == 1 ? "" : "s",
                mapped ? ", 0 with a TLB hit" : " until the walk ends without a page",
                now));
  }

  private static String names(List<CachedTranslation> cached) {
    return String.join(" and ", cached.stream().map(CachedTranslation::tlb).toList());
  }

  private static String starts(WalkTrace trace, int startLevel) {
    Optional<Reference> first =
        trace.references().stream()
            .filter(reference -> reference.dimension() == Reference.Dimension.FIRST)
            .findFirst();
    return first.isEmpty() || startLevel == 0
        ? "now no TLB holds it"
        : "now no TLB holds it, and a walk would start at the "
            + first.get().mode().entryName(startLevel);
  }

  /** What the technique has still to do. */
  void technique(
      Optional<GuestWalk> guest,
      Optional<PhysicalPage> page,
      Optional<WalkTrace> hardware,
      List<DerivedEntry> derived) {
    boolean memory = page.isPresent() && page.get().memory().isPresent();
    if (!memory || hardware.isEmpty()) {
      return;
    }
    switch (hardware.get().outcome()) {
      case Translation.NestedFault fault ->
          sentences.add(
              technique == TechniqueKind.PARTITION
                  ? "%s lies outside the partition: an access exits.".formatted(fault.gpa())
                  : "The nested tables do not map %s: an access exits (EPT_VIOLATION), and the monitor maps it."
                      .formatted(fault.gpa()));
      case Translation.PageFault fault -> {
        if (technique == TechniqueKind.SHADOW) {
          sentences.add(
              "There is no shadow entry: the next access exits (EXCEPTION_NMI), and the monitor"
                  + " derives one if the guest's tables allow the access.");
        }
      }
      case Translation.Mapped there -> shadowWrite(guest, derived, there.rights());
    }
  }

  private void shadowWrite(Optional<GuestWalk> guest, List<DerivedEntry> derived, int rights) {
    boolean guestWritable = guest.isEmpty() || (guest.get().rights() & Rights.WRITE) != 0;
    if (technique != TechniqueKind.SHADOW
        || derived.isEmpty()
        || !guestWritable
        || (rights & Rights.WRITE) != 0) {
      return;
    }
    sentences.add(
        "The shadow entry is read-only although the guest may write: "
            + (guest.isPresent() && !isDirty(guest.get())
                ? "the first write exits, so that the guest's dirty flag can be set."
                : "a write exits, because the page holds guest page tables or its frame is"
                    + " kept read-only."));
  }

  private static boolean isDirty(GuestWalk walk) {
    PagingFormat format = walk.format();
    return (walk.references().getLast().entry() & format.dirtyBit()) != 0;
  }
}
