package memvisor.host.policy;

import static memvisor.host.policy.Views.SECOND;
import static memvisor.host.policy.Views.balloon;
import static memvisor.host.policy.Views.host;
import static memvisor.host.policy.Views.means;
import static memvisor.host.policy.Views.vm;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import memvisor.host.policy.Decision.Step;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the policy makes of one snapshot, and of a few in a row. */
final class OvercommitPolicyTest {
  private static final long TOTAL = 100_000;
  private static final VmTerms TERMS = VmTerms.of("a", 60_000);

  private static List<Step> steps(Plan plan) {
    return plan.orders().stream()
        .map(Order::step)
        .filter(step -> step != Step.STATE && step != Step.STORM)
        .toList();
  }

  private static long pages(Plan plan, int vmId, Step step) {
    return plan.orders().stream()
        .filter(order -> order.vmId() == vmId && order.step() == step)
        .mapToLong(Order::pages)
        .sum();
  }

  private static Plan plan(HostView view) {
    return new OvercommitPolicy(PolicyOptions.DEFAULT).plan(view);
  }

  /** Free frames, means, balloon of the one VM, and what is ordered. */
  record Case(String name, long free, HostView.Means means, BalloonView balloon, List<Step> steps) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    HostView.Means all = means(true, true, 10_000);
    HostView.Means none = means(false, false, 0);
    BalloonView good = balloon(0, 30_000);
    BalloonView tight = balloon(0, 1_000);
    BalloonView broken =
        new BalloonView(
            new BalloonStanding.Breached("it lies", 0), 0, 0, java.util.OptionalLong.of(30_000));
    return Stream.of(
        new Case("enough is free: nothing", 20_000, all, good, List.of()),
        new Case(
            "soft: merge, and ask the balloon",
            4_500,
            all,
            good,
            List.of(Step.MERGE, Step.BALLOON)),
        new Case(
            "soft, a guest that can spare nothing: compress what is idle",
            4_500,
            all,
            tight,
            List.of(Step.MERGE, Step.COMPRESS)),
        new Case(
            "soft, a balloon that broke its contract: compress what is idle",
            4_500,
            all,
            broken,
            List.of(Step.MERGE, Step.COMPRESS)),
        new Case(
            "soft, no balloon, no compression: swap what is idle",
            4_500,
            means(false, false, 10_000),
            BalloonView.NONE,
            List.of(Step.SWAP)),
        new Case(
            "hard: as well as the balloon, by force",
            2_500,
            all,
            good,
            List.of(Step.MERGE, Step.BALLOON, Step.COMPRESS)),
        new Case(
            "hard, no compression: swap",
            2_500,
            means(false, false, 10_000),
            good,
            List.of(Step.BALLOON, Step.SWAP)),
        new Case(
            "hard, without any means: only the balloon", 2_500, none, good, List.of(Step.BALLOON)),
        new Case("low, without any means at all: nothing", 100, none, BalloonView.NONE, List.of()));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void theMildestMeansThatServeAreOrdered(Case c) {
    Plan plan = plan(host(0, TOTAL, c.free, c.means, vm(1, TERMS, 50_000, 10_000, c.balloon)));
    assertThat(steps(plan)).isEqualTo(c.steps);
    plan.orders().forEach(order -> assertThat(order.reason()).isNotBlank());
  }

  @Test
  void ordersSayHowMuchIsMissingAndWhy() {
    Plan plan =
        plan(
            host(
                0,
                TOTAL,
                2_500,
                means(true, true, 0),
                vm(1, TERMS, 50_000, 10_000, balloon(0, 9_000))));
    assertThat(plan.state()).isEqualTo(MemoryState.HARD);
    assertThat(plan.wantedPages()).isEqualTo(6_250 - 2_500);
    assertThat(pages(plan, 1, Step.BALLOON)).isEqualTo(3_750);
    assertThat(pages(plan, 1, Step.COMPRESS)).isEqualTo(3_750 - 2_500);
    assertThat(plan.orders().getLast().reason())
        .contains("only 2.5% of the machine is free (HARD)")
        .contains("40000 pages idle of 50000, with 1000 shares")
        .contains("its guest can spare no more");
  }

