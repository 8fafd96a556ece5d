package memvisor.mmu.direct;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The page-type system as its rules say it, slowly: nothing is counted, everything is worked out
 * anew from the pins, the references of the monitor and the contents of the tables.
 *
 * <p>Memory is an array of its own. An operation is tried on a copy and kept if the copy obeys the
 * rules.
 */
final class ReferencePageTypes {
  private static final long P = 1;
  private static final long RW = 2;
  private static final long U = 4;
  private static final long A = 0x20;
  private static final long D = 0x40;
  private static final long G = 0x100;
  private static final long KERNEL = 1L << 52;
  private static final long NX = 1L << 63;
  private static final long ADDRESS = 0xF_FFFF_FFFF_F000L;
  private static final long AVAILABLE = 0xE00L | 0x7FFL << 52;

  final int frames;

  /** Entries of a table that the tests use; all others are zero. */
  final int entries;

  final int owned;
  final long[][] memory;
  final int[] pin;
  final List<Integer> descriptors = new ArrayList<>();

  ReferencePageTypes(int frames, int owned, int entries) {
    this.frames = frames;
    this.owned = owned;
    this.entries = entries;
    memory = new long[frames][entries];
    pin = new int[frames];
  }

  private ReferencePageTypes copy() {
    ReferencePageTypes other = new ReferencePageTypes(frames, owned, entries);
    for (int f = 0; f < frames; f++) {
      other.memory[f] = memory[f].clone();
      other.pin[f] = pin[f];
    }
    other.descriptors.addAll(descriptors);
    return other;
  }

  private boolean isOwned(long mfn) {
    return mfn >= 0 && mfn < owned;
  }

  // ---- what follows from the state -----------------------------------------------------------

  /** What each frame is used as: 1 to 4 a table, 5 descriptors, 6 writable; null if two things. */
  Map<Integer, Integer> uses() {
    Map<Integer, Integer> uses = new HashMap<>();
    boolean consistent = true;
    for (int f = 0; f < frames; f++) {
      if (pin[f] != 0) {
        consistent &= use(uses, f, pin[f]);
      }
    }
    for (int f : descriptors) {
      consistent &= use(uses, f, 5);
    }
    return consistent ? uses : Map.of(-1, -1);
  }

  /** Notes a use and, for a table, all that follows from it; false if it contradicts another. */
  private boolean use(Map<Integer, Integer> uses, int f, int as) {
    Integer before = uses.putIfAbsent(f, as);
    if (before != null) {
      return before == as;
    }
    if (as > 4) {
      return true;
    }
    for (int i = 0; i < entries; i++) {
      long entry = memory[f][i];
      if ((entry & P) == 0) {
        continue;
      }
      long mfn = (entry & ADDRESS) >>> 12;
      long allowed = P | RW | U | A | D | NX | ADDRESS | AVAILABLE | (as == 1 ? G : 0);
      if ((entry & ~allowed) != 0 || as == 1 && (entry & 1L << 62) != 0 || !isOwned(mfn)) {
        return false;
      }
      if (as > 1 && !use(uses, (int) mfn, as - 1)
          || as == 1 && (entry & RW) != 0 && !use(uses, (int) mfn, 6)) {
        return false;
      }
    }
    return true;
  }

  private boolean isConsistent() {
    return !uses().containsKey(-1);
  }

  int use(int f) {
    return uses().getOrDefault(f, 0);
  }

  /** References to a frame, in all and as its type. */
  int[] counts(int f) {
    Map<Integer, Integer> uses = uses();
    int all = pin[f] != 0 ? 1 : 0;
    for (int d : descriptors) {
      all += d == f ? 1 : 0;
    }
    int typed = all;
    for (Map.Entry<Integer, Integer> use : uses.entrySet()) {
      for (int i = 0; use.getValue() <= 4 && i < entries; i++) {
        long entry = memory[use.getKey()][i];
        if ((entry & P) != 0 && (entry & ADDRESS) >>> 12 == f) {
          all++;
          typed += use.getValue() > 1 || (entry & RW) != 0 ? 1 : 0;
        }
      }
    }
    return new int[] {all, typed};
  }

