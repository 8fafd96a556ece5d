package memvisor.machine;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Counts exits by reason and remembers the last few, for the report of a guest that died.
 *
 * <p>Written by the vCPU's thread alone; read when the vCPU is stopped.
 */
public final class ExitStatistics {
  private static final ExitReason[] REASONS = ExitReason.values();

  /** How many exits a post-mortem shows: a screen's worth. A power of two. */
  private static final int REMEMBERED = 32;

  private final long[] counts = new long[REASONS.length];
  private final byte[] lastReason = new byte[REMEMBERED];
  private final long[] lastInstruction = new long[REMEMBERED];
  private final long[] lastDetail = new long[REMEMBERED];
  private long total;

  /** One remembered exit. */
  public record Exit(ExitReason reason, long instruction, long detail) {
    @Override
    public String toString() {
      return "%-18s instruction=%d detail=0x%x".formatted(reason, instruction, detail);
    }
  }

  /** Counts one exit; {@code detail} is the address, port or register it was about. */
  public void count(ExitReason reason, long instruction, long detail) {
    counts[reason.ordinal()]++;
    int slot = (int) total++ & REMEMBERED - 1;
    lastReason[slot] = (byte) reason.ordinal();
    lastInstruction[slot] = instruction;
    lastDetail[slot] = detail;
  }

  /** Exits of one reason so far. */
  public long count(ExitReason reason) {
    return counts[reason.ordinal()];
  }

  /** All exits so far. */
  public long total() {
    return total;
  }

  /** The counts that are not zero, in the enum's order. */
  public Map<ExitReason, Long> counts() {
    Map<ExitReason, Long> map = new EnumMap<>(ExitReason.class);
    for (ExitReason reason : REASONS) {
      if (counts[reason.ordinal()] != 0) {
        map.put(reason, counts[reason.ordinal()]);
      }
    }
    return map;
  }

  /** The last exits, oldest first. */
  public List<Exit> last() {
    List<Exit> exits = new ArrayList<>();
    for (long i = Math.max(0, total - REMEMBERED); i < total; i++) {
      int slot = (int) i & REMEMBERED - 1;
      exits.add(new Exit(REASONS[lastReason[slot]], lastInstruction[slot], lastDetail[slot]));
    }
    return exits;
  }
}
