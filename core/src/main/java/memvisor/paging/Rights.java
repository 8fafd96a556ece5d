package memvisor.paging;

/**
 * What the entries of a walk allow together, in one nibble that means the same for every format.
 *
 * <pre>
 *   bit 0  READ     always set for a present x86 entry; EPT bit 0
 *   bit 1  WRITE    R/W; EPT bit 1
 *   bit 2  USER     U/S; always set for EPT
 *   bit 3  EXECUTE  not XD (NX); EPT bit 2
 * </pre>
 */
public final class Rights {
  /** Reads are allowed. */
  public static final int READ = 1;

  /** Writes are allowed. */
  public static final int WRITE = 1 << 1;

  /** User-mode accesses are allowed. */
  public static final int USER = 1 << 2;

  /** Instruction fetches are allowed. */
  public static final int EXECUTE = 1 << 3;

  /** Everything is allowed. */
  public static final int ALL = READ | WRITE | USER | EXECUTE;

  private Rights() {}

  /** For people: {@code rwux} with a dash for each right that is missing. */
  public static String describe(int rights) {
    return ((rights & READ) != 0 ? "r" : "-")
        + ((rights & WRITE) != 0 ? "w" : "-")
        + ((rights & USER) != 0 ? "u" : "-")
        + ((rights & EXECUTE) != 0 ? "x" : "-");
  }
}
