package memvisor.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class DirtyLogTest {
  private static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY
          .with(new MemoryRegion(0x3000, 70 * 4096, MemoryRegion.Kind.RAM))
          .with(new MemoryRegion(1L << 32, 200 * 4096, MemoryRegion.Kind.RAM));

  private static List<Long> drained(DirtyLog log) {
    List<Long> frames = new ArrayList<>();
    log.drain(frames::add);
    return frames;
  }

  @Test
  void drainingGivesWhatWasMarkedOnceAndInOrder() {
    SplittableRandom random = new SplittableRandom(21);
    DirtyLog log = new DirtyLog(MAP);
    for (int round = 0; round < 200; round++) {
      TreeSet<Long> marked = new TreeSet<>();
      for (int i = random.nextInt(60); i > 0; i--) {
        long gfn = random.nextBoolean() ? 3 + random.nextInt(70) : 0x100000L + random.nextInt(200);
        log.mark(gfn);
        marked.add(gfn);
        assertThat(log.isDirty(gfn)).isTrue();
      }
      assertThat(drained(log)).as("seed=21 round=%d", round).containsExactlyElementsOf(marked);
      assertThat(drained(log)).isEmpty();
    }
  }

  @Test
  void aFrameOutsideTheMapIsRefused() {
    DirtyLog log = new DirtyLog(MAP);
    for (long gfn : new long[] {2, 73, 0xFFFFF, 0x100000 + 200, -1}) {
      assertThatThrownBy(() -> log.mark(gfn)).isInstanceOf(IllegalArgumentException.class);
    }
  }

  @RepeatedTest(50)
  void noMarkIsLostToAConcurrentDrain() throws InterruptedException {
    DirtyLog log = new DirtyLog(MAP);
    BitSet seen = new BitSet();
    List<Thread> writers = new ArrayList<>();
    for (int writer = 0; writer < 2; writer++) {
      int first = writer;
      writers.add(
          Thread.ofPlatform()
              .start(
                  () -> {
                    for (long gfn = first; gfn < 200; gfn += 2) {
                      log.mark(0x100000 + gfn);
                    }
                  }));
    }
    while (writers.stream().anyMatch(Thread::isAlive)) {
      log.drain(gfn -> seen.set((int) (gfn - 0x100000)));
    }
    log.drain(gfn -> seen.set((int) (gfn - 0x100000)));
    for (Thread writer : writers) {
      writer.join();
    }
    assertThat(seen.cardinality()).isEqualTo(200);
  }
}