  // ---- operations: whether they succeed ------------------------------------------------------

  private boolean keep(ReferencePageTypes tried) {
    if (!tried.isConsistent()) {
      return false;
    }
    tried.rewrite();
    for (int f = 0; f < frames; f++) {
      memory[f] = tried.memory[f];
      pin[f] = tried.pin[f];
    }
    descriptors.clear();
    descriptors.addAll(tried.descriptors);
    return true;
  }

  /** Tables and descriptors hold what the monitor stores for what the guest asked for. */
  private void rewrite() {
    uses()
        .forEach(
            (f, as) -> {
              for (int i = 0; i < entries; i++) {
                memory[f][i] =
                    as <= 4
                        ? stored(as, memory[f][i])
                        : as == 5 ? GuestDescriptor.adjusted(memory[f][i]) : memory[f][i];
              }
            });
  }

  static long stored(int level, long entry) {
    if ((entry & P) == 0) {
      return entry;
    }
    if (level == 1) {
      long e = (entry & U) == 0 ? entry | U | KERNEL : entry;
      return (e & KERNEL) == 0 ? e | G : e;
    }
    return entry | U | (level == 4 ? A : 0);
  }

  boolean pin(int level, long mfn) {
    if (!isOwned(mfn) || pin[(int) mfn] != 0) {
      return false;
    }
    ReferencePageTypes tried = copy();
    tried.pin[(int) mfn] = level;
    return keep(tried);
  }

  boolean unpin(long mfn) {
    if (!isOwned(mfn) || pin[(int) mfn] == 0) {
      return false;
    }
    pin[(int) mfn] = 0;
    return true;
  }

  boolean hold(long mfn) {
    if (!isOwned(mfn)) {
      return false;
    }
    ReferencePageTypes tried = copy();
    tried.descriptors.add((int) mfn);
    return keep(tried);
  }

  void drop(int mfn) {
    descriptors.remove(Integer.valueOf(mfn));
  }

  boolean update(long mfn, int index, long value, boolean preserve) {
    int level = isOwned(mfn) ? use((int) mfn) : 0;
    if (level < 1 || level > 4) {
      return false;
    }
    ReferencePageTypes tried = copy();
    long old = memory[(int) mfn][index];
    long kept = preserve && (value & P) != 0 && (old & P) != 0 ? old & (A | D) : 0;
    // The new entry must be possible beside the old one.
    tried.memory[(int) mfn][index] = stored(level, value) | kept;
    if (!isSame(level, old, value) && !besides(tried, (int) mfn, level, old)) {
      return false;
    }
    return keep(tried);
  }

  private static boolean isSame(int level, long old, long value) {
    long fast = NX | AVAILABLE | A | D | U | (level == 1 ? G : 0);
    return (old & P) != 0 && (value & P) != 0 && ((old ^ value) & ~fast) == 0;
  }

  /** Whether the state after an update is consistent with the old entry's reference still there. */
  private boolean besides(ReferencePageTypes tried, int mfn, int level, long old) {
    Map<Integer, Integer> uses = tried.uses();
    if (uses.containsKey(-1)) {
      return false;
    }
    if ((old & P) == 0 || level == 1 && (old & RW) == 0) {
      return true;
    }
    int target = (int) ((old & ADDRESS) >>> 12);
    return tried.use(new HashMap<>(uses), target, level > 1 ? level - 1 : 6);
  }

  /** A store of the guest's to memory that it may write. */
  boolean write(long mfn, int index, long value) {
    if (!isOwned(mfn)) {
      return false;
    }
    int use = use((int) mfn);
    if (use != 0 && use != 6) {
      return false;
    }
    memory[(int) mfn][index] = value;
    return true;
  }
}
