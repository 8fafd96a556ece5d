package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is known of a RIP is never what is known of another, and no longer than it holds. */
class JumpCacheTest {
  private static final int KERNEL = CodeMode.LONG | CodeMode.PROTECTED;
  private static final int USER = KERNEL | 3 << CodeMode.CPL_SHIFT;
  private static final int PROTECTED32 = CodeMode.PROTECTED | CodeMode.DEFAULT32;
  private static final long RIP = 0xFFFF_FFFF_8100_0123L;

  /** More flushes than there are epochs. */
  private static final int MANY = 40_000;

  private final JumpCache jumps = new JumpCache();

  @BeforeEach
  void runTheKernel() {
    jumps.enter(KERNEL, 0);
  }

  private static Block block(long hpa, int mode) {
    MicroOp op =
        new MicroOp(0, 1) {
          @Override
          int execute(Vcpu c) {
            return NEXT;
          }
        };
    return new Block(
        hpa, new DecodedCode(mode, (int) hpa & 4095, new MicroOp[] {op}, 1, new byte[1]), -1);
  }

  @Test
  void findsWhatWasPutUntilItIsDropped() {
    Block block = block(0x1123, KERNEL);
    jumps.put(RIP, block, true);
    assertThat(jumps.find(RIP)).isSameAs(block);
    assertThat(jumps.find(RIP + 1)).isNull();
    block.drop();
    assertThat(jumps.find(RIP)).isNull();
    assertThat(jumps.confirm(RIP, 0x1123, true)).isNull();
  }

  @Test
  void onlyGlobalEntriesOutliveAChangeOfAddressSpace() {
    jumps.put(RIP, block(0x1123, KERNEL), true);
    jumps.put(0x40_0000, block(0x2000, KERNEL), false);
    jumps.flushNonGlobal();
    assertThat(jumps.find(RIP)).isNotNull();
    assertThat(jumps.find(0x40_0000)).isNull();
    jumps.flush();
    assertThat(jumps.find(RIP)).isNull();
  }

  @Test
  void whatIsNoLongerCurrentIsConfirmedByItsAddressOnly() {
    Block block = block(0x1123, KERNEL);
    jumps.put(RIP, block, true);
    jumps.flush();
    assertThat(jumps.confirm(RIP, 0x5123, true)).isNull();
    assertThat(jumps.find(RIP)).isNull();
    assertThat(jumps.confirm(RIP, 0x1123, true)).isSameAs(block);
    assertThat(jumps.find(RIP)).isSameAs(block);
  }

  @Test
  void anInvalidatedPageLosesAllItsEntriesWhateverItsOffset() {
    for (int offset = 0; offset < 4096; offset++) {
      jumps.put((RIP & -4096L) + offset, block(0x1000 + offset, KERNEL), (offset & 1) == 0);
    }
    jumps.flushPage(RIP);
    for (int offset = 0; offset < 4096; offset++) {
      assertThat(jumps.find((RIP & -4096L) + offset)).isNull();
    }
  }

  @Test
  void anInvalidatedPageCostsAnotherNothing() {
    jumps.put(RIP, block(0x1123, KERNEL), true);
    jumps.flushPage(RIP + 4096);
    assertThat(jumps.find(RIP)).isNotNull();
  }

  @Test
  void aBlockIsFoundInItsOwnModeOnly() {
    int[] modes = {KERNEL, USER, PROTECTED32, CodeMode.PROTECTED, 0};
    for (int own : modes) {
      jumps.enter(own, 0);
      Block block = block(0x2123, own);
      jumps.put(0x1123, block, true);
      assertThat(jumps.find(0x1123)).isSameAs(block);
      for (int other : modes) {
        jumps.enter(other, 0);
        if (other != own) {
          assertThat(jumps.find(0x1123)).as("%x in %x", own, other).isNull();
          assertThat(jumps.confirm(0x1123, 0x2123, true)).isNull();
        }
      }
    }
  }

  @Test
  void anotherCodeSegmentBaseMakesEverythingStale() {
    jumps.enter(PROTECTED32, 0);
    jumps.put(0x1123, block(0x2123, PROTECTED32), true);
    jumps.enter(PROTECTED32, 0x1_0000);
    assertThat(jumps.find(0x1123)).isNull();
    jumps.put(0x1123, block(0x3123, PROTECTED32), true);
    jumps.flushPage(0x1_1123);
    assertThat(jumps.find(0x1123)).isNull();
  }

  @Test
  void aRipThatIsNotCanonicalIsNotTakenForItsNeighbour() {
    long low = 0x0000_8000_0000_1123L;
    long high = 0xFFFF_8000_0000_1123L;
    jumps.put(high, block(0x1123, KERNEL), true);
    assertThat(jumps.find(low)).isNull();
    assertThat(jumps.translation(low)).isNull();
    Block block = block(0x2123, KERNEL);
    jumps.put(high, block, true);
    jumps.put(low, block(0x3123, KERNEL), true);
    assertThat(jumps.find(high)).isSameAs(block);
  }

  @Test
  void noEntryBecomesCurrentAgainWhenEpochsAreUsedUp() {
    jumps.put(RIP, block(0x1123, KERNEL), true);
    jumps.put(RIP + 1, block(0x1124, KERNEL), false);
    for (int n = 0; n < MANY; n++) {
      jumps.flushNonGlobal();
      assertThat(jumps.find(RIP + 1)).isNull();
    }
    jumps.flushBlocks();
    for (int n = 0; n < MANY; n++) {
      jumps.flushBlocks();
      assertThat(jumps.find(RIP)).isNull();
      assertThat(jumps.find(RIP + 1)).isNull();
    }
  }

  @Test
  void whateverIsFoundIsWhatWasPutLast() {
    long seed = System.nanoTime();
    System.out.printf("jump cache: seed=%d%n", seed);
    SplittableRandom random = new SplittableRandom(seed);
    Map<Long, Block> truth = new HashMap<>();
    int found = 0;
    for (int n = 0; n < 200_000; n++) {
      long rip = 0x40_0000 + random.nextInt(1 << 16);
      switch (random.nextInt(1000)) {
        case 0 -> {
          jumps.flushPage(rip);
          truth.keySet().removeIf(known -> known >>> 12 == rip >>> 12);
        }
        case 1 -> {
          jumps.flushNonGlobal();
          truth.clear();
        }
        default -> {
          Block block = jumps.find(rip);
          if (block == null) {
            block = block(0x1000 + n, KERNEL);
            jumps.put(rip, block, false);
            truth.put(rip, block);
          } else {
            found++;
            assertThat(block).isSameAs(truth.get(rip));
          }
        }
      }
    }
    assertThat(found).isPositive();
  }
}
