package memvisor.host.policy;

import static memvisor.host.policy.Views.SECOND;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import memvisor.host.policy.Decision.Step;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The policy drives a machine of simulated VMs ({@code memvisor.minutes} of their time): some use
 * little, some everything they can get; some have balloons, some lie.
 */
final class OvercommitSimulationTest {
  private static final long TICK = PolicyOptions.DEFAULT.tickNanos();
  private static final int MINUTES = Integer.getInteger("memvisor.minutes", 15);
  private static final long END = MINUTES * 60 * SECOND;
  private static final long COMPRESSED_PART = 3;

  /** A VM that touches memory until it has all it wants. */
  private static final class SimulatedVm {
    final VmTerms terms;
    final boolean hasBalloon;
    final BalloonWatch watch = new BalloonWatch(BalloonContract.DEFAULT);
    long wantedPages;
    long workingSet;
    long growth;
    long resident;
    long elsewhere;
    long balloonTarget;
    long ballooned;
    long refaults;
    int reversals;
    Step lastResize = Step.STATE;

    SimulatedVm(VmTerms terms, boolean hasBalloon) {
      this.terms = terms;
      this.hasBalloon = hasBalloon;
    }

    VmView view(int id, long now) {
      BalloonView balloon = BalloonView.NONE;
      if (hasBalloon) {
        OptionalLong available = OptionalLong.of(available());
        BalloonSighting seen =
            new BalloonSighting(
                true, "", balloonTarget, ballooned, ballooned, 0, 0, 0, true, available);
        BalloonStanding standing = watch.observe(now, now, seen);
        if (standing instanceof BalloonStanding.Breached) {
          balloonTarget = ballooned;
        }
        balloon = new BalloonView(standing, balloonTarget, ballooned, available);
      }
      long used = Math.min(resident, workingSet);
      return new VmView(id, terms, resident, used, 0, Pressure.NONE, refaults, balloon);
    }

    /** What the guest does not use of what it has: page cache counts as available. */
    long available() {
      return Math.max(0, terms.promisedPages() - ballooned - workingSet);
    }

    /** The balloon moves, and the guest touches what it wants; pages taken from the machine. */
    long step(long freePages) {
      refaults = 0;
      long before = resident;
      long room = terms.promisedPages() - ballooned;
      if (ballooned < balloonTarget) {
        long more = Math.min(2_000, Math.min(balloonTarget - ballooned, available()));
        ballooned += more;
        room -= more;
        elsewhere = Math.min(elsewhere, Math.max(0, room - resident));
        resident = Math.min(resident, room);
      } else {
        ballooned = Math.max(balloonTarget, ballooned - 2_000);
      }
      long missing = Math.min(Math.min(wantedPages, room) - resident, growth);
      long got = Math.clamp(missing, 0, Math.max(0, freePages + before - resident));
      refaults = Math.min(got, elsewhere);
      elsewhere -= refaults;
      resident += got;
      return resident - before;
    }
  }

  /** A machine of them, and what was seen. */
  private static final class Simulation {
    final OvercommitPolicy policy = new OvercommitPolicy(PolicyOptions.DEFAULT);
    final List<SimulatedVm> vms = new ArrayList<>();
    final long total;
    long free;
    long pool;
    long lastOrderNanos;
    long forcedPages;
    long balloonedPages;
    int starved;

    Simulation(long total) {
      this.total = total;
      free = total;
    }

    void run(long from, long until) {
      for (long now = from; now < until; now += TICK) {
        List<VmView> views = new ArrayList<>();
        for (int i = 0; i < vms.size(); i++) {
          views.add(vms.get(i).view(i + 1, now));
        }
        HostView.Means means = new HostView.Means(false, true, 1_000_000);
        obey(policy.plan(new HostView(now, total, free, means, views)), now);
        for (SimulatedVm vm : vms) {
          free -= vm.step(free);
        }
        starved += free == 0 ? 1 : 0;
        assertThat(free).isNotNegative();
        long resident = vms.stream().mapToLong(vm -> vm.resident).sum();
        assertThat(resident + free + pool).isEqualTo(total);
      }
    }

    private void obey(Plan plan, long now) {
      for (Order order : plan.orders()) {
        if (order.vmId() == Decision.MACHINE || order.step() == Step.STORM) {
          continue;
        }
        lastOrderNanos = now;
        SimulatedVm vm = vms.get(order.vmId() - 1);
        assertThat(order.pages()).as(order.toString()).isPositive();
        switch (order.step()) {
          case COMPRESS, SWAP -> force(vm, order);
          case BALLOON, DEFLATE -> resize(vm, order);
          default -> throw new IllegalStateException(order.toString());
        }
      }
    }

    private void force(SimulatedVm vm, Order order) {
      forcedPages += order.pages();
      assertThat(vm.resident - order.pages())
          .as("%s of %s", order, vm.terms)
          .isGreaterThanOrEqualTo(Math.min(vm.resident, vm.terms.floorPages()));
      vm.resident -= order.pages();
      vm.elsewhere += order.pages();
      long kept = order.pages() / COMPRESSED_PART;
      // What the pool cannot keep goes to the swap file.
      kept = Math.min(kept, Math.max(0, total / 4 - pool));
      pool += kept;
      free += order.pages() - kept;
    }

