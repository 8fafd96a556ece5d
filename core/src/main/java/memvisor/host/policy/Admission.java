package memvisor.host.policy;

import java.util.List;

/** Whether a VM can be promised what it asks for. */
public sealed interface Admission {
  /**
   * It can.
   *
   * @param uncommittedPages frames that are still promised to nobody afterwards
   */
  record Admitted(long uncommittedPages) implements Admission {}

  /**
   * It cannot.
   *
   * @param reason why, with the numbers, for the user
   */
  record Refused(String reason) implements Admission {}

  /** Tables of the monitor, of a VM's size in pages: the leaf tables of one mapping of it all. */
  private static long tablePages(long promisedPages) {
    return promisedPages / 512 + 4;
  }

  /**
   * Judges a VM by what those already there were promised.
   *
   * <p>The floors of all VMs, the monitor's tables for them, and what the machine never gives away
   * ({@link MemoryState#LOW}) must fit into the machine.
   */
  static Admission judge(long totalFrames, List<VmTerms> present, VmTerms wanted) {
    long reserve = MemoryState.LOW.entersBelow(totalFrames);
    long promised =
        present.stream()
            .mapToLong(terms -> terms.floorPages() + tablePages(terms.promisedPages()))
            .sum();
    long needed = wanted.floorPages() + tablePages(wanted.promisedPages());
    long left = totalFrames - reserve - promised - needed;
    if (left >= 0) {
      return new Admitted(left);
    }
    return new Refused(
        ("vm %s cannot be promised %s: of the machine's %s, %s are promised to %d other VMs, %s stay free for emergencies, "
                + "and its own tables may take %s; %s are missing. Lower a floor, stop a VM or give the machine more memory")
            .formatted(
                wanted.name(),
                mib(wanted.floorPages()),
                mib(totalFrames),
                mib(promised),
                present.size(),
                mib(reserve),
                mib(tablePages(wanted.promisedPages())),
                mib(-left)));
  }

  private static String mib(long pages) {
    return pages % 256 == 0 ? pages / 256 + " MiB" : "%.1f MiB".formatted(pages / 256.0);
  }
}
