package memvisor.mmu.direct;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import memvisor.host.HostMemory;
import memvisor.memory.Hva;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The page-type system alone: which entries it takes, and that its counts stay exact. */
final class PageTypesTest {
  private static final int FRAMES = 256;

  /** Frames below this one are the domain's. */
  private static final int OWNED = 200;

  private static final int L4 = 10;
  private static final int L3 = 11;
  private static final int L2 = 12;
  private static final int L1 = 13;
  private static final int PAGE = 20;
  private static final int FOREIGN = 220;

  private static final long P = 1;
  private static final long RW = 2;
  private static final long U = 4;
  private static final long A = 0x20;
  private static final long D = 0x40;
  private static final long G = 0x100;
  private static final long KERNEL = 1L << 52;
  private static final long NX = 1L << 63;

  private HostMemory host;
  private PageTypes types;
  private int flushes;
  private int upperChanges;

  @BeforeEach
  void build() {
    host = HostMemory.create(FRAMES * 4096L);
    types =
        new PageTypes(
            host.machine(),
            new PageTypes.Translations() {
              @Override
              public void flushAll() {
                flushes++;
              }

              @Override
              public void upperEntryChanged() {
                upperChanges++;
              }
            });
    for (int mfn = 0; mfn < OWNED; mfn++) {
      types.own(mfn);
    }
  }

  @AfterEach
  void everyCountIsExact() {
    types.audit();
    host.close();
  }

  private void poke(int mfn, int index, long entry) {
    Hva.writeLong(host.machine().hva(mfn * 4096L + 8L * index), entry);
  }

  private long peek(int mfn, int index) {
    return Hva.readLong(host.machine().hva(mfn * 4096L + 8L * index));
  }

  private static long to(int mfn, long flags) {
    return (long) mfn << 12 | flags;
  }

  /** A path of one table per level, each with its next one in entry 0. */
  private void chain() {
    poke(L4, 0, to(L3, P | RW | U));
    poke(L3, 0, to(L2, P | RW | U));
    poke(L2, 0, to(L1, P | RW | U));
    poke(L1, 0, to(PAGE, P | RW | U));
  }

  // ---- pinning -------------------------------------------------------------------------------

  @Test
  void pinningATopTableTypesAllThatItLeadsTo() {
    chain();
    assertThat(types.pin(4, L4)).isZero();
    assertThat(List.of(L4, L3, L2, L1, PAGE).stream().map(types::type))
        .containsExactly(
            FrameType.L4, FrameType.L3, FrameType.L2, FrameType.L1, FrameType.WRITABLE);
    assertThat(types.typeCount(L3)).isEqualTo(1);
  }

  @Test
  void unpinningReleasesEverything() {
    chain();
    types.pin(4, L4);
    assertThat(types.unpin(L4)).isZero();
    for (int mfn = 0; mfn < OWNED; mfn++) {
      assertThat(types.count(mfn)).as("mfn %d", mfn).isZero();
    }
    assertThat(types.unpin(L4)).isEqualTo(-Errno.EINVAL);
  }

  @Test
  void aFramePinnedTwiceIsRefused() {
    types.pin(1, L1);
    assertThat(types.pin(1, L1)).isEqualTo(-Errno.EINVAL);
    assertThat(types.typeCount(L1)).isEqualTo(1);
  }

  @Test
  void aFailedValidationLeavesNoReference() {
    chain();
    poke(L1, 511, to(L2, P | RW | U));
    assertThat(types.pin(4, L4)).isNegative();
    for (int mfn = 0; mfn < OWNED; mfn++) {
      assertThat(types.count(mfn)).as("mfn %d", mfn).isZero();
    }
  }

  // ---- which entries -------------------------------------------------------------------------

  record Refused(String why, int level, long entry) {
    @Override
    public String toString() {
      return why;
    }
  }

