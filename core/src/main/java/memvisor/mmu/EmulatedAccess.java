package memvisor.mmu;

import memvisor.address.Access;
import memvisor.memory.Backing;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationResult;

/**
 * One access performed by the monitor: walk the guest's tables in software, then the VM's own map.
 *
 * <p>The whole of the trap technique, and what the others fall back to where their hardware cannot
 * go (tables in ROM or outside memory, memory beyond a partition's limit).
 */
final class EmulatedAccess {
  private final VmBacking backing;
  private final GuestWalk walk;

  EmulatedAccess(VmBacking backing, PagingState guest, Counters counters) {
    this.backing = backing;
    this.walk = new GuestWalk(backing, guest, counters);
  }

  GuestWalk walk() {
    return walk;
  }

  /** Fills {@code result} with PAGE_FAULT, MAPPED once, DEVICE, DISCARD or FAILED. */
  void perform(long gva, int access, TranslationResult result) {
    if (walk.walk(gva, access)) {
      once(backing, walk.gpa(), access, result);
    } else {
      result.pageFault(walk.errorCode());
    }
  }

  /** The outcome of an access whose guest physical address is known, valid for this access only. */
  static void once(VmBacking backing, long gpa, int access, TranslationResult result) {
    long frame = backing.frame(gpa >>> 12, (access & Access.WRITE) != 0);
    if (Backing.isPresent(frame)) {
      result.mapped(Backing.hpa(frame) | gpa & 0xFFF, gpa);
      result.cacheable = false;
    } else {
      unmapped(frame, gpa, result);
    }
  }

  /** The outcome where host memory gave a reason instead of a frame. */
  static void unmapped(long reason, long gpa, TranslationResult result) {
    result.gpa = gpa;
    if (reason == Backing.NOT_MEMORY) {
      result.device(gpa);
    } else {
      result.kind =
          reason == Backing.READ_ONLY ? TranslationResult.DISCARD : TranslationResult.FAILED;
    }
  }
}
