package memvisor.host.policy;

import static memvisor.host.policy.Views.SECOND;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A balloon is held to its contract, and only to that. */
final class BalloonWatchTest {
  private static final long TENTH = SECOND / 10;
  private static final long TARGET = 10_000;

  /** What a guest does with its balloon, step by step of a tenth of a second. */
  private static final class Guest {
    long ballooned;
    long claimed;
    long takenBack;
    long lies;
    long touched;
    boolean running = true;
    String failure = "";
    boolean mayTakeBack;
    OptionalLong available = OptionalLong.empty();

    BalloonSighting sighting(long target) {
      return new BalloonSighting(
          running,
          failure,
          target,
          claimed,
          ballooned,
          takenBack,
          lies,
          touched,
          mayTakeBack,
          available);
    }
  }

  @FunctionalInterface
  private interface Behaviour {
    void step(Guest guest, int tenths);
  }

  /** A way to behave, and what becomes of it within ten seconds. */
  record Case(String name, Behaviour behaviour, String verdict) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case("gives what is asked", (g, t) -> give(g, 500), "Good"),
        new Case("gives slowly, but as fast as it owes", (g, t) -> give(g, 30), "Working"),
        new Case(
            "gives with pauses of two seconds",
            (g, t) -> give(g, t % 20 == 0 ? 900 : 0),
            "Working"),
        new Case("refuses", (g, t) -> {}, "stands at 0 of 10000 pages for 3.0 s"),
        new Case(
            "refuses, having nothing",
            (g, t) -> g.available = OptionalLong.of(12),
            "its guest can spare 12 pages"),
        new Case("stalls halfway", (g, t) -> give(g, t <= 10 ? 500 : 0), "stands at 5000 of 10000"),
        new Case("dawdles", (g, t) -> give(g, 2), "not the 256 a second it owes"),
        new Case(
            "names foreign pages",
            (g, t) -> g.lies += 50,
            "named 300 pages that it had no reason to name"),
        new Case(
            "uses what it gave",
            (g, t) -> {
              give(g, 300);
              g.touched += t > 5 ? 100 : 0;
            },
            "uses 300 pages that it had given up"),
        new Case(
            "claims what it did not give",
            (g, t) -> g.claimed = TARGET,
            "claims 10000 pages and gave 0"),
        new Case(
            "takes back what it owes",
            (g, t) -> {
              give(g, t < 10 ? 600 : -600);
              g.takenBack += t < 10 ? 0 : 600;
            },
            "took 600 pages back that it was asked to give"),
        new Case(
            "runs out of memory",
            (g, t) -> {
              g.mayTakeBack = true;
              give(g, t < 10 ? 600 : -600);
              g.takenBack += t < 10 ? 0 : 600;
            },
            "ran out of memory and took 600 pages back"),
        new Case("has no driver", (g, t) -> g.running = false, "has no balloon driver"),
        new Case(
            "breaks its ring",
            (g, t) -> {
              g.running = false;
              g.failure = "a loop of descriptors";
            },
            "a loop of descriptors"));
  }

  private static void give(Guest guest, long pages) {
    guest.ballooned = Math.clamp(guest.ballooned + pages, 0, TARGET);
    guest.claimed = guest.ballooned;
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void aGuestThat(Case c) {
    BalloonWatch watch = new BalloonWatch(BalloonContract.DEFAULT);
    Guest guest = new Guest();
    BalloonStanding standing = watch.observe(0, 0, guest.sighting(0));
    for (int tenths = 1; tenths <= 100 && standing.isUsable(); tenths++) {
      c.behaviour.step(guest, tenths);
      standing = watch.observe(tenths * TENTH, tenths * TENTH, guest.sighting(TARGET));
    }
    String text =
        switch (standing) {
          case BalloonStanding.Good good -> "Good";
          case BalloonStanding.Working working -> "Working";
          case BalloonStanding.Breached breached -> breached.reason();
          case BalloonStanding.Absent absent -> absent.reason();
        };
    assertThat(text).contains(c.verdict);
  }

  @Test
  void aGuestThatDoesNotRunOwesNothingButCannotBeReliedOn() {
    BalloonWatch watch = new BalloonWatch(BalloonContract.DEFAULT);
    Guest guest = new Guest();
    watch.observe(0, 5, guest.sighting(TARGET));
    BalloonStanding standing = watch.observe(60 * SECOND, 5, guest.sighting(TARGET));
    assertThat(standing).isEqualTo(new BalloonStanding.Absent("it stands still"));
    standing = watch.observe(61 * SECOND, 5 + SECOND, guest.sighting(TARGET));
    assertThat(standing).isEqualTo(new BalloonStanding.Working(TARGET));
  }

  @Test
  void trustComesBackAndEachBreachCostsTwiceAsLong() {
    BalloonWatch watch = new BalloonWatch(BalloonContract.DEFAULT);
    Guest guest = new Guest();
    long now = 0;
    for (long pause = 30; pause <= 120; pause *= 2) {
      long began = now;
      BalloonStanding standing = watch.observe(now, now, guest.sighting(TARGET));
      while (standing.isUsable()) {
        now += TENTH;
        standing = watch.observe(now, now, guest.sighting(TARGET));
      }
      assertThat(now - began).as("the deadline").isEqualTo(3 * SECOND);
      assertThat(((BalloonStanding.Breached) standing).retryNanos())
          .isEqualTo(now + pause * SECOND);
      while (!standing.isUsable()) {
        now += TENTH;
        standing = watch.observe(now, now, guest.sighting(0));
      }
      assertThat(now - began).isEqualTo((3 + pause) * SECOND);
    }
    guest.ballooned = TARGET;
    watch.observe(now, now, guest.sighting(TARGET + 1));
    guest.ballooned++;
    now += TENTH;
    assertThat(watch.observe(now, now, guest.sighting(TARGET + 1)))
        .isEqualTo(new BalloonStanding.Good());
  }
}
