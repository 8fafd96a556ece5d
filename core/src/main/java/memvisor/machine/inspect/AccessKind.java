package memvisor.machine.inspect;

import java.util.Arrays;
import java.util.List;
import memvisor.address.Access;
import memvisor.machine.TechniqueKind;

/** The six accesses that an explanation of permissions tells apart; EFLAGS.AC is clear. */
public enum AccessKind {
  /** A data read by the supervisor. */
  SUPERVISOR_READ("supervisor read", Access.READ),
  /** A data write by the supervisor. */
  SUPERVISOR_WRITE("supervisor write", Access.WRITE),
  /** An instruction fetch by the supervisor. */
  SUPERVISOR_FETCH("supervisor fetch", Access.FETCH),
  /** A data read in user mode. */
  USER_READ("user-mode read", Access.USER),
  /** A data write in user mode. */
  USER_WRITE("user-mode write", Access.USER | Access.WRITE),
  /** An instruction fetch in user mode. */
  USER_FETCH("user-mode fetch", Access.USER | Access.FETCH);

  private final String words;
  private final int access;

  AccessKind(String words, int access) {
    this.words = words;
    this.access = access;
  }

  /** Those that a guest can make: all, or the user's where its kernel runs at CPL 3 too. */
  static List<AccessKind> of(TechniqueKind technique) {
    return Arrays.stream(values())
        .filter(kind -> kind.isUser() || !technique.isParavirtual())
        .toList();
  }

  /** The {@link Access} bits. */
  public int access() {
    return access;
  }

  /** Whether it is made in user mode. */
  boolean isUser() {
    return (access & Access.USER) != 0;
  }

  /** Whether it writes. */
  boolean isWrite() {
    return (access & Access.WRITE) != 0;
  }

  /** Whether it fetches an instruction. */
  boolean isFetch() {
    return (access & Access.FETCH) != 0;
  }

  @Override
  public String toString() {
    return words;
  }
}
