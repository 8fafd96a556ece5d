package memvisor.host.reclaim;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.dedup.PageHash;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.frames.Ledger;
import memvisor.host.frames.MachineFrames;
import memvisor.host.frames.TransitionReason;
import memvisor.memory.FrameRole;
import memvisor.memory.Hva;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Users of one shared frame come and go at the worst moments. The content hash, which is taken
 * between the look without the lock and the one with it, is where the other VM acts: each of these
 * races happens in every run.
 */
final class SharedFramesTest {
  private static final String FRIENDS = "friends";
  private static final int ONE = 1;
  private static final int OTHER = 2;

  private final MachineFrames host = MachineFrames.create(HostMemoryOptions.ofSize(1 << 20));
  private Runnable meanwhile = () -> {};
  private final SharedFrames frames =
      new SharedFrames(host, DedupOptions.ON.withHash(this::hashWhileOthersAct));
  private final SharedFrames.Domain domain = frames.domain(FRIENDS);
  private long shared;

  private long hashWhileOthersAct(long hva) {
    Runnable act = meanwhile;
    meanwhile = () -> {};
    act.run();
    return PageHash.FOUR_LANES.of(hva);
  }

  private long page(int vmId) {
    long hpa = host.allocate(0, vmId, FrameRole.GUEST_PAGE, TransitionReason.POPULATED);
    Hva.fill(host.machine().hva(hpa), 4096, 7);
    return hpa;
  }

  /** One more user finds the frame by its contents. */
  private void join() {
    long own = page(OTHER);
    long hva = host.machine().hva(own);
    assertThat(frames.join(domain, PageHash.FOUR_LANES.of(hva), hva)).isEqualTo(shared);
    host.free(own, OTHER, TransitionReason.DEDUPLICATED);
  }

  private void leave() {
    frames.leave(FRIENDS, shared, TransitionReason.UNSHARED);
  }

  private boolean takeBack() {
    return frames.takeBack(FRIENDS, shared, ONE);
  }

  @BeforeEach
  void oneVmOffersAPage() {
    shared = page(ONE);
    frames.offer(domain, PageHash.FOUR_LANES.of(host.machine().hva(shared)), shared, ONE);
  }

  @AfterEach
  void theBooksAreExact() {
    host.audit();
    host.close();
  }

  @Test
  void whoJoinsWhileTheOnlyUserTakesTheFrameBackKeepsIt() {
    meanwhile = this::join;
    assertThat(takeBack()).isFalse();
    assertThat(host.references(shared)).isEqualTo(2);
    leave();
    assertThat(takeBack()).isTrue();
    assertThat(host.ledger().owner(shared >>> 12)).isEqualTo(ONE);
    assertThat(frames.counters().pagesShared()).isZero();
  }

  @Test
  void whoJoinsWhileTheLastUserLeavesKeepsTheFrame() {
    meanwhile = this::join;
    leave();
    assertThat(host.references(shared)).isEqualTo(1);
    assertThat(host.ledger().describe(shared >>> 12).role()).isEqualTo(FrameRole.SHARED);
    join();
    assertThat(frames.counters().pagesSharing()).isEqualTo(1);
    leave();
    leave();
    assertThat(host.ledger().describe(shared >>> 12).role()).isEqualTo(FrameRole.FREE);
  }

  @Test
  void whoJoinsAndLeavesWhileTheLastUserLeavesLeavesNothingBehind() {
    meanwhile =
        () -> {
          join();
          leave();
        };
    leave();
    assertThat(host.ledger().describe(shared >>> 12).role()).isEqualTo(FrameRole.FREE);
    assertThat(host.ledger().totals().count(FrameRole.SHARED)).isZero();
    assertThat(frames.counters().pagesShared()).isZero();
    assertThat(frames.counters().pagesSharing()).isZero();
    frames.forget(FRIENDS);
  }

  @Test
  void whatOthersShareIsLeftAndWrittenWithoutTheLock() throws Exception {
    join();
    join();
    long zero = frames.joinZero();
    SharedFrames.Stripe stripe = domain.stripe(PageHash.FOUR_LANES.of(host.machine().hva(shared)));
    synchronized (stripe) {
      assertThat(elsewhere(this::takeBack)).isFalse();
      elsewhere(
          () -> {
            leave();
            return frames.joinZero();
          });
    }
    assertThat(host.references(shared)).isEqualTo(2);
    assertThat(host.references(zero)).as("two pages, and nobody's reference").isEqualTo(3);
  }

  @Test
  void differentContentsDoNotWaitForEachOther() throws Exception {
    long hash = PageHash.FOUR_LANES.of(host.machine().hva(shared));
    long other = hash ^ 1L << 63;
    long own = page(OTHER);
    synchronized (domain.stripe(hash)) {
      assertThat(elsewhere(() -> frames.meet(domain, other, 5))).isZero();
      assertThat(elsewhere(() -> frames.join(domain, other, host.machine().hva(own))))
          .isEqualTo(-1);
    }
    assertThat(host.ledger().owner(own >>> 12)).isNotEqualTo(Ledger.NO_VM);
  }

  /** What a thread gets that is kept waiting by no lock of this one. */
  private static <T> T elsewhere(Callable<T> action)
      throws InterruptedException, ExecutionException, TimeoutException {
    try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
      return thread.submit(action).get(60, TimeUnit.SECONDS);
    }
  }
}
