package memvisor.device.virtio;

import static memvisor.device.virtio.Driver.BUFFERS;
import static memvisor.device.virtio.Driver.NEXT;
import static memvisor.device.virtio.Driver.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.TreeSet;
import java.util.stream.Stream;
import memvisor.device.virtio.Driver.Register;
import memvisor.memory.BalloonPort;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The balloon, with a driver that may lie. */
final class BalloonDeviceTest {
  private static final int INFLATE = 0;
  private static final int DEFLATE = 1;
  private static final int STATISTICS = 2;
  private static final int REPORTING = 3;
  private static final int NUM_PAGES = 0x100;
  private static final int ACTUAL = 0x104;

  /** A guest of 256 pages. */
  private static final class Pages implements BalloonPort {
    private static final long COUNT = 256;
    final TreeSet<Long> in = new TreeSet<>();
    final List<String> calls = new ArrayList<>();

    @Override
    public long inflate(long firstGfn, long count) {
      calls.add("inflate " + firstGfn + "+" + count);
      long changed = 0;
      for (long gfn = firstGfn; gfn < Math.min(COUNT, firstGfn + count); gfn++) {
        changed += in.add(gfn) ? 1 : 0;
      }
      return changed;
    }

    @Override
    public long deflate(long firstGfn, long count) {
      calls.add("deflate " + firstGfn + "+" + count);
      long changed = 0;
      for (long gfn = firstGfn; gfn < firstGfn + count; gfn++) {
        changed += in.remove(gfn) ? 1 : 0;
      }
      return changed;
    }

    @Override
    public long discard(long firstGfn, long count) {
      calls.add("discard " + firstGfn + "+" + count);
      return count;
    }

    @Override
    public long balloonedPages() {
      return in.size();
    }
  }

  private final Pages pages = new Pages();
  private final BalloonDevice device = new BalloonDevice(pages, true, true);
  private final Driver driver = new Driver(device);

  private void name(int queue, long... numbers) {
    for (int i = 0; i < numbers.length; i++) {
      driver.memory.writeValue(BUFFERS + 4L * i, 4, numbers[i]);
    }
    driver.descriptor(queue, 0, BUFFERS, 4L * numbers.length, 0, 0).offer(queue, 0).kick(queue);
  }

  static Stream<Arguments> requests() {
    return Stream.of(
        Arguments.of(new long[] {7}, "inflate 7+1", 1, 0),
        Arguments.of(new long[] {7, 8, 9}, "inflate 7+3", 3, 0),
        Arguments.of(new long[] {9, 8, 7}, "inflate 7+3", 3, 0),
        Arguments.of(new long[] {7, 7}, "inflate 7+1, inflate 7+1", 1, 1),
        Arguments.of(new long[] {7, 9, 8}, "inflate 7+1, inflate 8+2", 3, 0),
        Arguments.of(new long[] {0}, "inflate 0+1", 1, 0),
        Arguments.of(new long[] {255, 256}, "inflate 255+2", 1, 1),
        Arguments.of(new long[] {0xFFFF_FFFFL, 0}, "inflate 4294967295+1, inflate 0+1", 1, 1));
  }

  @ParameterizedTest
  @MethodSource("requests")
  void pagesAreTakenInRunsAndLiesAreCounted(
      long[] numbers, String calls, long inflated, long ignored) {
    driver.start(Driver.ALL_FEATURES, 4);
    name(INFLATE, numbers);
    assertThat(String.join(", ", pages.calls)).isEqualTo(calls);
    assertThat(device.counters()).isEqualTo(new BalloonCounters(inflated, 0, 0, ignored));
    assertThat(driver.usedIndex(INFLATE)).isEqualTo(1);
    assertThat(driver.line.asserted).isTrue();
  }

  @Test
  void pagesComeBackOnce() {
    driver.start(Driver.ALL_FEATURES, 4);
    name(INFLATE, 7, 8);
    name(DEFLATE, 8, 7);
    name(DEFLATE, 7);
    assertThat(pages.in).isEmpty();
    assertThat(device.counters()).isEqualTo(new BalloonCounters(2, 2, 0, 1));
  }

