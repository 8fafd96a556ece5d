package memvisor.app.cli.monitor;

import java.util.Map;
import memvisor.host.frames.FrameCounts;
import memvisor.machine.ExitReason;
import memvisor.machine.VirtualMachine;
import memvisor.memory.FrameRole;
import memvisor.mmu.TechniqueStatistics;
import memvisor.tlb.TlbCounters;

/** What a machine has counted, as lines of names and numbers. */
final class MonitorStatistics {
  private static final int FRAME_KIB = 4;

  private MonitorStatistics() {}

  /** Instructions, exits, TLBs and the technique. */
  static String counts(VirtualMachine machine) {
    StringBuilder out = new StringBuilder();
    line(out, "instructions", machine.instructions());
    line(out, "exits", machine.exits().total());
    for (Map.Entry<ExitReason, Long> exit : machine.exits().counts().entrySet()) {
      line(out, "  " + exit.getKey(), exit.getValue());
    }
    tlb(out, machine.unit().counters());
    TechniqueStatistics technique = machine.statistics();
    line(out, technique.name() + " table frames", technique.tableFrames());
    technique.counters().forEach((name, count) -> line(out, "  " + name, count));
    return out.toString();
  }

  private static void tlb(StringBuilder out, TlbCounters counters) {
    line(out, "translations", counters.accesses());
    line(out, "  first-level TLB hits", counters.firstHits());
    line(out, "  second-level TLB hits", counters.secondHits());
    line(out, "  walks", counters.walks());
    line(out, "  walks shortened by paging-structure caches", counters.structureHits());
    line(out, "  page faults", counters.pageFaults());
    line(out, "  nested faults", counters.nestedFaults());
    line(out, "table entries read", counters.allReferences());
    line(out, "  of the first dimension", counters.references());
    line(out, "  of nested tables", counters.nestedReferences());
    line(out, "nested walks", counters.nestedWalks());
    line(out, "  nested TLB hits", counters.nestedTlbHits());
    line(out, "TLB flushes", counters.flushes());
    line(out, "TLB page invalidations", counters.pageInvalidations());
  }

  /** Host frames of the machine's VM by role. */
  static String frames(VirtualMachine machine) {
    FrameCounts usage = machine.memory().usage();
    StringBuilder out = new StringBuilder();
    for (FrameRole role : FrameRole.values()) {
      if (usage.count(role) != 0) {
        out.append(
            "%-46s %14d frames, %d KiB%n"
                .formatted(role, usage.count(role), usage.count(role) * FRAME_KIB));
      }
    }
    line(out, "frames of VM " + machine.memory().vmId(), usage.total());
    line(
        out,
        "frames of the machine that are free",
        machine.ledger().totals().count(FrameRole.FREE));
    return out.toString();
  }

  private static void line(StringBuilder out, String name, long count) {
    out.append("%-46s %14d%n".formatted(name, count));
  }
}
