package memvisor.host;

import java.util.HashMap;
import java.util.Map;
import java.util.function.LongConsumer;
import memvisor.host.frames.HostMemoryException;
import memvisor.memory.Backing;
import memvisor.memory.DerivedMappings;
import memvisor.memory.Hva;

/**
 * A VM's technique and vCPU in one: it keeps what host memory answered until it is told to forget,
 * and reads and writes through that. What it kept too long shows as wrong contents.
 */
final class CachingGuest implements DerivedMappings {
  private final VmMemory vm;
  private final Map<Long, Long> mapped = new HashMap<>();
  private final Map<Long, Boolean> accessed = new HashMap<>();

  CachingGuest(VmMemory vm) {
    this.vm = vm;
    vm.setDerivedMappings(this);
  }

  private long hva(long gpa, boolean write) {
    long gfn = gpa >>> 12;
    Long backing = mapped.get(gfn);
    if (backing == null || write && !Backing.isWritable(backing)) {
      long answer = vm.frame(gfn, write);
      if (!Backing.isPresent(answer)) {
        throw new HostMemoryException(vm.failure().orElse("no frame"));
      }
      mapped.put(gfn, answer);
      backing = answer;
    }
    accessed.put(gfn, true);
    return vm.machine().hva(Backing.hpa(backing)) + (gpa & 0xFFF);
  }

  long read(long gpa) {
    return Hva.readLong(hva(gpa, false));
  }

  void write(long gpa, long value) {
    Hva.writeLong(hva(gpa, true), value);
  }

  void fill(long gfn, long seed, int step) {
    for (int offset = 0; offset < 4096; offset += 8) {
      write((gfn << 12) + offset, offset % step == 0 ? seed + offset : 0);
    }
  }

  @Override
  public void invalidate(long firstGfn, long count) {
    mapped.keySet().removeIf(gfn -> gfn >= firstGfn && gfn < firstGfn + count);
  }

  @Override
  public void writeProtect(long firstGfn, long count) {
    mapped.replaceAll(
        (gfn, backing) ->
            gfn >= firstGfn && gfn < firstGfn + count ? backing & ~Backing.WRITABLE : backing);
  }

  @Override
  public boolean harvestAccessed(long firstGfn, long count, LongConsumer action) {
    for (long gfn = firstGfn; gfn < firstGfn + count; gfn++) {
      if (accessed.remove(gfn) != null) {
        action.accept(gfn);
      }
    }
    return true;
  }
}