  static Stream<Refused> refusedEntries() {
    return Stream.of(
        new Refused("a foreign frame", 1, to(FOREIGN, P)),
        new Refused("a frame past the machine", 1, to(FRAMES, P)),
        new Refused("a frame of 40 bits", 1, 0xF_FFFF_FFFF_F000L | P),
        new Refused("the page attribute bit", 1, to(PAGE, P | 0x80)),
        new Refused("cache disable", 1, to(PAGE, P | 0x10)),
        new Refused("write through", 1, to(PAGE, P | 8)),
        new Refused("the grant bit", 1, to(PAGE, P | 1L << 62)),
        new Refused("a writable mapping of a page table", 1, to(L1, P | RW)),
        new Refused("a large page", 2, to(PAGE, P | RW | 0x80)),
        new Refused("a large page of 1 GiB", 3, to(PAGE, P | 0x80)),
        new Refused("a global directory entry", 2, to(PAGE, P | G)),
        new Refused("the same table one level down", 2, to(L2, P)),
        new Refused("a foreign table", 3, to(FOREIGN, P)));
  }

  @ParameterizedTest
  @MethodSource("refusedEntries")
  void anEntryIsRefusedByUpdateAndByValidation(Refused c) {
    int table = L1 + 1 - c.level;
    assertThat(types.pin(c.level, table)).isZero();
    assertThat(types.update(table, 5, c.entry, false)).isNegative();
    assertThat(peek(table, 5)).isZero();
    types.unpin(table);
    poke(table, 5, c.entry);
    assertThat(types.pin(c.level, table)).isNegative();
  }

  record Stored(String what, int level, long entry, long stored) {
    @Override
    public String toString() {
      return what;
    }
  }

  static Stream<Stored> rewrittenEntries() {
    return Stream.of(
        new Stored("a kernel page", 1, to(PAGE, P | RW), to(PAGE, P | RW | U | KERNEL)),
        new Stored("a global kernel page", 1, to(PAGE, P | G), to(PAGE, P | U | G | KERNEL)),
        new Stored("a user page", 1, to(PAGE, P | U), to(PAGE, P | U | G)),
        new Stored("a marked page", 1, to(PAGE, P | U | G | KERNEL), to(PAGE, P | U | G | KERNEL)),
        new Stored("no-execute", 1, to(PAGE, P | U | NX), to(PAGE, P | U | G | NX)),
        new Stored("a directory entry", 2, to(PAGE, P | RW), to(PAGE, P | RW | U)),
        new Stored("a top entry", 4, to(PAGE, P | RW), to(PAGE, P | RW | U | A)),
        new Stored("an absent entry", 1, 0xABCD_EF00L, 0xABCD_EF00L));
  }

  @ParameterizedTest
  @MethodSource("rewrittenEntries")
  void anEntryIsStoredAsXenStoresIt(Stored c) {
    int table = L1 + 1 - c.level;
    types.pin(c.level, table);
    assertThat(types.update(table, 5, c.entry, false)).isZero();
    assertThat(peek(table, 5)).isEqualTo(c.stored);
  }

  @Test
  void theMonitorsSlotsAreOverwrittenAndClosed() {
    types.setReservedSlot(256, 0x1234_5000L | P);
    poke(L4, 256, to(PAGE, P | RW | U));
    poke(L4, 271, -1);
    poke(L4, 272, to(L3, P | U));
    assertThat(types.pin(4, L4)).isZero();
    assertThat(peek(L4, 256)).isEqualTo(0x1234_5000L | P);
    assertThat(peek(L4, 271)).isZero();
    assertThat(types.type(L3)).isEqualTo(FrameType.L3);
    assertThat(types.update(L4, 256, 0, false)).isEqualTo(-Errno.EINVAL);
  }

  // ---- updates -------------------------------------------------------------------------------

  @Test
  void aReadOnlySelfReferenceCannotBecomeWritable() {
    types.pin(1, L1);
    assertThat(types.update(L1, 3, to(L1, P), false)).isZero();
    assertThat(types.update(L1, 3, to(L1, P | RW), false)).isNegative();
    assertThat(peek(L1, 3) & RW).isZero();
  }

