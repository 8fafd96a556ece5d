package memvisor.machine.xen;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.Access;
import memvisor.mmu.direct.DirectTechnique;
import memvisor.mmu.direct.FrameType;
import memvisor.mmu.direct.PageTypes;
import memvisor.paging.Reference;
import memvisor.paging.WalkTrace;

/**
 * How one address is translated under direct paging: the guest's own tables with the machine
 * addresses in them, what each table's frame is in use as, and the way back.
 *
 * @param gva the address
 * @param kernel whether the kernel's tables are walked, and not the user's
 * @param steps the tables, the topmost first
 * @param mfn machine frame that the address leads to, -1 if it leads nowhere
 * @param pfn what the machine-to-physical table holds for it
 * @param p2mMfn what the monitor's own map holds for that guest frame: {@code mfn} again, unless
 *     the guest exchanged frames
 */
public record DirectExplanation(
    long gva, boolean kernel, List<Step> steps, long mfn, long pfn, long p2mMfn) {
  private static final long ADDRESS = 0xF_FFFF_FFFF_F000L;

  /**
   * One table on the way.
   *
   * @param mfn its frame
   * @param type what the frame is in use as
   * @param count references to it
   * @param typeCount references to it as that type
   * @param pinned whether the guest pinned it
   * @param entryHpa where the entry lies
   * @param entry the entry
   */
  public record Step(
      long mfn,
      FrameType type,
      int count,
      int typeCount,
      boolean pinned,
      long entryHpa,
      long entry) {
    @Override
    public String toString() {
      return "%s mfn=0x%x entry at 0x%x = 0x%016x  (references %d, as %s %d%s)"
          .formatted(type, mfn, entryHpa, entry, count, type, typeCount, pinned ? ", pinned" : "");
    }
  }

  static DirectExplanation of(XenMachine machine, long gva) {
    DirectTechnique technique = machine.technique();
    PageTypes types = technique.types();
    List<Step> steps = new ArrayList<>();
    long entry = 0;
    List<Reference> references =
        machine.unit().explain(gva, Access.USER).map(WalkTrace::references).orElse(List.of());
    for (Reference reference : references) {
      long mfn = reference.hpa().value() >>> 12;
      entry = reference.entry();
      steps.add(
          new Step(
              mfn,
              types.type(mfn),
              types.count(mfn),
              types.typeCount(mfn),
              types.isPinned(mfn),
              reference.hpa().value(),
              entry));
    }
    boolean mapped = steps.size() == 4 && (entry & 1) != 0;
    long mfn = mapped ? (entry & ADDRESS) >>> 12 : -1;
    boolean own = mapped && types.isOwned(mfn);
    long pfn = own ? technique.slots().pfn(mfn) : -1;
    long back = pfn >= 0 && pfn < technique.pages() ? technique.mfn(pfn) : -1;
    return new DirectExplanation(gva, machine.mmu().inKernel(), steps, mfn, pfn, back);
  }

  /** The explanation in lines. */
  public String text() {
    StringBuilder text = new StringBuilder();
    text.append("GVA 0x%x, tables of the guest's %s\n".formatted(gva, kernel ? "kernel" : "user"));
    steps.forEach(step -> text.append("  ").append(step).append('\n'));
    if (mfn < 0) {
      return text.append("  not mapped\n").toString();
    }
    return text.append(
            "  machine frame 0x%x: M2P says guest frame %s, P2M leads to machine frame %s\n"
                .formatted(mfn, hexOrNone(pfn), hexOrNone(p2mMfn)))
        .toString();
  }

  private static String hexOrNone(long value) {
    return value < 0 ? "none" : "0x" + Long.toHexString(value);
  }
}
