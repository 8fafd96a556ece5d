package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.host.Starvation.Advice;
import org.junit.jupiter.api.Test;

/** How long one waits for a frame: as long as there is hope. */
final class StarvationAdviceTest {
  private static final long SECOND = 1_000_000_000L;

  private final HostMemory host = HostMemory.create(1 << 20);
  private final Starvation starvation = new Starvation(host, 1);

  private Advice advice(long progress, long second, long elsewhere) {
    return starvation.advice(progress, second * SECOND, false, elsewhere);
  }

  @Test
  void progressStartsItsPatienceAnew() {
    for (long step = 0; step < 100; step++) {
      assertThat(advice(step, step * 9, 0)).isEqualTo(Advice.RETRY);
      assertThat(advice(step, step * 9 + 8, 0)).isEqualTo(Advice.WAIT);
    }
  }

  @Test
  void whereNobodyGivesAnythingBackItEndsAfterTenSeconds() {
    assertThat(advice(7, 100, 5)).isEqualTo(Advice.RETRY);
    assertThat(advice(7, 110, 5)).isEqualTo(Advice.WAIT);
    assertThat(advice(7, 111, 5)).isEqualTo(Advice.END);
  }

  @Test
  void whereOthersGiveBackItWaitsLongerButNotForEver() {
    assertThat(advice(0, 0, 500)).isEqualTo(Advice.RETRY);
    for (long second = 1; second <= 120; second++) {
      assertThat(advice(0, second, 500 - second)).isEqualTo(Advice.WAIT);
    }
    assertThat(advice(0, 121, 0)).isEqualTo(Advice.END);
  }

  @Test
  void whatOthersTakeGivesNoHope() {
    assertThat(advice(0, 0, 0)).isEqualTo(Advice.RETRY);
    for (long second = 1; second <= 10; second++) {
      assertThat(advice(0, second, second)).isEqualTo(Advice.WAIT);
    }
    assertThat(advice(0, 11, 11)).isEqualTo(Advice.END);
  }

  @Test
  void aloneItTriesOnceMoreAndEnds() {
    assertThat(starvation.advice(1, 0, true, 0)).isEqualTo(Advice.RETRY);
    assertThat(starvation.advice(1, 0, true, 0)).isEqualTo(Advice.END);
  }
}
