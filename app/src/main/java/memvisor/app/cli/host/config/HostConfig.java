package memvisor.app.cli.host.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.machine.fleet.VmSpec;

/**
 * A host as its file describes it.
 *
 * @param memoryBytes machine memory
 * @param socket where it is controlled, if the file says so
 * @param reclaim how memory is taken back, without a swap file
 * @param swap where cold pages go, if anywhere
 * @param policy how the machine is shared out
 * @param vms the VMs
 */
public record HostConfig(
    long memoryBytes,
    Optional<Path> socket,
    ReclaimOptions reclaim,
    Optional<Swap> swap,
    PolicyOptions policy,
    List<Guest> vms) {
  /** The swap file is twice as large as all guests if nobody says otherwise. */
  private static final int DEFAULT_SWAP_FACTOR = 2;

  /** Ages of pages are kept for a little longer. */
  private static final int LONGEST_TRIM_SECONDS = 240;

  /**
   * A swap file, to be made.
   *
   * @param file a path where nothing is yet
   * @param sizeBytes its size
   */
  public record Swap(Path file, long sizeBytes) {}

  /**
   * A VM.
   *
   * @param spec what it is made of
   * @param start whether it starts with the host
   */
  public record Guest(VmSpec spec, boolean start) {}

  /**
   * Reads a file, and the kernels it names.
   *
   * @throws memvisor.app.cli.CommandFailure if something in it cannot be used
   */
  public static HostConfig read(Path file) {
    Section root = Section.of(file, ConfigFile.read(file), "a host");
    long memoryBytes =
        root.size("memory")
            .orElseThrow(
                () -> root.error("memory", "say how much memory the host has, like memory: 1G"));
    requireSize(root, memoryBytes);
    Optional<Path> socket = root.text("socket").map(text -> resolve(file, text));
    Optional<Section> defaults = root.section("defaults");
    List<Guest> vms = guests(file, root, defaults);
    Optional<Section> reclaim = root.section("reclaim");
    long guestBytes = vms.stream().mapToLong(vm -> vm.spec().configuration().memoryBytes()).sum();
    Optional<Swap> swap = reclaim.flatMap(section -> swap(file, section, guestBytes));
    ReclaimOptions options = reclaim(memoryBytes, reclaim);
    int tax =
        reclaim
            .flatMap(section -> section.number("idle-tax-percent", 0, 99))
            .orElse((long) PolicyOptions.DEFAULT.idleTaxPercent())
            .intValue();
    PolicyOptions policy =
        PolicyOptions.DEFAULT.withIdleTaxPercent(tax).withTrimAfterNanos(trimAfterNanos(reclaim));
    reclaim.ifPresent(section -> section.rejectUnknown("reclaim"));
    root.rejectUnknown("a host");
    return new HostConfig(memoryBytes, socket, options, swap, policy, vms);
  }

  private static long trimAfterNanos(Optional<Section> reclaim) {
    return reclaim
        .flatMap(section -> section.number("trim-after-seconds", 0, LONGEST_TRIM_SECONDS))
        .map(TimeUnit.SECONDS::toNanos)
        .orElse(PolicyOptions.DEFAULT.trimAfterNanos());
  }

  private static void requireSize(Section root, long memoryBytes) {
    try {
      HostMemoryOptions.ofSize(memoryBytes);
    } catch (IllegalArgumentException wrong) {
      throw root.error("memory", String.valueOf(wrong.getMessage()));
    }
    if (memoryBytes < 1 << 20) {
      throw root.error("memory", "a host needs 1M of memory at least");
    }
  }

  /** A path as the user means it: relative to the file it stands in, with ~ for home. */
  static Path resolve(Path file, String text) {
    String home = System.getProperty("user.home", "/");
    String expanded = text.startsWith("~/") ? home + text.substring(1) : text;
    Path parent = file.toAbsolutePath().getParent();
    return parent == null ? Path.of(expanded) : parent.resolve(expanded);
  }

  private static List<Guest> guests(Path file, Section root, Optional<Section> defaults) {
    List<YamlNode> nodes = root.list("vms");
    if (nodes.isEmpty()) {
      throw root.error("vms", "a host has a list of vms, each with a name");
    }
    GuestReader reader = new GuestReader(file);
    List<Guest> guests = new ArrayList<>();
    for (YamlNode node : nodes) {
      Section own = Section.of(file, node, "a VM");
      for (Guest guest : reader.read(defaults.map(own::or).orElse(own))) {
        if (guests.stream().anyMatch(other -> other.spec().name().equals(guest.spec().name()))) {
          throw own.error("name", "there are two VMs called " + guest.spec().name());
        }
        guests.add(guest);
      }
    }
    // Each VM has asked its defaults for all that a VM can have.
    defaults.ifPresent(section -> section.rejectUnknown("a VM"));
    return guests;
  }

  private static Optional<Swap> swap(Path file, Section reclaim, long guestBytes) {
    if (!reclaim.has("swap")) {
      return Optional.empty();
    }
    long size = DEFAULT_SWAP_FACTOR * guestBytes;
    if (!reclaim.isSection("swap")) {
      return reclaim.text("swap").map(text -> new Swap(resolve(file, text), size));
    }
    Section section = reclaim.section("swap").orElseThrow();
    String path =
        section.text("file").orElseThrow(() -> section.error("file", "swap needs a file"));
    Swap swap = new Swap(resolve(file, path), section.size("size").orElse(size));
    section.rejectUnknown("swap");
    return Optional.of(swap);
  }

  private static ReclaimOptions reclaim(long memoryBytes, Optional<Section> found) {
    ReclaimOptions none = ReclaimOptions.none(memoryBytes);
    if (found.isEmpty()) {
      return none;
    }
    Section section = found.get();
    ReclaimOptions options =
        none.withDedup(dedup(section))
            .withCompression(section.flag("compress").orElse(false))
            .withPatches(section.flag("patch").orElse(true))
            .withPoolPercent(
                section
                    .number("pool-percent", 0, 100)
                    .orElse((long) none.poolPercent())
                    .intValue());
    return options;
  }

  private static DedupOptions dedup(Section reclaim) {
    if (!reclaim.isSection("dedup")) {
      return reclaim.flag("dedup").orElse(false) ? DedupOptions.ON : DedupOptions.OFF;
    }
    Section section = reclaim.section("dedup").orElseThrow();
    DedupOptions on = DedupOptions.ON;
    DedupOptions options =
        new DedupOptions(
            true,
            section.number("pages-to-scan", 1, 1 << 24).orElse((long) on.pagesToScan()).intValue(),
            section.number("sleep-millisecs", 0, 3_600_000).orElse(on.sleepMilliseconds()),
            section.number("max-slow-down", 1, 1000).orElse((long) on.maxSlowDown()).intValue(),
            section
                .number("max-page-sharing", 2, 1 << 20)
                .orElse((long) on.maxPageSharing())
                .intValue(),
            section.flag("use-zero-pages").orElse(on.useZeroPages()),
            on.hash());
    section.rejectUnknown("dedup");
    return options;
  }
}
