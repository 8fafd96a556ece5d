package memvisor.mmu;

import memvisor.paging.PagingState;
import memvisor.paging.Rights;

/**
 * Under which conditions a shadow page is valid, packed into an {@code int}: together with the
 * guest frame the key of the shadow page.
 *
 * <pre>
 *   bits 0–2   level of the shadow table, 1 to 5
 *   bits 3–5   levels of the guest's tables: 0 (paging off), 2, 3, 4, 5
 *   bits 6–8   what the entries above grant: write, user, execute
 *   bit  9     DIRECT: derived from no guest table but from a run of guest frames
 *   bits 10–11 which quarter (level 2) or half (level 1) of a 4-byte-entry guest table
 *   bit  12    CR0.WP
 *   bit  13    CR4.SMEP, where CR0.WP = 0
 *   bit  14    CR4.SMAP, where CR0.WP = 0
 *   bit  15    EFER.NXE
 *   bit  16    CR4.PSE, where it matters (2 levels)
 *   bit  17    SYNTHETIC: top tables above the guest's own, private to one vCPU
 * </pre>
 */
final class ShadowRole {
  static final int DIRECT = 1 << 9;
  static final int SYNTHETIC = 1 << 17;

  /** Rights bits 1 to 3; READ is always granted. */
  private static final int ACCESS_SHIFT = 5;

  private static final int QUADRANT_SHIFT = 10;
  private static final int WP = 1 << 12;
  private static final int SMEP_NOT_WP = 1 << 13;
  private static final int SMAP_NOT_WP = 1 << 14;
  private static final int NXE = 1 << 15;
  private static final int PSE = 1 << 16;
  private static final int ACCESS = 7 << 6;
  private static final int VARIABLE = 0x7 | ACCESS | DIRECT | 3 << QUADRANT_SHIFT;

  private ShadowRole() {}

  /** The part of the role that the guest's control registers decide. */
  static int ofMode(PagingState guest) {
    int guestLevels = GuestWalk.levels(guest);
    int role = guestLevels << 3;
    if (guestLevels == 0) {
      return role;
    }
    if ((guest.cr0() & PagingState.CR0_WP) != 0) {
      role |= WP;
    } else {
      role |= (guest.cr4() & PagingState.CR4_SMEP) != 0 ? SMEP_NOT_WP : 0;
      role |= (guest.cr4() & PagingState.CR4_SMAP) != 0 ? SMAP_NOT_WP : 0;
    }
    role |= guestLevels > 2 && (guest.efer() & PagingState.EFER_NXE) != 0 ? NXE : 0;
    role |= guestLevels == 2 && (guest.cr4() & PagingState.CR4_PSE) != 0 ? PSE : 0;
    return role;
  }

  static int of(int mode, int level, int access) {
    return mode & ~VARIABLE | level | access << ACCESS_SHIFT & ACCESS;
  }

  static int direct(int mode, int level, int access) {
    return of(mode, level, access) | DIRECT;
  }

  static int withQuadrant(int role, int quadrant) {
    return role | quadrant << QUADRANT_SHIFT;
  }

  static int level(int role) {
    return role & 7;
  }

  static int guestLevels(int role) {
    return role >> 3 & 7;
  }

  static int access(int role) {
    return role >> ACCESS_SHIFT & Rights.ALL | Rights.READ;
  }

  static int quadrant(int role) {
    return role >> QUADRANT_SHIFT & 3;
  }

  static boolean isDirect(int role) {
    return (role & DIRECT) != 0;
  }

  /** Bytes of one entry of the guest table. */
  static int guestEntryBytes(int role) {
    return guestLevels(role) == 2 ? 4 : 8;
  }

  /** The role in words, for explanations. */
  static String describe(int role) {
    StringBuilder text = new StringBuilder();
    if ((role & SYNTHETIC) != 0) {
      return "synthetic level " + level(role);
    }
    text.append(isDirect(role) ? "direct" : "indirect").append(" level ").append(level(role));
    text.append(" of ").append(guestLevels(role)).append("-level guest, access ");
    text.append(Rights.describe(access(role)));
    if (guestLevels(role) == 2 && !isDirect(role)) {
      text.append(", quadrant ").append(quadrant(role));
    }
    if (guestLevels(role) != 0 && (role & WP) == 0) {
      text.append(", WP=0");
    }
    return text.toString();
  }
}
