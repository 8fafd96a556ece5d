package memvisor.device.virtio;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import memvisor.memory.BalloonPort;
import org.jspecify.annotations.Nullable;

/**
 * The traditional memory balloon (virtio 1.2, 5.5): the driver takes pages from its guest and names
 * them, and their frames are the machine's.
 *
 * <p>A guest that lies harms itself alone: a page it still uses holds zeroes, and what is not its
 * own cannot be named.
 *
 * <p>The driver numbers the queues without gaps: those of features that it did not accept do not
 * count.
 */
public final class BalloonDevice implements VirtioDevice {
  static final long MUST_TELL_HOST = 1;
  static final long STATS_VQ = 1 << 1;
  static final long DEFLATE_ON_OOM = 1 << 2;
  static final long REPORTING = 1 << 5;

  private static final int ID = 5;
  private static final int PAGE_SHIFT = 12;
  private static final int PFN_BYTES = 4;

  /** Linux names 256 pages at a time. */
  private static final int PAGES_PER_REQUEST = 4096;

  private static final int STATISTICS_BYTES = 64 * BalloonStatistics.ENTRY_BYTES;
  private static final int CONFIGURATION_BYTES = 16;
  private static final int ACTUAL_OFFSET = 4;

  private static final int INFLATE_QUEUE = 0;
  private static final int DEFLATE_QUEUE = 1;

  private final BalloonPort port;
  private final long features;
  private @Nullable VirtioEvents events;
  private int statisticsQueue = -1;
  private int reportingQueue = -1;
  private long targetPages;
  private long actualPages;
  private @Nullable DescriptorChain statisticsBuffer;
  private boolean statisticsWanted;
  private BalloonStatistics statistics = BalloonStatistics.NONE;
  private long inflated;
  private long deflated;
  private long reported;
  private long ignored;
  private boolean running;
  private volatile BalloonState state =
      new BalloonState(false, 0, 0, new BalloonCounters(0, 0, 0, 0), statistics);

  /**
   * An empty balloon.
   *
   * @param port who gets the pages
   * @param deflateOnOom whether the guest may let pages out when it runs out of memory
   * @param reporting whether the guest is to report its free pages
   */
  public BalloonDevice(BalloonPort port, boolean deflateOnOom, boolean reporting) {
    this.port = port;
    features =
        MUST_TELL_HOST
            | STATS_VQ
            | (deflateOnOom ? DEFLATE_ON_OOM : 0)
            | (reporting ? REPORTING : 0);
  }

  // ---- for the host ----------------------------------------------------------------------------

  /** Asks the driver to bring the balloon to that size, in pages of 4 KiB. */
  public void setTargetPages(long pages) {
    if (pages < 0 || pages > 0xFFFF_FFFFL) {
      throw new IllegalArgumentException("a balloon has 0 to 2^32 - 1 pages, not " + pages);
    }
    targetPages = pages;
    publish();
    if (events != null) {
      events.configurationChanged();
    }
  }

  /** The size asked for, in pages. */
  public long targetPages() {
    return targetPages;
  }

  /** The size that the driver says the balloon has, in pages. */
  public long actualPages() {
    return actualPages;
  }

  /** Asks the driver for a new report; {@link #statistics} shows it soon after. */
  public void requestStatistics() {
    statisticsWanted = true;
    if (events != null) {
      events.workArrived();
    }
  }

  /** The last report. */
  public BalloonStatistics statistics() {
    return statistics;
  }

  /** What was done so far. */
  public BalloonCounters counters() {
    return new BalloonCounters(inflated, deflated, reported, ignored);
  }

  /** The balloon as it was a moment ago; from any thread, without waiting. */
  public BalloonState state() {
    return state;
  }

  /** Whether the guest may let pages out when it runs out of memory. */
  public boolean mayDeflateOnOom() {
    return (features & DEFLATE_ON_OOM) != 0;
  }

  private void publish() {
    state = new BalloonState(running, targetPages, actualPages, counters(), statistics);
  }

  // ---- for the transport -----------------------------------------------------------------------

  @Override
  public int id() {
    return ID;
  }

  @Override
  public String name() {
    return "virtio-balloon";
  }

  @Override
  public long features() {
    return features;
  }

