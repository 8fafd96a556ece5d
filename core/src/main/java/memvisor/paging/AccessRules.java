package memvisor.paging;

import memvisor.address.Access;

/**
 * Which access which accumulated {@link Rights} allow, as a table: for each access a set of the
 * sixteen possible rights. Also what a page-fault error code reports.
 *
 * <p>Intel SDM vol. 3A, 4.6.1 (access rights), 4.7 (error code); vol. 3C, 29.3.3.2 (EPT); AMD APM
 * vol. 2, 15.25.5 (nested walks are user accesses).
 */
public final class AccessRules {
  /** Page-fault error code bit 0: the fault was not caused by a non-present page. */
  public static final int ERROR_PRESENT = 1;

  /** Page-fault error code bit 3: a reserved bit was set in some entry. */
  public static final int ERROR_RESERVED = 1 << 3;

  /** EPT: R for reads, W for writes, X for fetches. */
  public static final AccessRules EPT = new AccessRules(true, false, false, true, true);

  /** NPT: every access counts as a user access. */
  public static final AccessRules NPT = new AccessRules(true, false, false, true, true);

  private static final AccessRules[] BY_CONTROLS = byControls();

  /** Indexed by {@link #index}; bit r of a value is set when rights r allow the access. */
  private final int[] allowed = new int[32];

  private final int reportedBits;

  private AccessRules(
      boolean writeProtect, boolean smep, boolean smap, boolean fetchReported, boolean alwaysUser) {
    reportedBits = Access.WRITE | Access.USER | (fetchReported ? Access.FETCH : 0);
    for (int i = 0; i < allowed.length; i++) {
      boolean user = alwaysUser || (i & 2) != 0 && (i & 8) == 0;
      for (int rights = 0; rights <= Rights.ALL; rights++) {
        if (user ? allowsUser(i, rights) : allowsSupervisor(i, rights, writeProtect, smep, smap)) {
          allowed[i] |= 1 << rights;
        }
      }
    }
  }

  private static boolean allowsUser(int index, int rights) {
    int needed =
        Rights.USER
            | ((index & 1) != 0 ? Rights.WRITE : 0)
            | ((index & 4) != 0 ? Rights.EXECUTE : (index & 1) != 0 ? 0 : Rights.READ);
    return (rights & needed) == needed;
  }

  private static boolean allowsSupervisor(
      int index, int rights, boolean writeProtect, boolean smep, boolean smap) {
    boolean userPage = (rights & Rights.USER) != 0;
    boolean write = (index & 1) != 0;
    if ((index & 4) != 0) {
      return (rights & Rights.EXECUTE) != 0 && !(smep && userPage);
    }
    boolean implicit = (index & 8) != 0;
    boolean alignmentCheck = (index & 16) != 0;
    if (smap && userPage && (implicit || !alignmentCheck)) {
      return false;
    }
    return !write || !writeProtect || (rights & Rights.WRITE) != 0;
  }

  private static AccessRules[] byControls() {
    AccessRules[] rules = new AccessRules[16];
    for (int i = 0; i < rules.length; i++) {
      boolean smep = (i & 2) != 0;
      boolean noExecute = (i & 8) != 0;
      rules[i] = new AccessRules((i & 1) != 0, smep, (i & 4) != 0, smep || noExecute, false);
    }
    return rules;
  }

  /**
   * The rules under CR0.WP, CR4.SMEP, CR4.SMAP, CR4.PAE and EFER.NXE as they stand; none of them
   * counts while paging is off.
   */
  public static AccessRules of(PagingState state) {
    if (!state.paging()) {
      return BY_CONTROLS[0];
    }
    boolean noExecute =
        (state.cr4() & PagingState.CR4_PAE) != 0 && (state.efer() & PagingState.EFER_NXE) != 0;
    return BY_CONTROLS[
        ((state.cr0() & PagingState.CR0_WP) != 0 ? 1 : 0)
            | ((state.cr4() & PagingState.CR4_SMEP) != 0 ? 2 : 0)
            | ((state.cr4() & PagingState.CR4_SMAP) != 0 ? 4 : 0)
            | (noExecute ? 8 : 0)];
  }

  /** WRITE, USER, FETCH, IMPLICIT, AC in bits 0 to 4. */
  private static int index(int access) {
    return access >>> 1 & 3 | access >>> 2 & 4 | access >>> 5 & 24;
  }

  /** Whether accumulated {@code rights} allow {@code access} ({@link Access} bits). */
  public boolean allows(int rights, int access) {
    return (allowed[index(access)] >>> rights & 1) != 0;
  }

  /**
   * The page-fault error code of an access whose walk ended in {@code outcome}, one of the failures
   * of {@link Walker}.
   */
  public int errorCode(int access, int outcome) {
    int cause =
        switch (outcome) {
          case Walker.MALFORMED -> ERROR_PRESENT | ERROR_RESERVED;
          case Walker.DENIED -> ERROR_PRESENT;
          default -> 0;
        };
    int reported = (access & Access.IMPLICIT) != 0 ? reportedBits & ~Access.USER : reportedBits;
    return cause | access & reported;
  }
}
