package memvisor.machine;

import java.util.Arrays;
import java.util.List;
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
  TRAP,
  /** The guest's own tables with machine addresses in them; only for a paravirtual guest. */
  DIRECT;

  /** The techniques that a guest cannot tell apart, and so can run any. */
  public static List<TechniqueKind> transparent() {
    return Arrays.stream(values()).filter(kind -> !kind.isParavirtual()).toList();
  }

  /** Whether the guest has to know. */
  public boolean isParavirtual() {
    return this == DIRECT;
  }

  /** The word on the command line. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
