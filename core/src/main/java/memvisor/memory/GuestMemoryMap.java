package memvisor.memory;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The regions of one VM, ordered by address and disjoint. Immutable: inserting returns a new map.
 *
 * @param regions the regions in ascending order
 */
public record GuestMemoryMap(List<MemoryRegion> regions) {
  /** A map with no memory. */
  public static final GuestMemoryMap EMPTY = new GuestMemoryMap(List.of());

  /** Checks order and overlap. */
  public GuestMemoryMap {
    regions = List.copyOf(regions);
    for (int i = 1; i < regions.size(); i++) {
      if (regions.get(i).gpa() < regions.get(i - 1).end()) {
        throw new IllegalArgumentException(
            "memory regions overlap: " + regions.get(i - 1) + " and " + regions.get(i));
      }
    }
  }

  /** This map with one more region. */
  public GuestMemoryMap with(MemoryRegion region) {
    List<MemoryRegion> all = new ArrayList<>(regions);
    all.add(region);
    all.sort(Comparator.comparingLong(MemoryRegion::gpa));
    return new GuestMemoryMap(all);
  }

  /** The region that holds {@code gpa}, if any. */
  public Optional<MemoryRegion> find(long gpa) {
    return regions.stream().filter(region -> region.contains(gpa)).findFirst();
  }

  /** Sum of the sizes of all regions, in bytes. */
  public long sizeBytes() {
    return regions.stream().mapToLong(MemoryRegion::sizeBytes).sum();
  }

  /** First address past the last region; 0 for an empty map. */
  public long end() {
    return regions.isEmpty() ? 0 : regions.getLast().end();
  }
}
