package memvisor.mmu.direct;

import memvisor.memory.Hva;

/** Counts the references of a {@link PageTypes} anew and compares. */
final class PageTypeAudit {
  private final PageTypes types;
  private final int[] expected;
  private final int[] expectedType;

  PageTypeAudit(PageTypes types) {
    this.types = types;
    expected = new int[types.count.length];
    expectedType = new int[types.count.length];
  }

  void run() {
    countAll(types.held);
    countAll(types.kept);
    for (int f = 0; f < expected.length; f++) {
      if ((types.flags[f] & PageTypes.PINNED) != 0) {
        reference(f, true);
      }
      boolean counts = (types.flags[f] & (PageTypes.VALIDATED | PageTypes.RELEASING)) != 0;
      int level = FrameType.values()[types.type[f]].level();
      for (int i = 0; counts && level != 0 && i < PageTypes.ENTRIES; i++) {
        if (!PageTypes.isReserved(level, i)) {
          countEntry(f, level, Hva.readLong(types.entryHva(f, i)));
        }
      }
    }
    compare();
  }

  private void countAll(FrameList frames) {
    for (int i = 0; i < frames.size(); i++) {
      reference(frames.get(i), true);
    }
  }

  private void reference(int frame, boolean asType) {
    expected[frame]++;
    expectedType[frame] += asType ? 1 : 0;
  }

  private void countEntry(int f, int level, long entry) {
    if (!Pte.present(entry)) {
      return;
    }
    long mfn = Pte.mfn(entry);
    FrameType needed = level > 1 ? FrameType.table(level - 1) : FrameType.WRITABLE;
    boolean typed = level > 1 || Pte.writable(entry);
    if (!types.isOwned(mfn) || Pte.malformed(level, entry) || typed && types.type(mfn) != needed) {
      throw new IllegalStateException(
          "an entry leads where it must not: table=0x%x level=%d entry=0x%x"
              .formatted(f, level, entry));
    }
    reference((int) mfn, typed);
  }

  private void compare() {
    for (int f = 0; f < expected.length; f++) {
      if (expected[f] != types.count[f] || expectedType[f] != types.typeCount[f]) {
        throw new IllegalStateException(
            "counts of a frame disagree: mfn=0x%x type=%s count=%d counted=%d typeCount=%d counted=%d"
                .formatted(
                    f,
                    types.type(f),
                    types.count[f],
                    expected[f],
                    types.typeCount[f],
                    expectedType[f]));
      }
    }
  }
}