    private void resize(SimulatedVm vm, Order order) {
      balloonedPages += order.step() == Step.BALLOON ? order.pages() : 0;
      assertThat(vm.hasBalloon).as(order.toString()).isTrue();
      vm.balloonTarget += order.step() == Step.BALLOON ? order.pages() : -order.pages();
      assertThat(vm.balloonTarget).as(order.toString()).isNotNegative();
      assertThat(vm.terms.promisedPages() - vm.balloonTarget)
          .as("what is left to the guest: %s of %s", order, vm.terms)
          .isGreaterThanOrEqualTo(vm.terms.floorPages());
      if (vm.lastResize != order.step() && vm.lastResize != Step.STATE) {
        vm.reversals++;
      }
      vm.lastResize = order.step();
    }
  }

  private static Simulation random(SplittableRandom random, long total, int percentUsed) {
    Simulation simulation = new Simulation(total);
    int count = 2 + random.nextInt(12);
    long use = (total * percentUsed / 100) / count;
    for (int i = 0; i < count; i++) {
      long promised = use * 2 + random.nextLong(use * 2);
      VmTerms terms =
          VmTerms.of("vm" + i, promised)
              .withShares(100 + random.nextInt(2000))
              .withFloorPages(random.nextLong(use / 2));
      SimulatedVm vm = new SimulatedVm(terms, random.nextInt(4) != 0);
      vm.workingSet = use / 2 + random.nextLong(use);
      vm.wantedPages = random.nextBoolean() ? promised : vm.workingSet;
      vm.growth = 1 + random.nextLong(Math.max(2, total / 400));
      simulation.vms.add(vm);
    }
    return simulation;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void anyVmsAnyChangeKeepsFloorsAndServesEverybody(long seed) {
    System.out.println("overcommit simulation: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    Simulation simulation = random(random, 100_000, 60 + random.nextInt(100));
    for (int minute = 0; minute < MINUTES; minute++) {
      SimulatedVm vm = simulation.vms.get(random.nextInt(simulation.vms.size()));
      vm.workingSet = random.nextLong(vm.terms.promisedPages());
      vm.wantedPages = Math.max(vm.workingSet, vm.wantedPages);
      simulation.run(minute * 60 * SECOND, (minute + 1) * 60 * SECOND);
    }
    // A VM has less than its floor only if it wants no more.
    for (SimulatedVm vm : simulation.vms) {
      long owed = Math.min(vm.terms.floorPages(), vm.wantedPages);
      assertThat(vm.resident).as("%s", vm.terms).isGreaterThanOrEqualTo(owed);
    }
    assertThat(simulation.starved).as("ticks without a free frame").isZero();
    assertThat(simulation.forcedPages + simulation.balloonedPages).as("orders").isPositive();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void demandThatFitsComesToRest(long seed) {
    System.out.println("overcommit simulation: seed=" + seed);
    Simulation simulation = random(new SplittableRandom(seed), 100_000, 50);
    simulation.vms.forEach(vm -> vm.wantedPages = vm.workingSet);
    long needed = simulation.vms.stream().mapToLong(vm -> vm.workingSet).sum();
    assertThat(needed).isLessThan(93_000);
    simulation.run(0, END);
    assertThat(simulation.policy.state()).isEqualTo(MemoryState.HIGH);
    assertThat(simulation.lastOrderNanos).as("the last order").isLessThan(END / 2);
    assertThat(simulation.vms).allMatch(vm -> vm.resident == vm.workingSet);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void guestsThatFillWhateverTheyGetDoNotMakeBalloonsSwing(long seed) {
    System.out.println("overcommit simulation: seed=" + seed);
    Simulation simulation = random(new SplittableRandom(seed), 100_000, 70);
    simulation.vms.forEach(vm -> vm.wantedPages = vm.terms.promisedPages());
    simulation.run(0, END);
    for (SimulatedVm vm : simulation.vms) {
      assertThat(vm.reversals).as("%s", vm.terms).isLessThanOrEqualTo(8);
    }
    assertThat(simulation.starved).isZero();
    assertThat(simulation.forcedPages + simulation.balloonedPages).as("orders").isPositive();
    System.out.println(
        "forced %d, ballooned %d, reversals %d"
            .formatted(
                simulation.forcedPages,
                simulation.balloonedPages,
                simulation.vms.stream().mapToInt(vm -> vm.reversals).max().orElse(0)));
  }

  @Test
  void memoryFollowsNeedFromOneVmToAnother() {
    Simulation simulation = new Simulation(100_000);
    SimulatedVm a = new SimulatedVm(VmTerms.of("a", 65_536), true);
    SimulatedVm b = new SimulatedVm(VmTerms.of("b", 65_536), true);
    simulation.vms.addAll(List.of(a, b));
    a.workingSet = 60_000;
    b.workingSet = 15_000;
    a.wantedPages = 60_000;
    b.wantedPages = 15_000;
    a.growth = 500;
    b.growth = 500;
    simulation.run(0, 120 * SECOND);
    assertThat(a.resident).isEqualTo(60_000);
    a.workingSet = 15_000;
    b.workingSet = 60_000;
    b.wantedPages = 60_000;
    simulation.run(120 * SECOND, 240 * SECOND);
    assertThat(b.resident)
        .as("got from a, which kept its pages but does not use them")
        .isEqualTo(60_000);
    assertThat(a.ballooned + a.elsewhere).isPositive();
    assertThat(a.resident).isGreaterThanOrEqualTo(15_000);
  }
}