  @Test
  void aTopTableDoesNotReferToItself() {
    types.pin(4, L4);
    assertThat(types.update(L4, 3, to(L4, P | U), false)).isNegative();
  }

  @Test
  void replacingAnEntryReleasesTheOldTable() {
    chain();
    types.pin(4, L4);
    assertThat(types.update(L3, 0, 0, false)).isZero();
    assertThat(types.count(L2)).isZero();
    assertThat(types.count(PAGE)).isZero();
    assertThat(upperChanges).isEqualTo(1);
  }

  @Test
  void flagsAloneChangeWithoutValidation() {
    types.pin(1, L1);
    types.update(L1, 0, to(PAGE, P | RW | U), false);
    assertThat(types.update(L1, 0, to(PAGE, P | RW | A | D | NX), false)).isZero();
    assertThat(types.typeCount(PAGE)).isEqualTo(1);
    assertThat(types.update(L1, 0, to(PAGE, P), false)).isZero();
    assertThat(types.typeCount(PAGE)).isZero();
    assertThat(types.count(PAGE)).isEqualTo(1);
  }

  @Test
  void accessedAndDirtyAreKeptOnlyWhenAskedFor() {
    types.pin(1, L1);
    types.update(L1, 0, to(PAGE, P | RW | U), false);
    poke(L1, 0, peek(L1, 0) | A | D);
    types.update(L1, 0, to(PAGE, P | U), true);
    assertThat(peek(L1, 0) & (A | D)).isEqualTo(A | D);
    types.update(L1, 0, to(PAGE, P | U), false);
    assertThat(peek(L1, 0) & (A | D)).isZero();
  }

  @Test
  void aTableIsNoPlaceForRawWrites() {
    types.pin(1, L1);
    assertThat(types.writeRaw(L1, 0, -1)).isNegative();
    assertThat(types.writeRaw(PAGE, 8, 42)).isZero();
    assertThat(peek(PAGE, 1)).isEqualTo(42);
  }

  // ---- stale translations --------------------------------------------------------------------

  @Test
  void whatWasWritableIsFlushedBeforeItBecomesATable() {
    types.pin(1, L1);
    types.update(L1, 0, to(PAGE, P | RW), false);
    types.update(L1, 0, 0, false);
    assertThat(flushes).isZero();
    types.pin(1, PAGE);
    assertThat(flushes).isEqualTo(1);
  }

  @Test
  void aFlushInBetweenIsNotRepeated() {
    types.pin(1, L1);
    types.update(L1, 0, to(PAGE, P | RW), false);
    types.update(L1, 0, 0, false);
    types.flushed();
    types.pin(1, PAGE);
    assertThat(flushes).isZero();
  }

  @Test
  void whatWasATableIsFlushedBeforeItBecomesWritable() {
    types.pin(1, L1);
    types.pin(1, PAGE);
    types.unpin(PAGE);
    types.update(L1, 0, to(PAGE, P | RW), false);
    assertThat(flushes).isEqualTo(1);
  }

  // ---- descriptors ---------------------------------------------------------------------------

  record Descriptor(String what, long raw, boolean permitted, long stored) {
    @Override
    public String toString() {
      return what;
    }
  }

  static Stream<Descriptor> descriptors() {
    long kernelCode = 0x00AF_9B00_0000_FFFFL;
    long userData = 0x00CF_F300_0000_FFFFL;
    return Stream.of(
        new Descriptor("null", 0, true, 0),
        new Descriptor("code of ring 0", kernelCode, true, kernelCode | 3L << 45),
        new Descriptor("user data", userData, true, userData),
        new Descriptor("an absent gate", 0x0000_6C00_0000_0000L, true, 0x0000_6C00_0000_0000L),
        new Descriptor("a call gate", 0x0000_EC00_0008_0000L, false, 0),
        new Descriptor("a task-state segment", 0x0000_8900_0000_0067L, false, 0),
        new Descriptor("a local descriptor table", 0x0000_8200_0000_0FFFL, false, 0));
  }

