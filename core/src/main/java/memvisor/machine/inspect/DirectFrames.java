package memvisor.machine.inspect;

import java.util.Optional;
import java.util.OptionalLong;
import memvisor.machine.VirtualMachine;
import memvisor.mmu.direct.DirectTechnique;

/** The machine frames of a guest under direct paging, and both maps between them and its own. */
final class DirectFrames {
  private static final int FRAME_LOG2 = 12;
  private static final long OFFSET_MASK = (1 << FRAME_LOG2) - 1;

  private final DirectTechnique technique;

  private DirectFrames(DirectTechnique technique) {
    this.technique = technique;
  }

  /** The frames of a machine's guest; empty where the guest does not know them. */
  static Optional<DirectFrames> of(VirtualMachine machine) {
    return machine.technique() instanceof DirectTechnique direct
        ? Optional.of(new DirectFrames(direct))
        : Optional.empty();
  }

  /** Guest frame number of a machine frame by the machine-to-physical table. */
  OptionalLong pfn(long mfn) {
    if (mfn < 0 || mfn >= technique.slots().machineFrames()) {
      return OptionalLong.empty();
    }
    long pfn = technique.slots().pfn(mfn);
    return pfn >= 0 && pfn < technique.pages() ? OptionalLong.of(pfn) : OptionalLong.empty();
  }

  /** Guest-physical address of a machine address, by the same table. */
  OptionalLong gpa(long hpa) {
    OptionalLong pfn = pfn(hpa >>> FRAME_LOG2);
    return pfn.isPresent()
        ? OptionalLong.of(pfn.getAsLong() << FRAME_LOG2 | hpa & OFFSET_MASK)
        : pfn;
  }

  /** What a frame is in use as. */
  FrameUse use(long mfn) {
    OptionalLong pfn = pfn(mfn);
    return technique.types().isOwned(mfn)
        ? new FrameUse(
            mfn,
            Optional.of(technique.types().type(mfn)),
            technique.types().count(mfn),
            technique.types().typeCount(mfn),
            technique.types().isPinned(mfn),
            pfn,
            pfn.isPresent()
                ? OptionalLong.of(technique.mfn(pfn.getAsLong()))
                : OptionalLong.empty())
        : new FrameUse(mfn, Optional.empty(), 0, 0, false, pfn, OptionalLong.empty());
  }
}
