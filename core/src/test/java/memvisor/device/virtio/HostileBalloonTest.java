package memvisor.device.virtio;

import static memvisor.device.virtio.Driver.BUFFERS;
import static memvisor.device.virtio.Driver.NEXT;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.policy.BalloonContract;
import memvisor.host.policy.BalloonSighting;
import memvisor.host.policy.Decision;
import memvisor.host.policy.Decision.Step;
import memvisor.host.policy.MemoryState;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.policy.VmTerms;
import memvisor.host.reclaim.BalloonControl;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.memory.DerivedMappings;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Balloon drivers that break the contract, over real host memory: the machine gets its frames all
 * the same, says why it took them by force, and nobody but the liar loses a byte.
 */
final class HostileBalloonTest {
  private static final long MIB = 1L << 20;
  private static final int PAGE = 4096;
  private static final int HOST_PAGES = 4096;
  private static final int OTHER_PAGES = 512;

  /** So many that the machine is short of memory, but not yet in need. */
  private static final int LIAR_PAGES = 3430;

  private static final int FIRST_GIVEN = 1000;
  private static final int INFLATE = 0;
  private static final int DEFLATE = 1;
  private static final int NUM_PAGES = 0x100;
  private static final int ACTUAL = 0x104;
  private static final long TENTH_NANOS = 100_000_000L;

  /**
   * A machine with a VM whose balloon driver is the test's, and another that minds its business.
   */
  private static final class Machine implements AutoCloseable {
    final HostMemory host = HostMemory.create((long) HOST_PAGES * PAGE);
    final HostReclaim reclaim =
        host.enableReclaim(ReclaimOptions.none((long) HOST_PAGES * PAGE).withCompression(true));
    final VmMemory liar = vm(16 * MIB);
    final VmMemory other = vm(2 * MIB);
    final BalloonDevice device = new BalloonDevice(liar.balloon(), false, false);
    final Driver driver = new Driver(device, liar);
    long given;

    Machine() {
      BalloonContract contract = new BalloonContract(16, 3_000_000_000L, 5, 16, 30_000_000_000L);
      reclaim.enablePolicy(PolicyOptions.DEFAULT.withTickNanos(1).withContract(contract));
      liar.manage(VmTerms.of("liar", 16 * MIB / PAGE));
      other.manage(VmTerms.of("other", OTHER_PAGES).withFloorPages(OTHER_PAGES).withShares(2000));
      liar.setBalloonControl(new Control());
      fill(liar, LIAR_PAGES);
      fill(other, OTHER_PAGES);
      driver.start(0, 2);
    }

    private VmMemory vm(long bytes) {
      GuestMemoryMap map =
          GuestMemoryMap.EMPTY.with(new MemoryRegion(0, bytes, MemoryRegion.Kind.RAM));
      VmMemory vm = host.createVm(map, Placement.SCATTERED);
      vm.setDerivedMappings(new NothingAccessed());
      return vm;
    }

    private static void fill(VmMemory vm, int pages) {
      for (long gfn = 0; gfn < pages; gfn++) {
        vm.writeValue(gfn * PAGE + 8, 8, ~gfn);
      }
    }

    long wanted() {
      return driver.transport.read(NUM_PAGES, 4);
    }

    void request(int queue, long... gfns) {
      for (int i = 0; i < gfns.length; i++) {
        driver.memory.writeValue(BUFFERS + 4L * i, 4, gfns[i]);
      }
      driver.descriptor(queue, 0, BUFFERS, 4L * gfns.length, 0, 0).offer(queue, 0).kick(queue);
    }

    void give(long pages) {
      long most = Math.min(pages, wanted() - given);
      if (most > 0) {
        request(INFLATE, LongStream.range(0, most).map(i -> FIRST_GIVEN + given + i).toArray());
        given += most;
        driver.transport.write(ACTUAL, 4, given);
      }
    }

    void takeBack(long pages) {
      long most = Math.min(pages, given);
      given -= most;
      if (most > 0) {
        request(DEFLATE, LongStream.range(0, most).map(i -> FIRST_GIVEN + given + i).toArray());
        driver.transport.write(ACTUAL, 4, given);
      }
    }

    @Override
    public void close() {
      host.close();
    }

    private final class Control implements BalloonControl {
      @Override
      public void setTargetPages(long pages) {
        device.setTargetPages(pages);
      }

      @Override
      public void requestStatistics() {
        device.requestStatistics();
      }

