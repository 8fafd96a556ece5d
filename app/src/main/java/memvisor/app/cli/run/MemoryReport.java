package memvisor.app.cli.run;

import java.util.LinkedHashMap;
import java.util.Map;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.page.PageState;
import memvisor.host.policy.Decision;
import memvisor.host.reclaim.HostReclaim;
import memvisor.memory.FrameRole;

/** The ledger's sums as a tree for JSON: frames of the machine, pages of the guest, reclaim. */
final class MemoryReport {
  private MemoryReport() {}

  static Map<String, Object> of(HostMemory host, VmMemory memory) {
    Map<String, Object> root = new LinkedHashMap<>();
    Map<String, Object> frames = new LinkedHashMap<>();
    for (FrameRole role : FrameRole.values()) {
      frames.put(role.name(), host.ledger().totals().count(role));
    }
    root.put("framesByRole", frames);
    Map<String, Object> pages = new LinkedHashMap<>();
    for (PageState state : PageState.values()) {
      pages.put(state.name(), memory.pages(state));
    }
    root.put("pagesByState", pages);
    Map<String, Object> unusable = new LinkedHashMap<>();
    unusable.put("2M", host.freeBlocks().unusable(9));
    unusable.put("1G", host.freeBlocks().unusable(18));
    root.put("freeMemoryUnusableFor", unusable);
    root.put("largePages", memory.largePages());
    root.put("compaction", host.compactions());
    host.reclaim().ifPresent(reclaim -> addReclaim(root, reclaim, memory));
    return root;
  }

  private static void addReclaim(Map<String, Object> root, HostReclaim reclaim, VmMemory memory) {
    Map<String, Object> transitions = new LinkedHashMap<>();
    memory.transitionCosts().forEach((reason, cost) -> transitions.put(reason.name(), cost));
    root.put("transitions", transitions);
    root.put("workingSetPages", memory.workingSetPages());
    root.put("pagedTwice", memory.pagedTwice());
    root.put("dedup", reclaim.dedup());
    root.put("compression", reclaim.compression());
    reclaim.swap().ifPresent(swap -> root.put("swap", swap));
    root.put("decisions", reclaim.decisions().stream().map(Decision::toString).toList());
  }
}