  @ParameterizedTest
  @MethodSource("descriptors")
  void adescriptorOfAGuestHasRingThreeOrIsRefused(Descriptor c) {
    poke(PAGE, 7, c.raw);
    assertThat(types.hold(PAGE, FrameType.SEGDESC) == 0).isEqualTo(c.permitted);
    if (c.permitted) {
      assertThat(peek(PAGE, 7)).isEqualTo(c.stored);
      types.drop(PAGE);
    }
    poke(PAGE, 7, 0);
    types.hold(PAGE, FrameType.SEGDESC);
    assertThat(types.updateDescriptor(PAGE, 56, c.raw) == 0).isEqualTo(c.permitted);
  }

  @Test
  void aFrameOfDescriptorsCannotBeMappedWritable() {
    types.pin(1, L1);
    types.hold(PAGE, FrameType.SEGDESC);
    assertThat(types.update(L1, 0, to(PAGE, P | RW), false)).isNegative();
    assertThat(types.update(L1, 0, to(PAGE, P), false)).isZero();
  }

  // ---- ownership -----------------------------------------------------------------------------

  @Test
  void aFrameInUseIsNotGivenBack() {
    types.pin(1, L1);
    types.update(L1, 0, to(PAGE, P), false);
    assertThat(types.disown(PAGE)).isEqualTo(-Errno.EBUSY);
    types.update(L1, 0, 0, false);
    assertThat(types.disown(PAGE)).isZero();
    assertThat(types.update(L1, 0, to(PAGE, P), false)).isNegative();
    assertThat(types.disown(PAGE)).isEqualTo(-Errno.EINVAL);
  }

  @ParameterizedTest
  @MethodSource("nonsense")
  void aNumberThatIsNoFrameIsAnError(long mfn) {
    assertThat(types.isOwned(mfn)).isFalse();
    assertThat(types.pin(4, mfn)).isEqualTo(-Errno.EINVAL);
    assertThat(types.unpin(mfn)).isEqualTo(-Errno.EINVAL);
    assertThat(types.update(mfn, 0, 0, false)).isEqualTo(-Errno.EINVAL);
    assertThat(types.writeRaw(mfn, 0, 0)).isEqualTo(-Errno.EINVAL);
    assertThat(types.hold(mfn, FrameType.L4)).isEqualTo(-Errno.EINVAL);
  }

  static Stream<Long> nonsense() {
    return Stream.of(-1L, Long.MIN_VALUE, Long.MAX_VALUE, (long) FRAMES, 1L << 32, (long) FOREIGN);
  }

  // ---- random --------------------------------------------------------------------------------

  @Test
  void randomOperationsKeepTheCountsExact() {
    long seed = System.nanoTime();
    SplittableRandom random = new SplittableRandom(seed);
    try {
      for (int i = 0; i < 60_000; i++) {
        int table = random.nextInt(24);
        int target = random.nextInt(24);
        long flags = random.nextInt(8) == 0 ? 0 : P | random.nextLong() & (RW | U | A | D | NX);
        switch (random.nextInt(8)) {
          case 0 -> types.pin(1 + random.nextInt(4), table);
          case 1 -> types.unpin(table);
          case 2 -> types.writeRaw(table, 8 * random.nextInt(4), to(target, flags));
          default ->
              types.update(table, random.nextInt(4), to(target, flags), random.nextBoolean());
        }
        if (i % 64 == 0) {
          types.audit();
        }
      }
    } catch (IllegalStateException e) {
      throw new AssertionError("seed " + seed, e);
    }
    for (int mfn = 0; mfn < 24; mfn++) {
      types.unpin(mfn);
    }
    for (int mfn = 0; mfn < 24; mfn++) {
      assertThat(types.count(mfn)).as("seed %d mfn %d", seed, mfn).isZero();
    }
  }

  @Test
  void theAuditSeesAnEntryThatNobodyValidated() {
    types.pin(1, L1);
    poke(L1, 9, to(PAGE, P | RW));
    assertThatThrownBy(types::audit).hasMessageContaining("entry leads where it must not");
    poke(L1, 9, 0);
  }
}
