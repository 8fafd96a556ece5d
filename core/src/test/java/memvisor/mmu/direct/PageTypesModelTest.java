package memvisor.mmu.direct;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntSupplier;
import memvisor.host.HostMemory;
import memvisor.memory.Hva;
import org.junit.jupiter.api.Test;

/**
 * Random operations on the page-type system and on {@link ReferencePageTypes}: each has the same
 * outcome, and types, counts and contents agree.
 *
 * <p>{@code memvisor.pagetypes.operations} says how many operations, {@code memvisor.seed} repeats
 * a run.
 */
final class PageTypesModelTest {
  private static final int FRAMES = 20;
  private static final int OWNED = 16;
  private static final int ENTRIES = 3;
  private static final long OPERATIONS = Long.getLong("memvisor.pagetypes.operations", 60_000);
  private static final int COMPARE_EVERY = 8;
  private static final long RESTART_AFTER = 4_000;

  private static final long P = 1;
  private static final long RW = 2;
  private static final long FLAGS = RW | 4 | 0x20 | 0x40 | 0x200 | 1L << 63;
  private static final long REWRITTEN = 4 | 0x20 | 0x100 | 1L << 52;
  private static final long ODD_FLAGS = 0x80 | 0x10 | 8 | 0x100 | 1L << 62;

  /** One system and its reference, from the same beginning. */
  private static final class Pair implements AutoCloseable {
    private final SplittableRandom random;
    private final HostMemory host = HostMemory.create(FRAMES * 4096L);
    private final ReferencePageTypes reference = new ReferencePageTypes(FRAMES, OWNED, ENTRIES);
    private final PageTypes types =
        new PageTypes(
            host.machine(),
            new PageTypes.Translations() {
              @Override
              public void flushAll() {}

              @Override
              public void upperEntryChanged() {}
            });
    private final List<Integer> held = new ArrayList<>();

    Pair(SplittableRandom random) {
      this.random = random;
      for (int f = 0; f < OWNED; f++) {
        types.own(f);
      }
    }

    private long word(int f, int index) {
      return Hva.readLong(host.machine().hva(f * 4096L + 8L * index));
    }

    private long entry() {
      if (random.nextInt(6) == 0) {
        return 0;
      }
      long flags = P | random.nextLong() & FLAGS;
      flags |= random.nextInt(40) == 0 ? random.nextLong() & ODD_FLAGS : 0;
      return (long) random.nextInt(FRAMES) << 12 | flags;
    }

    /** What an operation that may have to be asked for again ends with. */
    private boolean finished(IntSupplier operation) {
      int error = -Errno.ERESTART;
      for (int attempt = 1; error == -Errno.ERESTART; attempt++) {
        types.beginWork();
        // Little is left, so that validating more than a table takes several attempts; enough for
        // one path from the top to the bottom in the end.
        types.work(PageTypes.WORK - random.nextInt(2 * attempt * PageTypes.ENTRIES));
        error = operation.getAsInt();
        if (random.nextInt(8) == 0) {
          types.audit();
        }
      }
      while (!types.isSettled()) {
        types.beginWork();
        types.settle();
      }
      return error == 0;
    }

    String step() {
      int f = random.nextInt(FRAMES);
      int index = random.nextInt(ENTRIES);
      switch (random.nextInt(12)) {
        case 0, 1 -> {
          int level = 1 + random.nextInt(4);
          check(finished(() -> types.pin(level, f)), reference.pin(level, f));
          return "pin %d level %d".formatted(f, level);
        }
        case 2 -> {
          check(finished(() -> types.unpin(f)), reference.unpin(f));
          return "unpin " + f;
        }
        case 3 -> {
          boolean took = finished(() -> types.hold(f, FrameType.SEGDESC));
          check(took, holdsDescriptors(f) && reference.hold(f));
          if (took) {
            held.add(f);
          }
          return "hold " + f;
        }
        case 4 -> {
          if (!held.isEmpty()) {
            int mfn = held.remove(random.nextInt(held.size()));
            types.drop(mfn);
            reference.drop(mfn);
          }
          return "drop";
        }
        case 5, 6, 7 -> {
          long value = entry();
          check(
              finished(() -> types.writeRaw(f, 8 * index, value)),
              reference.write(f, index, value));
          return "write %d[%d] = %x".formatted(f, index, value);
        }
        default -> {
          long value = entry();
          boolean preserve = random.nextBoolean();
          check(
              finished(() -> types.update(f, index, value, preserve)),
              reference.update(f, index, value, preserve));
          return "update %d[%d] = %x".formatted(f, index, value);
        }
      }
    }

    /** Whether descriptors are permitted is another test's: here they are, or all zero. */
    private boolean holdsDescriptors(int f) {
      if (f >= OWNED) {
        return false;
      }
      for (int i = 0; i < ENTRIES; i++) {
        long raw = reference.memory[f][i];
        if (!GuestDescriptor.isPermitted(raw)) {
          return false;
        }
      }
      return true;
    }

    private static void check(boolean ours, boolean references) {
      if (ours != references) {
        throw new IllegalStateException("ours=" + ours + " the reference's=" + references);
      }
    }

    /** Types and counts of all frames. */
    void compare() {
      types.audit();
      for (int f = 0; f < OWNED; f++) {
        int[] counts = reference.counts(f);
        check(types.type(f).ordinal() == reference.use(f), true);
        check(types.count(f) == counts[0] && types.typeCount(f) == counts[1], true);
      }
    }

    /** Contents: a validation that failed half-way may have rewritten flags before it did. */
    void compareContents() {
      for (int f = 0; f < OWNED; f++) {
        for (int i = 0; i < ENTRIES; i++) {
          long expected = reference.memory[f][i];
          long changed = word(f, i) ^ expected;
          check((expected & P) == 0 ? changed == 0 : (changed & ~REWRITTEN) == 0, true);
          reference.memory[f][i] = word(f, i);
        }
      }
    }

    /** Gives every reference back: nothing is left. */
    void release() {
      for (int f = 0; f < OWNED; f++) {
        types.beginWork();
        types.unpin(f);
      }
      held.forEach(types::drop);
      types.beginWork();
      types.settle();
      for (int f = 0; f < OWNED; f++) {
        check(types.count(f) == 0, true);
        check(types.disown(f) == 0, true);
      }
    }

    @Override
    public void close() {
      host.close();
    }
  }

  @Test
  void everyOperationEndsAsTheRulesSay() {
    long seed = Long.getLong("memvisor.seed", System.nanoTime());
    System.out.println("page types: seed=" + seed + " operations=" + OPERATIONS);
    SplittableRandom random = new SplittableRandom(seed);
    long succeeded = 0;
    for (long done = 0; done < OPERATIONS; done += RESTART_AFTER) {
      try (Pair pair = new Pair(random.split())) {
        succeeded += run(pair, seed, Math.min(RESTART_AFTER, OPERATIONS - done));
      }
    }
    assertThat(succeeded).as("states compared, seed %d", seed).isPositive();
  }

  private static long run(Pair pair, long seed, long operations) {
    String last = "";
    String current = "";
    try {
      for (long i = 0; i < operations; i++) {
        last = current;
        current = pair.step();
        pair.compareContents();
        if (i % COMPARE_EVERY == 0) {
          pair.compare();
        }
      }
      pair.compare();
      pair.release();
    } catch (IllegalStateException e) {
      throw new AssertionError("seed %d, after: %s, %s".formatted(seed, last, current), e);
    }
    return operations / COMPARE_EVERY;
  }
}