      @Override
      public BalloonSighting sighting() {
        BalloonState state = device.state();
        BalloonCounters counters = state.counters();
        long ballooned = liar.balloon().balloonedPages();
        return new BalloonSighting(
            state.running() && driver.transport.failure().isEmpty(),
            driver.transport.failure().orElse(""),
            state.targetPages(),
            state.actualPages(),
            ballooned,
            counters.deflated(),
            counters.ignored(),
            Math.max(0, counters.inflated() - counters.deflated() - ballooned),
            false,
            OptionalLong.of(2_000));
      }
    }
  }

  /** A guest whose pages are all cold. */
  private static final class NothingAccessed implements DerivedMappings {
    @Override
    public void invalidate(long firstGfn, long count) {}

    @Override
    public void writeProtect(long firstGfn, long count) {}

    @Override
    public boolean harvestAccessed(long firstGfn, long count, LongConsumer accessed) {
      return true;
    }
  }

  @FunctionalInterface
  private interface Deed {
    void step(Machine machine, int tenths);
  }

  /** What a driver does every tenth of a second, and what is said of it; empty: no breach. */
  record Case(String name, String says, Deed deed) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case("an honest driver", "", (m, t) -> m.give(64)),
        new Case("a driver that refuses", "stands at 0 of", (m, t) -> {}),
        new Case("a driver that stalls", "for 3.0 s", (m, t) -> m.give(t < 3 ? 5 : 0)),
        new Case(
            "a driver that names foreign pages",
            "that it had no reason to name",
            (m, t) -> m.request(INFLATE, 1 << 20, 0xFFFF_FFFFL, 16 * MIB / PAGE)),
        new Case(
            "a driver that names one page again and again",
            "that it had no reason to name",
            (m, t) -> m.request(INFLATE, 7, 7, 7, 7)),
        new Case(
            "a driver that lets out what it never put in",
            "that it had no reason to name",
            (m, t) -> m.request(DEFLATE, 1, 2, 3, 4)),
        new Case(
            "a guest that uses what it gave",
            "that it had given up",
            (m, t) -> {
              m.give(10);
              for (long i = 0; i < m.given; i++) {
                m.liar.writeValue((FIRST_GIVEN + i) * PAGE + 8, 8, ~(FIRST_GIVEN + i));
              }
            }),
        new Case(
            "a driver that claims what it does not give",
            "claims 101 pages and gave",
            (m, t) -> {
              m.give(2);
              m.driver.transport.write(ACTUAL, 4, m.wanted());
            }),
        new Case(
            "a driver that takes back what it owes",
            "took",
            (m, t) -> {
              m.give(t % 2 == 0 ? 8 : 0);
              m.takeBack(t % 2 == 1 ? 7 : 0);
            }),
        new Case(
            "a driver that breaks its ring",
            "broke the rules",
            (m, t) -> {
              if (t == 1) {
                m.driver
                    .descriptor(INFLATE, 0, BUFFERS, 4, NEXT, 0)
                    .offer(INFLATE, 0)
                    .kick(INFLATE);
              }
            }));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void theMachineGetsItsFramesFrom(Case c) {
    try (Machine m = new Machine()) {
      int tenths = 0;
      do {
        c.deed.step(m, ++tenths);
        if (tenths % 20 == 0) {
          // What pages are in use is asked no more often than this on the host's clock.
          LockSupport.parkNanos(60_000_000);
        }
        m.liar.housekeep(tenths * TENTH_NANOS);
        m.other.housekeep(tenths * TENTH_NANOS);
        assertThat(tenths).as("tenths of a second until enough is free").isLessThan(100);
      } while (m.host.freeBytes() / PAGE < MemoryState.SOFT.endsAt(HOST_PAGES));
      m.host.audit();
      List<Decision> decisions = m.reclaim.decisions();
      boolean forced = decisions.stream().anyMatch(d -> d.step() == Step.COMPRESS);
      assertThat(forced).as("%s", decisions).isEqualTo(!c.says.isEmpty());
      assertThat(decisions).anyMatch(d -> d.step() == Step.BALLOON || c.says.contains("rules"));
      if (forced) {
        assertThat(decisions)
            .filteredOn(d -> d.step() == Step.COMPRESS)
            .as("says why it was taken by force, and from whom")
            .allMatch(d -> d.vmId() == m.liar.vmId() && d.reason().contains(c.says));
      }
      for (long gfn = 0; gfn < OTHER_PAGES; gfn++) {
        assertThat(m.other.readValue(gfn * PAGE + 8, 8)).isEqualTo(~gfn);
      }
      assertThat(m.other.pages(PageState.RESIDENT)).as("its floor").isEqualTo(OTHER_PAGES);
      for (long gfn = FIRST_GIVEN + 200; gfn < LIAR_PAGES; gfn++) {
        assertThat(m.liar.readValue(gfn * PAGE + 8, 8)).isEqualTo(~gfn);
      }
      assertThat(m.liar.failure()).isEmpty();
    }
  }
}
