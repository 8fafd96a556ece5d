package memvisor.machine;

import java.util.Locale;

/** The techniques a user can choose. */
public enum TechniqueKind {
  /** Second-level tables (EPT or NPT) that the hardware walks. */
  NESTED,
  /** Shadow page tables. */
  SHADOW,
  /** One contiguous slice of machine memory, base and limit. */
  PARTITION,
  /** Every access exits. */
  TRAP;

  /** The word on the command line. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
