package memvisor.host.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.SplittableRandom;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class CompressedPoolTest {
  private static final int PAGE = PageCodec.PAGE_BYTES;
  private static final int FRAMES = 256;
  private static final int MOVED = 0x1460_0000;

  private final Arena arena = Arena.ofAuto();
  private final MachineMemory machine =
      new MachineMemory(arena.allocate((long) FRAMES * PAGE, PAGE).address(), FRAMES * PAGE);
  private final Deque<Long> free = new ArrayDeque<>();
  private final PageCodec codec = new PageCodec();
  private final long target = arena.allocate(PAGE, 8).address();
  private CompressedPool pool = pool(FRAMES);
  private PoolIntake intake = new PoolIntake(pool, machine, codec, true);
  private final CompressedPool.Domain domain = pool.domain("friends");
  private long who;

  private CompressedPool pool(long limit) {
    free.clear();
    for (long frame = 0; frame < FRAMES; frame++) {
      free.add(frame * PAGE);
    }
    PoolFrames source =
        new PoolFrames() {
          @Override
          public long take() {
            Long hpa = free.poll();
            return hpa == null ? -1 : hpa;
          }

          @Override
          public void give(long hpa) {
            free.push(hpa);
          }
        };
    return new CompressedPool(machine, source, limit);
  }

  /** Hands a page in, in a frame that is free again afterwards unless the pool keeps it. */
  private long take(CompressedPool.Domain in, byte[] page, long owner) {
    long hpa = free.remove();
    Hva.write(machine.hva(hpa), page, 0, PAGE);
    long handle = intake.take(in, hpa, owner);
    if (handle != hpa) {
      Hva.fill(machine.hva(hpa), PAGE, 0xEE);
      free.push(hpa);
    }
    return handle;
  }

  private long take(byte[] page) {
    return take(domain, page, ++who);
  }

  private byte[] load(long handle) {
    assertThat(pool.load(handle, codec, target)).isTrue();
    byte[] page = new byte[PAGE];
    Hva.read(target, page, 0, PAGE);
    return page;
  }

  /** The pages of a kernel that does not compress, of three guests: refused, whole, patched. */
  private long[] kernel(int page) {
    return new long[] {
      take(Relocated.code(page, 0)),
      take(Relocated.code(page, MOVED)),
      take(Relocated.code(page, 2 * MOVED))
    };
  }

  @Test
  void thePageThatDoesNotCompressIsRefusedThenKeptWholeThenPatched() {
    long[] handles = kernel(7);
    assertThat(handles[0]).isEqualTo(PoolIntake.INCOMPRESSIBLE);
    assertThat(pool.isWhole(handles[1])).isTrue();
    assertThat(pool.isPatch(handles[2])).isTrue();
    assertThat(load(handles[1])).isEqualTo(Relocated.code(7, MOVED));
    assertThat(load(handles[2])).isEqualTo(Relocated.code(7, 2 * MOVED));
    assertThat(pool.counters().patchBytes()).isLessThan(PAGE / 4);
    assertThat(domain.wholesEver()).isEqualTo(1);
    assertThat(take(Relocated.code(7, 0))).as("the first, tried again").isPositive();
    assertThat(pool.counters().patches()).isEqualTo(2);
    pool.audit();
  }

  @Test
  void aPageIsNoWitnessForItself() {
    for (int i = 0; i < 3; i++) {
      assertThat(take(domain, Relocated.code(7, 0), 99)).isEqualTo(PoolIntake.INCOMPRESSIBLE);
    }
    assertThat(pool.counters().frames()).isZero();
  }

  @Test
  void aPageThatCompressesIsABaseAsWell() {
    long base = take(Relocated.records(3, 0));
    long patch = take(Relocated.records(3, 0x4000_0000));
    assertThat(pool.isPatch(base)).isFalse();
    assertThat(pool.isPatch(patch)).isTrue();
    assertThat(load(patch)).isEqualTo(Relocated.records(3, 0x4000_0000));
    double alone = pool.counters().bytes() - pool.counters().patchBytes();
    assertThat(pool.counters().patchBytes()).isLessThan((long) alone / 2);
    assertThat(pool.partBytes(base)).isEqualTo(alone / 2);
    assertThat(pool.partBytes(base) + pool.partBytes(patch)).isEqualTo(pool.counters().bytes());
  }

  @Test
  void aBaseStaysUntilTheLastPatchToItHasGone() {
    long[] handles = kernel(7);
    long other = take(Relocated.code(7, 3 * MOVED));
    pool.free(domain, handles[1]);
    assertThat(pool.counters().kept()).isEqualTo(1);
    pool.audit();
    assertThat(load(handles[2])).isEqualTo(Relocated.code(7, 2 * MOVED));
    assertThatThrownBy(() -> pool.free(domain, handles[1])).hasMessageContaining("nobody uses");
    pool.free(domain, handles[2]);
    assertThat(load(other)).isEqualTo(Relocated.code(7, 3 * MOVED));
    assertThat(pool.counters().wholes()).isEqualTo(1);
    pool.free(domain, other);
    assertThat(pool.counters().frames()).isZero();
    assertThat(pool.counters().bytes()).isZero();
    assertThat(free).hasSize(FRAMES);
    pool.audit();
    pool.forget("friends");
  }

  @Test
  void whoComesBackToAKeptBaseFindsIt() {
    long[] handles = kernel(7);
    pool.free(domain, handles[1]);
    assertThat(take(Relocated.code(7, MOVED))).isEqualTo(handles[1]);
    assertThat(pool.counters().kept()).isZero();
    assertThat(pool.counters().sharing()).isZero();
    assertThat(take(Relocated.code(7, 2 * MOVED))).as("equal patches").isEqualTo(handles[2]);
    assertThat(pool.counters().sharing()).isEqualTo(1);
    assertThat(pool.counters().patches()).isEqualTo(2);
    pool.audit();
  }

  @Test
  void nothingCrossesATrustDomain() {
    CompressedPool.Domain stranger = pool.domain("stranger");
    kernel(7);
    take(Relocated.records(3, 0));
    assertThat(take(stranger, Relocated.code(7, 4 * MOVED), ++who))
        .isEqualTo(PoolIntake.INCOMPRESSIBLE);
    long alone = take(stranger, Relocated.records(3, 0x1000), ++who);
    long equal = take(stranger, Relocated.records(3, 0), ++who);
    assertThat(pool.isPatch(alone)).isFalse();
    assertThat(pool.isPatch(equal)).as("to the stranger's own").isTrue();
    assertThat(pool.counters().sharing()).isZero();
    assertThatThrownBy(() -> pool.forget("stranger")).hasMessageContaining("count=2");
  }

  @Test
  void damageToABaseShowsInEveryPatchToIt() {
    long[] handles = kernel(7);
    long at = machine.hva(handles[1]) + 1234;
    Hva.writeByte(at, Hva.readByte(at) ^ 4);
    assertThat(pool.load(handles[1], codec, target)).isFalse();
    assertThat(pool.load(handles[2], codec, target)).isFalse();
    // A page is never taken for equal to a damaged one.
    assertThat(take(Relocated.code(7, MOVED))).isNotEqualTo(handles[1]);
    pool.audit();
  }

  @Test
  void aFlippedBitInAPatchIsCaughtOrChangesNothing() {
    long[] handles = kernel(7);
    int length = (int) pool.counters().patchBytes();
    for (int bit = 0; bit < length * 8; bit++) {
      long at = machine.hva(handles[2]) + bit / 8;
      Hva.writeByte(at, Hva.readByte(at) ^ 1 << bit % 8);
      if (pool.load(handles[2], codec, target)) {
        assertThat(load(handles[2])).isEqualTo(Relocated.code(7, 2 * MOVED));
      }
      Hva.writeByte(at, Hva.readByte(at) ^ 1 << bit % 8);
    }
    assertThat(load(handles[2])).isEqualTo(Relocated.code(7, 2 * MOVED));
  }

  @Test
  void aFullPoolKeepsNoPageWhole() {
    pool = pool(1);
    intake = new PoolIntake(pool, machine, codec, true);
    CompressedPool.Domain full = pool.domain("friends");
    assertThat(take(full, Relocated.records(1, 0), 1)).isPositive();
    assertThat(take(full, Relocated.code(7, 0), 2)).isEqualTo(PoolIntake.INCOMPRESSIBLE);
    assertThat(take(full, Relocated.code(7, MOVED), 3)).isEqualTo(PoolIntake.INCOMPRESSIBLE);
    assertThat(pool.counters().frames()).isEqualTo(1);
    pool.audit();
  }

  @Test
  void wholePagesLeaveMostOfThePoolToOthers() {
    pool = pool(8);
    intake = new PoolIntake(pool, machine, codec, true);
    CompressedPool.Domain greedy = pool.domain("friends");
    for (int page = 0; page < 20; page++) {
      take(greedy, Relocated.code(page, 0), ++who);
      take(greedy, Relocated.code(page, MOVED), ++who);
    }
    assertThat(pool.counters().wholes()).isEqualTo(2);
    assertThat(take(pool.domain("others"), Relocated.records(1, 0), ++who)).isPositive();
    pool.audit();
  }

  /** Different pages of one checksum: CRC is linear, so whoever wants to can make any number. */
  @Test
  void pagesOfOneChecksumAreToldApartAtABoundedPrice() {
    List<byte[]> forged = new ArrayList<>();
    for (int i = 1; i <= 100; i++) {
      forged.add(Crc.withChecksum(Relocated.records(i, 0), 0x1234_5678));
    }
    long[] handles = forged.stream().mapToLong(this::take).toArray();
    assertThat(Arrays.stream(handles).distinct()).hasSize(100);
    for (int i = 0; i < 100; i++) {
      assertThat(load(handles[i])).isEqualTo(forged.get(i));
    }
    Arrays.stream(handles).forEach(handle -> pool.free(domain, handle));
    assertThat(pool.counters().frames()).isZero();
    pool.audit();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void anyOrderOfTakingAndFreeingKeepsEveryPageWhole(long seed) {
    System.out.println("compressed pool: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    List<byte[]> contents = new ArrayList<>();
    List<Long> handles = new ArrayList<>();
    long keptAtMost = 0;
    for (int step = 0; step < 6_000; step++) {
      if (random.nextInt(100) < (step / 1000 % 2 == 0 ? 60 : 40) || handles.isEmpty()) {
        byte[] page = page(random);
        long handle = take(page);
        if (handle >= 0) {
          contents.add(page);
          handles.add(handle);
        }
      } else {
        int which = random.nextInt(handles.size());
        assertThat(load(handles.get(which))).isEqualTo(contents.get(which));
        pool.free(domain, handles.remove(which));
        contents.remove(which);
      }
      keptAtMost = Math.max(keptAtMost, pool.counters().kept());
      if (step % 500 == 0) {
        pool.audit();
        assertThat(pool.counters().pages()).isEqualTo(handles.size());
      }
    }
    assertThat(domain.wholesEver()).isPositive();
    assertThat(keptAtMost).as("bases without a page of their own").isPositive();
    handles.forEach(handle -> pool.free(domain, handle));
    pool.audit();
    assertThat(pool.counters().frames()).isZero();
    assertThat(free).hasSize(FRAMES);
  }

  /** One of few pages, moved, and in some places changed. */
  private static byte[] page(SplittableRandom random) {
    int which = random.nextInt(30);
    int moved = random.nextInt(4) << 21;
    byte[] page =
        random.nextBoolean() ? Relocated.code(which, moved) : Relocated.records(which, moved);
    for (int changes = random.nextInt(3) * random.nextInt(20); changes > 0; changes--) {
      page[random.nextInt(PAGE)] = (byte) random.nextInt();
    }
    return page;
  }
}
