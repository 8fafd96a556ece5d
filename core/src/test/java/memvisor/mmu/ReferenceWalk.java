package memvisor.mmu;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.Access;
import memvisor.paging.PagingState;

/**
 * A page walk written out from the manual (Intel SDM vol. 3A, 4.3 to 4.8) without the walker and
 * the formats under test, over a {@link Memory}.
 */
final class ReferenceWalk {
  private static final long ADDRESS = 0x000F_FFFF_FFFF_F000L;

  /** Guest physical memory as the reference sees it. */
  interface Memory {
    /** Whether there is RAM or ROM. */
    boolean exists(long gpa);

    boolean isReadOnly(long gpa);

    long read(long gpa, int sizeBytes);

    void write(long gpa, int sizeBytes, long value);
  }

  /** An error code, or a guest physical address. */
  record Answer(boolean fault, int errorCode, long gpa) {}

  private record Use(long gpa, int sizeBytes, long value, long wanted) {}

  private final Memory memory;
  private final PagingState state;

  ReferenceWalk(Memory memory, PagingState state) {
    this.memory = memory;
    this.state = state;
  }

  private boolean cr0(long bit) {
    return (state.cr0() & bit) != 0;
  }

  private boolean cr4(long bit) {
    return (state.cr4() & bit) != 0;
  }

  private boolean nxe() {
    return (state.efer() & PagingState.EFER_NXE) != 0;
  }

  /** Translates and sets A and D. */
  Answer walk(long gva, int access) {
    if (!state.paging()) {
      return new Answer(false, 0, gva & 0xFFFF_FFFFL);
    }
    if (state.longMode()) {
      int levels = cr4(PagingState.CR4_LA57) ? 5 : 4;
      int unused = 64 - 12 - 9 * levels;
      return gva << unused >> unused == gva
          ? descend(gva, access, levels, 8, state.cr3() & ADDRESS)
          : fault(access, 0);
    }
    if (!cr4(PagingState.CR4_PAE)) {
      return descend(gva, access, 2, 4, state.cr3() & 0xFFFF_F000L);
    }
    long pdpte = state.pdpte((int) (gva >>> 30));
    return (pdpte & 1) == 0 ? fault(access, 0) : descend(gva, access, 2, 8, pdpte & ADDRESS);
  }

  private Answer descend(long gva, int access, int levels, int size, long rootGpa) {
    List<Use> uses = new ArrayList<>();
    boolean writable = true;
    boolean user = true;
    boolean executable = true;
    long table = rootGpa;
    int bits = size == 4 ? 10 : 9;
    for (int level = levels; ; level--) {
      int shift = 12 + bits * (level - 1);
      long at = table + size * (gva >>> shift & (1L << bits) - 1);
      if (!memory.exists(at)) {
        return fault(access, 1 | 8);
      }
      long entry = memory.read(at, size);
      if ((entry & 1) == 0) {
        return fault(access, 0);
      }
      boolean ps = (entry & 0x80) != 0;
      boolean large =
          level == 2 && ps && (size == 8 || cr4(PagingState.CR4_PSE))
              || level == 3 && ps && size == 8;
      boolean leaf = level == 1 || large;
      if (hasReserved(entry, level, size, leaf)) {
        return fault(access, 1 | 8);
      }
      writable &= (entry & 2) != 0;
      user &= (entry & 4) != 0;
      executable &= size == 4 || entry >= 0;
      boolean dirty = leaf && (access & Access.WRITE) != 0;
      uses.add(new Use(at, size, entry, entry | 0x20 | (dirty ? 0x40 : 0)));
      if (leaf) {
        if (!permitted(access, writable, user, executable)) {
          return fault(access, 1);
        }
        setFlags(uses);
        long base = entry & ADDRESS & -(1L << shift);
        if (size == 4) {
          base = large ? entry & 0xFFC0_0000L | (entry >>> 13 & 0xFF) << 32 : entry & 0xFFFF_F000L;
        }
        return new Answer(false, 0, base | gva & (1L << shift) - 1);
      }
      table = size == 4 ? entry & 0xFFFF_F000L : entry & ADDRESS;
    }
  }

  /** Flags are set from the top; an entry in ROM that needs one ends it. */
  private void setFlags(List<Use> uses) {
    for (Use use : uses) {
      if (use.value != use.wanted) {
        if (memory.isReadOnly(use.gpa)) {
          return;
        }
        memory.write(use.gpa, use.sizeBytes, use.wanted);
      }
    }
  }

  private boolean hasReserved(long entry, int level, int size, boolean leaf) {
    int width = state.physicalAddressBits();
    if (size == 4) {
      if (!leaf || level == 1) {
        return false;
      }
      for (int bit = 13; bit <= 21; bit++) {
        boolean address = bit < 21 && bit + 19 < width;
        if (!address && (entry >>> bit & 1) != 0) {
          return true;
        }
      }
      return false;
    }
    boolean pae = !state.longMode();
    for (int bit = width; bit <= (pae ? 62 : 51); bit++) {
      if ((entry >>> bit & 1) != 0) {
        return true;
      }
    }
    if (entry < 0 && !nxe() || level > 3 && (entry & 0x80) != 0) {
      return true;
    }
    return leaf
        && (level == 2 && (entry & 0x1F_E000) != 0 || level == 3 && (entry & 0x3FFF_E000) != 0);
  }

  private boolean permitted(int access, boolean writable, boolean user, boolean executable) {
    boolean write = (access & Access.WRITE) != 0;
    boolean fetch = (access & Access.FETCH) != 0;
    boolean implicit = (access & Access.IMPLICIT) != 0;
    if (fetch && !executable) {
      return false;
    }
    if ((access & Access.USER) != 0 && !implicit) {
      return user && (!write || writable);
    }
    if (user && fetch && cr4(PagingState.CR4_SMEP)) {
      return false;
    }
    if (user && !fetch && cr4(PagingState.CR4_SMAP) && (implicit || (access & Access.AC) == 0)) {
      return false;
    }
    return !write || writable || !cr0(PagingState.CR0_WP);
  }

  private Answer fault(int access, int cause) {
    int code = cause | access & Access.WRITE;
    if ((access & (Access.USER | Access.IMPLICIT)) == Access.USER) {
      code |= Access.USER;
    }
    if (cr4(PagingState.CR4_SMEP) || cr4(PagingState.CR4_PAE) && nxe()) {
      code |= access & Access.FETCH;
    }
    return new Answer(true, code, -1);
  }
}
