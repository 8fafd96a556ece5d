package memvisor.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TimeStampCounterTest {
  private static final BigInteger NANOS_PER_SECOND = BigInteger.valueOf(1_000_000_000);

  static LongStream rates() {
    return LongStream.of(
        1, 32_768, 1_193_182, 3_579_545, 1_000_000_000, 2_999_999_999L, 9_000_000_000L);
  }

  @ParameterizedTest
  @MethodSource("rates")
  void conversionsAgreeWithExactArithmetic(long hertz) {
    long seed = 42;
    Random random = new Random(seed);
    Frequency frequency = new Frequency(hertz);
    BigInteger rate = BigInteger.valueOf(hertz);
    for (int i = 0; i < 1000; i++) {
      long nanos = random.nextLong(1L << random.nextInt(1, 60));
      BigInteger ticks = BigInteger.valueOf(nanos).multiply(rate).divide(NANOS_PER_SECOND);
      assertThat(frequency.ticksAt(nanos))
          .as("seed=%d nanos=%d", seed, nanos)
          .isEqualTo(ticks.longValueExact());
      long first = frequency.nanosAt(ticks.longValueExact());
      assertThat(first).isLessThanOrEqualTo(nanos);
      assertThat(frequency.ticksAt(first)).isEqualTo(ticks.longValueExact());
      if (first > 0) {
        assertThat(frequency.ticksAt(first - 1)).isLessThan(ticks.longValueExact());
      }
    }
  }

  @Test
  void writingTheCounterMovesTheAdjustRegisterByTheSameAmount() {
    FakeClock clock = new FakeClock();
    TimeStampCounter tsc = new TimeStampCounter(clock, new Frequency(2_000_000_000));
    clock.now = 500;
    assertThat(tsc.value()).isEqualTo(1000);
    tsc.setValue(0);
    assertThat(tsc.adjust()).isEqualTo(-1000);
    clock.now = 600;
    assertThat(tsc.value()).isEqualTo(200);
    assertThat(tsc.nanosAt(400)).isEqualTo(700);
    tsc.setAdjust(0);
    assertThat(tsc.value()).isEqualTo(1200);
  }

  @ParameterizedTest
  @ValueSource(longs = {Long.MAX_VALUE, Long.MIN_VALUE, -1})
  void deadlinesBeyondTheClockNeverCome(long tsc) {
    TimeStampCounter counter = new TimeStampCounter(new FakeClock(), new Frequency(1_000_000));
    assertThat(counter.nanosAt(tsc)).isEqualTo(Long.MAX_VALUE);
  }
}
