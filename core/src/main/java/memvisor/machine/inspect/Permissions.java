package memvisor.machine.inspect;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import memvisor.machine.TechniqueKind;
import memvisor.paging.Reference;
import memvisor.paging.Rights;

/** Who may do what with a mapped page, and which entry or control stands against it. */
final class Permissions {
  private Permissions() {}

  /** One sentence for what is allowed, and one for each reason that forbids something. */
  static List<String> sentences(GuestWalk walk, TechniqueKind technique) {
    List<String> sentences = new ArrayList<>();
    List<String> allowed = new ArrayList<>();
    Map<String, List<AccessKind>> denied = new LinkedHashMap<>();
    for (AccessKind kind : AccessKind.of(technique)) {
      if (walk.allows(kind.access())) {
        allowed.add(kind.toString());
      } else {
        denied.computeIfAbsent(reason(walk, kind), reason -> new ArrayList<>()).add(kind);
      }
    }
    sentences.add("The guest's tables allow: " + (allowed.isEmpty() ? "nothing" : join(allowed)));
    denied.forEach((reason, kinds) -> sentences.add(faults(walk, kinds) + ": " + reason));
    return sentences.stream().map(sentence -> sentence + ".").toList();
  }

  private static String join(List<String> parts) {
    return String.join(", ", parts);
  }

  /** "A user-mode read faults with error code 0x5, user-mode write 0x7". */
  static String faults(GuestWalk walk, List<AccessKind> kinds) {
    List<String> parts = new ArrayList<>();
    for (AccessKind kind : kinds) {
      parts.add(
          (parts.isEmpty() ? "A %s faults with error code 0x%x" : "%s 0x%x")
              .formatted(kind, walk.errorCode(kind.access())));
    }
    return join(parts);
  }

  private static String reason(GuestWalk walk, AccessKind kind) {
    int rights = walk.rights();
    if (kind.isUser() && (rights & Rights.USER) == 0) {
      return without(walk, Rights.USER, "is for the supervisor only (U/S=0)");
    }
    if (kind.isFetch() && (rights & Rights.EXECUTE) == 0) {
      return without(walk, Rights.EXECUTE, "forbids execution (NX=1)");
    }
    if (kind.isWrite() && (rights & Rights.WRITE) == 0) {
      return without(walk, Rights.WRITE, "is read-only (R/W=0)");
    }
    return kind.isFetch()
        ? "CR4.SMEP keeps the supervisor from executing user pages"
        : "CR4.SMAP keeps the supervisor from user pages while EFLAGS.AC is clear";
  }

  private static String without(GuestWalk walk, int right, String words) {
    for (Reference reference : walk.references()) {
      if ((walk.format().rights(reference.entry()) & right) == 0) {
        return "the %s at gpa 0x%x %s".formatted(reference.name(), reference.address(), words);
      }
    }
    return "an entry " + words;
  }
}
