package memvisor.lab.guest;

import java.util.Optional;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;

/** Makes images of the built-in guest. */
public final class BuiltinGuest {
  /**
   * OUT of one byte here, the debug console's port, marks the measured section: {@link
   * #MARK_BEGIN}, {@link #MARK_END}.
   */
  public static final int MARKER_PORT = 0xE9;

  /** Written to the debug console before the measured section. */
  public static final int MARK_BEGIN = 1;

  /** Written to the debug console after the measured section. */
  public static final int MARK_END = 2;

  /** OUT of one byte here ends the run: 0 for success, 1 if the guest failed. */
  public static final int EXIT_PORT = 0xF4;

  private static final long HUGE_PAGE_BYTES = 2L << 20;
  private static final int PAGE_BYTES = 4096;
  private static final int ENTRIES_PER_TABLE = 512;

  private BuiltinGuest() {}

  /**
   * The guest for one workload: an ELF64 executable whose entry expects long mode with an identity
   * map, and which also carries a PVH entry (32-bit protected mode, no paging).
   *
   * @throws IllegalArgumentException if the tables for that many pages and spaces do not fit
   */
  public static byte[] image(Workload workload, WorkloadParameters parameters) {
    requireTablesFit(workload, parameters);
    return KernelRuntime.forPc(identityGigabytes(workload, parameters))
        .image(workload, parameters, memoryBytes(workload, parameters));
  }

  /**
   * The guest for one workload as a Xen PV kernel: the same work and the same checksum, with page
   * tables that the monitor validates. Without {@link #pvObstacle}.
   *
   * @throws IllegalArgumentException if the tables for that many pages and spaces do not fit
   */
  public static byte[] paravirtualImage(Workload workload, WorkloadParameters parameters) {
    requireTablesFit(workload, parameters);
    return KernelRuntime.forDomain().image(workload, parameters, memoryBytes(workload, parameters));
  }

  /** Why a workload means nothing to a paravirtual guest, in a sentence; empty if it does. */
  public static Optional<String> pvObstacle(Workload workload) {
    return workload == Workload.SPACE_SWITCH_PCID
        ? Optional.of("a paravirtual guest has no PCIDs: the monitor loads CR3 for it, and flushes")
        : Optional.empty();
  }

  /** How much RAM the guest needs, a multiple of 2 MiB. */
  public static long memoryBytes(Workload workload, WorkloadParameters parameters) {
    long end = Layout.DATA_GPA + dataFrames(workload, parameters) * PAGE_BYTES;
    return (end + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
  }

  /**
   * How much RAM the paravirtual guest needs: also for the lists and tables of the domain builder.
   */
  public static long paravirtualMemoryBytes(Workload workload, WorkloadParameters parameters) {
    long own = memoryBytes(workload, parameters);
    // The list of frames and the first tables take 1/512 each; the mapping ends at 4 MiB.
    return own + own / 128 / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES + 4 * HUGE_PAGE_BYTES;
  }

  private static int identityGigabytes(Workload workload, WorkloadParameters parameters) {
    return (int) (memoryBytes(workload, parameters) - 1 >> 30) + 1;
  }

  private static long dataFrames(Workload workload, WorkloadParameters parameters) {
    return switch (workload) {
      case SPACE_SWITCH, SPACE_SWITCH_PCID -> (long) parameters.pages() * parameters.spaces();
      case COPY_ON_WRITE -> 2L * parameters.pages();
      case SEQUENTIAL_COPY, RANDOM_UPDATE, POINTER_CHASE, MAP_CHURN -> parameters.pages();
    };
  }

  /**
   * Checks what {@link #image} would reject.
   *
   * @throws IllegalArgumentException with a sentence for the user
   */
  public static void requireTablesFit(Workload workload, WorkloadParameters parameters) {
    int roots =
        switch (workload) {
          case SPACE_SWITCH, SPACE_SWITCH_PCID -> parameters.spaces();
          case COPY_ON_WRITE -> 2;
          case SEQUENTIAL_COPY, RANDOM_UPDATE, POINTER_CHASE, MAP_CHURN -> 1;
        };
    int leafTables = (parameters.pages() + ENTRIES_PER_TABLE - 1) / ENTRIES_PER_TABLE;
    // PML4, PDPT and PD above the leaves; the first root and the identity map besides.
    long tables = (long) roots * (3 + leafTables) + 2 + identityGigabytes(workload, parameters);
    long room = (Layout.DATA_GPA - Layout.TABLE_POOL_GPA) / PAGE_BYTES;
    if (tables > room) {
      throw new IllegalArgumentException(
          "%s with %d pages in %d spaces needs %d page tables; the built-in guest has room for %d"
              .formatted(workload, parameters.pages(), parameters.spaces(), tables, room));
    }
  }
}