  @Test
  void aRequestThatIsTooLargeNeedsAReset() {
    driver.start(Driver.ALL_FEATURES, 4);
    driver.descriptor(INFLATE, 0, BUFFERS, 4 * 4097, 0, 0).offer(INFLATE, 0).kick(INFLATE);
    assertThat(driver.transport.failure()).contains("a request for 4097 pages at once");
    assertThat(pages.calls).isEmpty();
  }

  @Test
  void aNewTargetIsAConfigurationChange() {
    driver.start(Driver.ALL_FEATURES, 4);
    int before = driver.read(Register.GENERATION);
    device.setTargetPages(0x1234);
    assertThat(driver.read(Register.GENERATION)).isNotEqualTo(before);
    assertThat(driver.read(Register.INTERRUPT_STATUS)).isEqualTo(2);
    assertThat(driver.transport.read(NUM_PAGES, 4)).isEqualTo(0x1234);
    driver.transport.write(NUM_PAGES, 4, 1);
    driver.transport.write(ACTUAL, 4, 0x99);
    assertThat(device.targetPages()).as("read-only for the driver").isEqualTo(0x1234);
    assertThat(device.actualPages()).isEqualTo(0x99);
    assertThat(driver.transport.read(ACTUAL, 2)).isEqualTo(0x99);
  }

  private void offerStatistics(int tag, long value) {
    driver.memory.writeValue(BUFFERS, 2, tag);
    driver.memory.writeValue(BUFFERS + 2, 8, value);
    driver.descriptor(STATISTICS, 0, BUFFERS, 10, 0, 0).offer(STATISTICS, 0).kick(STATISTICS);
  }

  @Test
  void theStatisticsBufferIsKeptUntilANewReportIsWanted() {
    driver.start(Driver.ALL_FEATURES, 4);
    offerStatistics(4, 1000);
    assertThat(device.statistics().freeBytes()).isEqualTo(OptionalLong.of(1000));
    assertThat(device.statistics().totalBytes()).isEmpty();
    assertThat(driver.usedIndex(STATISTICS)).isZero();
    device.requestStatistics();
    assertThat(driver.wakes).isEqualTo(1);
    driver.transport.advance(0);
    assertThat(driver.usedIndex(STATISTICS)).isEqualTo(1);
    offerStatistics(4, 2000);
    assertThat(device.statistics().freeBytes()).isEqualTo(OptionalLong.of(2000));
    assertThat(device.statistics().sequence()).isEqualTo(2);
  }

  @Test
  void aReportOfAnUnknownKindIsPassedOver() {
    driver.start(Driver.ALL_FEATURES, 4);
    offerStatistics(0xFFFF, 1);
    assertThat(device.statistics()).isEqualTo(BalloonStatistics.of(1, new byte[0]));
  }

  @Test
  void onlyWholePagesReportedFreeAreDiscarded() {
    driver.start(Driver.ALL_FEATURES, 4);
    driver
        .descriptor(REPORTING, 0, 0x20000, 0x4000, WRITE | NEXT, 1)
        .descriptor(REPORTING, 1, 0x30001, 0x2FFF, WRITE | NEXT, 2)
        .descriptor(REPORTING, 2, 0x40800, 0x1000, WRITE, 0)
        .offer(REPORTING, 0)
        .kick(REPORTING);
    assertThat(pages.calls).containsExactly("discard 32+4", "discard 49+2");
    assertThat(device.counters().reported()).isEqualTo(6);
  }

  @Test
  void queuesOfFeaturesThatWereNotAcceptedDoNotCount() {
    driver.start(BalloonDevice.REPORTING, 3);
    driver.descriptor(2, 0, 0x20000, 0x1000, WRITE, 0).offer(2, 0).kick(2);
    assertThat(pages.calls).containsExactly("discard 32+1");
  }

  @Test
  void aResetForgetsTheKeptBuffer() {
    driver.start(Driver.ALL_FEATURES, 4);
    offerStatistics(4, 1000);
    driver.write(Register.STATUS, 0);
    device.requestStatistics();
    driver.transport.advance(0);
    assertThat(driver.usedIndex(STATISTICS)).isZero();
    assertThat(device.statistics()).isEqualTo(BalloonStatistics.NONE);
  }
}
