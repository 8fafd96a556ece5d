package memvisor.host.policy;

/**
 * What a VM was promised.
 *
 * @param name its name
 * @param promisedPages guest memory, in pages of 4 KiB
 * @param floorPages host frames that are never taken from it by force; at most {@code
 *     promisedPages}
 * @param shares its weight when memory is short, 1 and up: twice the shares, twice the memory
 * @param limitPages most host frames it may keep while others are in need, and the size its balloon
 *     is kept at; {@code promisedPages} if there is no limit
 */
public record VmTerms(
    String name, long promisedPages, long floorPages, int shares, long limitPages) {
  /** Shares of a VM for which nobody chose any. */
  public static final int DEFAULT_SHARES = 1000;

  /** Checks the ranges; the messages are for the user. */
  public VmTerms {
    require(promisedPages > 0, name, "must have more than 0 bytes of memory");
    require(floorPages >= 0, name, "cannot have a floor below 0");
    require(floorPages <= promisedPages, name, "cannot have a floor above its memory");
    require(shares > 0 && shares <= 1_000_000, name, "must have 1 to 1000000 shares");
    require(
        limitPages >= floorPages && limitPages <= promisedPages,
        name,
        "must have a limit between its floor and its memory");
  }

  private static void require(boolean holds, String name, String sentence) {
    if (!holds) {
      throw new IllegalArgumentException("vm " + name + " " + sentence);
    }
  }

  /** A VM without floor or limit, and with the usual shares. */
  public static VmTerms of(String name, long promisedPages) {
    return new VmTerms(name, promisedPages, 0, DEFAULT_SHARES, promisedPages);
  }

  /** The same with a floor. */
  public VmTerms withFloorPages(long newFloorPages) {
    return new VmTerms(name, promisedPages, newFloorPages, shares, limitPages);
  }

  /** The same with other shares. */
  public VmTerms withShares(int newShares) {
    return new VmTerms(name, promisedPages, floorPages, newShares, limitPages);
  }

  /** The same with a limit. */
  public VmTerms withLimitPages(long newLimitPages) {
    return new VmTerms(name, promisedPages, floorPages, shares, newLimitPages);
  }
}
