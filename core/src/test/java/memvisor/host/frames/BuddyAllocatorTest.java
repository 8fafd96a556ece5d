package memvisor.host.frames;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BuddyAllocatorTest {
  private static final int NONE = -1;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void randomOperationsAgreeWithASetOfFreeFrames(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int frameCount = 1 + random.nextInt(5000);
    BuddyAllocator buddy = new BuddyAllocator(frameCount);
    BitSet free = new BitSet();
    free.set(0, frameCount);
    List<int[]> taken = new ArrayList<>();
    for (int step = 0; step < 3000; step++) {
      switch (random.nextInt(4)) {
        case 0, 1 -> takeBlock(buddy, free, taken, random.nextInt(8), "seed=" + seed);
        case 2 -> takeRun(buddy, free, taken, 1 + random.nextInt(40), 1 << random.nextInt(6));
        default -> giveBackPart(buddy, free, taken, random);
      }
      assertThat(buddy.freeFrames())
          .as("seed=%d step=%d", seed, step)
          .isEqualTo(free.cardinality());
    }
    for (int frame = 0; frame < frameCount; frame++) {
      assertThat(buddy.freeBlockOf(frame) != NONE).as("hfn=%d", frame).isEqualTo(free.get(frame));
    }
    taken.forEach(range -> buddy.free(range[0], range[1]));
    assertEverythingCoalesced(buddy, frameCount);
  }

  private static void takeBlock(
      BuddyAllocator buddy, BitSet free, List<int[]> taken, int order, String context) {
    int size = 1 << order;
    int block = buddy.allocate(order);
    if (block == NONE) {
      for (int first = 0; first + size <= free.length(); first += size) {
        assertThat(free.nextClearBit(first)).as(context).isLessThan(first + size);
      }
      return;
    }
    assertThat(block % size).as(context).isZero();
    assertThat(free.nextClearBit(block)).as(context).isGreaterThanOrEqualTo(block + size);
    free.clear(block, block + size);
    taken.add(new int[] {block, size});
  }

  private static void takeRun(
      BuddyAllocator buddy, BitSet free, List<int[]> taken, int count, int alignment) {
    int expected = NONE;
    for (int first = 0; first + count <= free.length() && expected == NONE; first += alignment) {
      expected = free.nextClearBit(first) >= first + count ? first : NONE;
    }
    int run = buddy.findRun(count, alignment);
    assertThat(run).isEqualTo(expected);
    if (run != NONE) {
      buddy.claim(run, count);
      free.clear(run, run + count);
      taken.add(new int[] {run, count});
    }
  }

  private static void giveBackPart(
      BuddyAllocator buddy, BitSet free, List<int[]> taken, SplittableRandom random) {
    if (taken.isEmpty()) {
      return;
    }
    int[] range = taken.remove(random.nextInt(taken.size()));
    int kept = random.nextInt(range[1]);
    if (kept > 0) {
      taken.add(new int[] {range[0], kept});
    }
    buddy.free(range[0] + kept, range[1] - kept);
    free.set(range[0] + kept, range[0] + range[1]);
  }

  private static void assertEverythingCoalesced(BuddyAllocator buddy, int frameCount) {
    int largest = Integer.highestOneBit(frameCount);
    assertThat(buddy.freeBlockOf(largest - 1)).isZero();
    assertThat(buddy.allocate(Integer.numberOfTrailingZeros(largest))).isZero();
  }

  @Test
  void freeingTwiceFailsLoudly() {
    BuddyAllocator buddy = new BuddyAllocator(64);
    int frame = buddy.allocate(0);
    buddy.free(frame, 1);
    assertThatThrownBy(() -> buddy.free(frame, 1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("hfn=0x0");
  }

  @Test
  void claimingAFrameInUseFailsLoudly() {
    BuddyAllocator buddy = new BuddyAllocator(64);
    buddy.claim(10, 1);
    assertThatThrownBy(() -> buddy.claim(8, 4))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("hfn=0xa");
  }

  @Test
  void anOrder18BlockIsOneGibibyte() {
    BuddyAllocator buddy = new BuddyAllocator((1 << 18) + 5);
    assertThat(buddy.allocate(BuddyAllocator.MAX_ORDER)).isZero();
    assertThat(buddy.allocate(BuddyAllocator.MAX_ORDER)).isEqualTo(NONE);
    assertThat(buddy.freeFrames()).isEqualTo(5);
  }
}
