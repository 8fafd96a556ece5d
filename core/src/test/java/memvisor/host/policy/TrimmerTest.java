package memvisor.host.policy;

import static memvisor.host.policy.Views.SECOND;
import static memvisor.host.policy.Views.host;
import static memvisor.host.policy.Views.means;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import memvisor.host.policy.Decision.Step;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whose long unused pages are compressed before anything is short. */
final class TrimmerTest {
  private static final long TOTAL = 100_000;
  private static final VmTerms TERMS = VmTerms.of("a", 60_000);

  private static VmView vm(long cold, long refaults, long floor) {
    return new VmView(
        1,
        TERMS.withFloorPages(floor),
        10_000,
        1_000,
        cold,
        Pressure.NONE,
        refaults,
        BalloonView.NONE);
  }

  private static List<Order> trim(
      Trimmer trimmer, long second, MemoryState state, boolean compress, VmView vm) {
    List<Order> orders = new ArrayList<>();
    HostView view = host(second * SECOND, TOTAL, 50_000, means(true, compress, 0), vm);
    trimmer.trim(view, state, orders);
    return orders;
  }

  @ParameterizedTest
  @CsvSource({
    "30, HIGH, true,  9000, 0,   0,     9000, what nobody uses goes",
    "30, SOFT, true,  9000, 0,   0,     9000, also when balloons are asked",
    "30, HARD, true,  9000, 0,   0,     0,    in need others decide",
    "30, HIGH, false, 9000, 0,   0,     0,    nowhere to put it",
    "0,  HIGH, true,  9000, 0,   0,     0,    switched off",
    "30, HIGH, true,  31,   0,   0,     0,    too few to bother",
    "30, HIGH, true,  9000, 51,  0,     0,    it needs them after all",
    "30, HIGH, true,  9000, 50,  0,     9000, a few may come back",
    "30, HIGH, true,  9000, 0,   8000,  2000, never below the floor",
    "30, HIGH, true,  9000, 0,   10000, 0,    at its floor"
  })
  void pagesAreTrimmed(
      long after,
      MemoryState state,
      boolean compress,
      long cold,
      long refaults,
      long floor,
      long pages,
      String why) {
    List<Order> orders =
        trim(new Trimmer(after * SECOND), 100, state, compress, vm(cold, refaults, floor));
    assertThat(orders.stream().mapToLong(Order::pages).sum()).as(why).isEqualTo(pages);
    if (pages > 0) {
      assertThat(orders.getFirst().step()).isEqualTo(Step.TRIM);
      assertThat(orders.getFirst().reason())
          .isEqualTo("it has not used 9000 of its 10000 pages for 30 s");
    }
  }

  @Test
  void aVmThatNeedsItsPagesBackIsLeftAloneForLongerEachTime() {
    Trimmer trimmer = new Trimmer(30 * SECOND);
    List<Long> trimmedAt = new ArrayList<>();
    for (long second = 0; second < 700; second++) {
      // Whatever was taken is needed again at once.
      boolean regret = !trimmedAt.isEmpty() && trimmedAt.getLast() == second - 1;
      if (!trim(trimmer, second, MemoryState.HIGH, true, vm(5_000, regret ? 900 : 0, 0))
          .isEmpty()) {
        trimmedAt.add(second);
      }
    }
    assertThat(trimmedAt).containsExactly(0L, 31L, 92L, 213L, 454L);
  }
}