  @Test
  void twiceTheSharesKeepTwiceTheMemory() {
    VmView poor = vm(1, VmTerms.of("poor", 60_000), 45_000, 45_000, BalloonView.NONE);
    VmView rich =
        vm(2, VmTerms.of("rich", 60_000).withShares(2000), 45_000, 45_000, BalloonView.NONE);
    long[] taken = new MinimumFunding(75).take(List.of(poor, rich), 30_000);
    assertThat(taken[0] + taken[1]).isEqualTo(30_000);
    double ratio = (45_000.0 - taken[1]) / (45_000 - taken[0]);
    assertThat(ratio).isBetween(1.9, 2.1);
  }

  @Test
  void idleMemoryGoesBeforeMemoryInUse() {
    VmView idle = vm(1, 60_000, 45_000, 5_000);
    VmView busy = vm(2, 60_000, 45_000, 45_000);
    assertThat(new MinimumFunding(75).take(List.of(idle, busy), 20_000)).containsExactly(20_000, 0);
    long[] untaxed = new MinimumFunding(0).take(List.of(idle, busy), 20_000);
    assertThat(untaxed[1]).as("shares alone").isBetween(9_000L, 11_000L);
  }

  @Test
  void nothingIsTakenBelowAFloor() {
    VmView floor =
        vm(1, VmTerms.of("a", 60_000).withFloorPages(44_000), 45_000, 0, BalloonView.NONE);
    VmView other = vm(2, 60_000, 10_000, 10_000);
    assertThat(new MinimumFunding(75).take(List.of(floor, other), 50_000))
        .containsExactly(1_000, 10_000);
  }

  @Test
  void pagesThatABalloonIsAboutToGiveAreNotAskedForTwice() {
    OvercommitPolicy policy = new OvercommitPolicy(PolicyOptions.DEFAULT);
    BalloonView working =
        new BalloonView(
            new BalloonStanding.Working(1_750), 1_750, 0, java.util.OptionalLong.of(30_000));
    Plan plan =
        policy.plan(host(0, TOTAL, 4_500, means(false, true, 0), vm(1, TERMS, 50_000, 0, working)));
    assertThat(steps(plan)).isEmpty();
  }

  @Test
  void aBalloonIsGivenBackOnlyAfterCalmAndOnlyHalfOfWhatIsFree() {
    OvercommitPolicy policy = new OvercommitPolicy(PolicyOptions.DEFAULT);
    HostView.Means all = means(false, true, 0);
    Plan first =
        policy.plan(host(0, TOTAL, 4_500, all, vm(1, TERMS, 50_000, 0, balloon(0, 30_000))));
    assertThat(pages(first, 1, Step.BALLOON)).isEqualTo(1_750);
    VmView shrunk = vm(1, TERMS, 20_000, 0, balloon(30_000, 30_000));
    assertThat(steps(policy.plan(host(SECOND, TOTAL, 30_000, all, shrunk)))).isEmpty();
    Plan later = policy.plan(host(6 * SECOND, TOTAL, 30_000, all, shrunk));
    assertThat(pages(later, 1, Step.DEFLATE)).isEqualTo((30_000 - 2 * 6_250) / 2);
    assertThat(steps(policy.plan(host(7 * SECOND, TOTAL, 30_000, all, shrunk)))).isEmpty();
  }

  @Test
  void aLimitIsKeptByTheBalloonAndRaisedAtOnce() {
    OvercommitPolicy policy = new OvercommitPolicy(PolicyOptions.DEFAULT);
    HostView.Means none = means(false, false, 0);
    VmTerms limited = TERMS.withLimitPages(40_000);
    Plan down = policy.plan(host(0, TOTAL, 50_000, none, vm(1, limited, 50_000, 0, balloon(0, 9))));
    assertThat(pages(down, 1, Step.BALLOON)).isEqualTo(20_000);
    Plan same =
        policy.plan(host(1, TOTAL, 50_000, none, vm(1, limited, 50_000, 0, balloon(20_000, 9))));
    assertThat(same.orders()).isEmpty();
    Plan up = policy.plan(host(2, TOTAL, 8_000, none, vm(1, TERMS, 40_000, 0, balloon(20_000, 9))));
    assertThat(pages(up, 1, Step.DEFLATE)).isEqualTo(20_000);
  }

