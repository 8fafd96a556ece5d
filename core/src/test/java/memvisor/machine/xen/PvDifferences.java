package memvisor.machine.xen;

import java.util.Map;

/**
 * Where our answers are not those of the Xen that was asked, and why. Xen was asked as its
 * privileged domain, under QEMU's processor.
 */
final class PvDifferences {
  private static final String DEVICES = "only a domain with devices may choose memory types";
  private static final String GRANT = "bit 62 is refused, as by a Xen that checks itself";
  private static final String CACHE = "only a domain with devices may flush caches";
  private static final String VECTOR =
      "QEMU's processor gives INT n another error code than SDM 6.13";
  private static final String BREAKPOINTS =
      "the processor keeps breakpoints but does not take them";
  private static final String GATES = "call gates are refused, as all system descriptors";
  private static final String BANKS = "the processor has no machine-check banks";
  private static final String HOST = "a register of the processor below, which is another one";

  private static final String UNCHANGED = "ffffffffffffffea 10000000000067";
  private static final String REFUSED_STORE = "e 3 10000000000067";

  /** Our own answer, and why. */
  record Difference(String why, String answer) {}

  private static final Map<String, Difference> ALL =
      Map.ofEntries(
          one("call-41", "dm_op is for domains that serve others", "ffffffffffffffda"),
          one("decrease-a-mapped-frame", "a frame goes back when nothing maps it", "0"),
          one("physdev-28-unmapped", "interrupts of devices: there are none", "ffffffffffffffda"),
          one("leaf-grant", GRANT, UNCHANGED),
          one("leaf-attribute", DEVICES, UNCHANGED),
          one("leaf-cache-disable", DEVICES, UNCHANGED),
          one("leaf-write-through", DEVICES, UNCHANGED),
          one(
              "update-top-slot-to-itself",
              "linear tables are refused, as by a Xen built without them",
              "ffffffffffffffea"),
          one("extended-12", CACHE, "fffffffffffffff3"),
          one("extended-18", CACHE, "fffffffffffffff3"),
          one("store-large-page-bit", DEVICES, REFUSED_STORE),
          one("store-grant-bit", GRANT, REFUSED_STORE),
          one("read-of-ffff808000000000", "the descriptor tables lie there", "e 1 e 3"),
          one("int-81", VECTOR, "d 40a 0 10000e030 6 e02b 0 ffffffffffffffc0"),
          one("int-20", VECTOR, "d 102 0 10000e030 6 e02b 0 ffffffffffffffc0"),
          one("int-d", VECTOR, "d 6a 0 10000e030 2 e02b 0 ffffffffffffffc0"),
          one("int-6", VECTOR, "d 32 0 10000e030 2 e02b 0 ffffffffffffffc0"),
          one("int-ff", VECTOR, "d 7fa 0 10000e030 2 e02b 0 ffffffffffffffc0"),
          one("int-of-dpl-0", VECTOR, "d 482 bc 10000e030 6 e02b 0 ffffffffffffffc0"),
          one("int-of-dpl-1", VECTOR, "91 0 b8 10000e030 6 e02b 0 ffffffffffffffc8"),
          one("execution-breakpoint", BREAKPOINTS, "6 0 29 10000e030 6 e02b 0 ffffffffffffffc8"),
          one("write-breakpoint", BREAKPOINTS, "6 0 2e 10000e030 2 e02b 0 ffffffffffffffc8"),
          one("rdmsr-10a", "hidden from domains without privilege", "d 0 0"),
          one("rdmsr-179", BANKS, "ffffffffffffffff 0 0"),
          one("rdmsr-1a0", HOST, "ffffffffffffffff 1801 0"),
          one("rdmsr-400", BANKS, "d 0 0"),
          one("rdmsr-401", BANKS, "d 0 0"),
          one("rdmsr-c001001f", HOST, "d 0 0"),
          one(
              "user-read-of-the-list",
              "hidden from user mode, as Xen does in its strict mode",
              "e c 4 40000a e033 202 401ff8 e02b ffffffffffffffc0 e033"),
          one("user-system-call-flags", "DF is cleared, as by newer ones", "101 602 602 202"),
          one("gdt-with-a-gate", GATES, "ffffffffffffffea"),
          one("descriptor-call-gate", GATES, "ffffffffffffffea 0"),
          one("ldt-with-a-gate", GATES, "e 0"));

  private PvDifferences() {}

  private static Map.Entry<String, Difference> one(String name, String why, String answer) {
    return Map.entry(name, new Difference(why, answer));
  }

  static Map<String, Difference> all() {
    return ALL;
  }
}