  @Override
  public int queueCount() {
    return 2 + Long.bitCount(features & (STATS_VQ | REPORTING));
  }

  @Override
  public void attach(VirtioEvents transport) {
    events = transport;
  }

  @Override
  public void start(long accepted) {
    int next = DEFLATE_QUEUE + 1;
    statisticsQueue = (accepted & STATS_VQ) != 0 ? next++ : -1;
    reportingQueue = (accepted & REPORTING) != 0 ? next : -1;
    running = true;
    publish();
  }

  @Override
  public void reset() {
    statisticsQueue = -1;
    reportingQueue = -1;
    statisticsBuffer = null;
    statisticsWanted = false;
    statistics = BalloonStatistics.NONE;
    actualPages = 0;
    running = false;
    publish();
  }

  @Override
  public void poll() {
    DescriptorChain buffer = statisticsBuffer;
    if (statisticsWanted && buffer != null) {
      statisticsWanted = false;
      statisticsBuffer = null;
      buffer.complete(0);
    }
  }

  @Override
  public boolean accepts(int queue) {
    return queue <= DEFLATE_QUEUE
        || queue == reportingQueue
        || queue == statisticsQueue && statisticsBuffer == null;
  }

  @Override
  public void serve(int queue, DescriptorChain chain) {
    if (queue == statisticsQueue) {
      readStatistics(chain);
    } else if (queue == reportingQueue) {
      report(chain);
    } else {
      pages(chain, queue == INFLATE_QUEUE);
    }
    publish();
  }

  /** 5.5.6.3: the device keeps the buffer until it wants a new report. */
  private void readStatistics(DescriptorChain chain) {
    byte[] report = new byte[(int) Math.min(STATISTICS_BYTES, chain.readableBytes())];
    chain.read(0, report);
    statistics = BalloonStatistics.of(statistics.sequence() + 1, report);
    statisticsBuffer = chain;
  }

  /** 5.5.6: an array of page numbers. Neighbours are taken together, up or down. */
  private void pages(DescriptorChain chain, boolean inflate) {
    long count = chain.readableBytes() / PFN_BYTES;
    if (count > PAGES_PER_REQUEST) {
      chain.reject("a request for %d pages at once".formatted(count));
      return;
    }
    byte[] array = new byte[(int) count * PFN_BYTES];
    chain.read(0, array);
    ByteBuffer numbers = ByteBuffer.wrap(array).order(ByteOrder.LITTLE_ENDIAN);
    long first = 0;
    long end = 0;
    while (numbers.hasRemaining()) {
      long gfn = Integer.toUnsignedLong(numbers.getInt());
      if (first < end && gfn == end) {
        end++;
      } else if (first < end && gfn == first - 1) {
        first--;
      } else {
        range(first, end, inflate);
        first = gfn;
        end = gfn + 1;
      }
    }
    range(first, end, inflate);
    chain.complete(0);
  }

  private void range(long first, long end, boolean inflate) {
    if (first == end) {
      return;
    }
    long changed = inflate ? port.inflate(first, end - first) : port.deflate(first, end - first);
    inflated += inflate ? changed : 0;
    deflated += inflate ? 0 : changed;
    ignored += end - first - changed;
  }

  /** 5.5.6.7: the buffers themselves are the free pages; partial pages are not. */
  private void report(DescriptorChain chain) {
    for (int i = 0; i < chain.writableCount(); i++) {
      long gpa = chain.writableGpa(i);
      long first = gpa + (1L << PAGE_SHIFT) - 1 >>> PAGE_SHIFT;
      long end = gpa + chain.writableLengthBytes(i) >>> PAGE_SHIFT;
      if (first < end) {
        reported += port.discard(first, end - first);
      }
    }
    chain.complete(0);
  }

  @Override
  public byte[] configuration() {
    ByteBuffer bytes = ByteBuffer.allocate(CONFIGURATION_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    return bytes.putInt((int) targetPages).putInt((int) actualPages).array();
  }

  @Override
  public void writeConfiguration(int offset, int sizeBytes, long value) {
    if (offset == ACTUAL_OFFSET && sizeBytes == 4) {
      actualPages = value & 0xFFFF_FFFFL;
      publish();
    }
  }
}