  @Test
  void aStateIsLeftOnlyWellAboveWhereItBegan() {
    MemoryState state = MemoryState.HIGH;
    state = state.next(4_999, TOTAL);
    assertThat(state).isEqualTo(MemoryState.SOFT);
    assertThat(state.next(6_249, TOTAL)).isEqualTo(MemoryState.SOFT);
    assertThat(state.next(6_250, TOTAL)).isEqualTo(MemoryState.HIGH);
    assertThat(state.next(1_499, TOTAL)).isEqualTo(MemoryState.LOW);
    assertThat(MemoryState.LOW.next(1_800, TOTAL)).isEqualTo(MemoryState.LOW);
    assertThat(MemoryState.LOW.next(1_875, TOTAL)).isEqualTo(MemoryState.HARD);
    assertThat(MemoryState.LOW.next(3_800, TOTAL)).isEqualTo(MemoryState.SOFT);
    assertThat(MemoryState.LOW.next(TOTAL, TOTAL)).isEqualTo(MemoryState.HIGH);
  }

  @Test
  void aSwapStormIsNamedOnceAndEnds() {
    OvercommitPolicy policy = new OvercommitPolicy(PolicyOptions.DEFAULT);
    HostView.Means all = means(false, true, 0);
    VmView calm = vm(1, 60_000, 40_000, 40_000);
    VmView storm =
        new VmView(
            2,
            VmTerms.of("b", 60_000),
            20_000,
            20_000,
            0,
            Views.waiting(40),
            900,
            BalloonView.NONE);
    Plan first = policy.plan(host(5 * SECOND, TOTAL, 30_000, all, calm, storm));
    assertThat(first.orders()).hasSize(1);
    assertThat(first.orders().getFirst().step()).isEqualTo(Step.STORM);
    assertThat(first.orders().getFirst().vmId()).isEqualTo(2);
    policy.plan(host(15 * SECOND, TOTAL, 30_000, all, calm, storm));
    assertThat(policy.storms()).hasSize(1);
    assertThat(policy.storms().getFirst().sentence("vm b", 15 * SECOND))
        .isEqualTo(
            "vm b is in a swap storm for 10 s: 900 pages a second come back, and it waits for them 40% of its time");
    VmView over =
        new VmView(
            2, VmTerms.of("b", 60_000), 20_000, 20_000, 0, Views.waiting(9), 0, BalloonView.NONE);
    policy.plan(host(16 * SECOND, TOTAL, 30_000, all, calm, over));
    assertThat(policy.storms()).isEmpty();
  }

  @Test
  void admissionCountsFloorsTablesAndTheReserve() {
    OvercommitPolicy policy = new OvercommitPolicy(PolicyOptions.DEFAULT);
    VmTerms big = VmTerms.of("big", 65_536).withFloorPages(65_536);
    assertThat(policy.admit(TOTAL, List.of(), big))
        .isEqualTo(new Admission.Admitted(TOTAL - 1_500 - 65_536 - 132));
    assertThat(policy.admit(TOTAL, List.of(big), VmTerms.of("small", 65_536)))
        .isInstanceOf(Admission.Admitted.class);
    Admission refused = policy.admit(TOTAL, List.of(big), big.withFloorPages(40_000));
    assertThat(((Admission.Refused) refused).reason())
        .isEqualTo(
            "vm big cannot be promised 156.3 MiB: of the machine's 390.6 MiB, 256.5 MiB are promised to 1 other VMs, "
                + "5.9 MiB stay free for emergencies, and its own tables may take 0.5 MiB; 28.5 MiB are missing. "
                + "Lower a floor, stop a VM or give the machine more memory");
  }

  @Test
  void termsThatMakeNoSenseAreRefusedInWords() {
    VmTerms terms = VmTerms.of("x", 100);
    assertThat(refusal(() -> terms.withFloorPages(101))).contains("vm x cannot have a floor above");
    assertThat(refusal(() -> terms.withShares(0))).contains("1 to 1000000 shares");
    assertThat(refusal(() -> terms.withLimitPages(101))).contains("between its floor and");
    assertThat(refusal(() -> VmTerms.of("x", 0))).contains("more than 0 bytes");
  }

  private static String refusal(Runnable action) {
    try {
      action.run();
    } catch (IllegalArgumentException e) {
      return String.valueOf(e.getMessage());
    }
    return "accepted";
  }
}
