package memvisor.mmu;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Adds up which shadow pages each guest root leads to. */
final class ShadowCosts {
  private final Map<Long, Set<ShadowPage>> reached = new TreeMap<>();
  private final Map<ShadowPage, Integer> sharers = new HashMap<>();

  private ShadowCosts() {}

  static List<ShadowRootCost> of(ShadowPages pages) {
    ShadowCosts costs = new ShadowCosts();
    pages.forEach(costs::addRoot);
    return costs.sums();
  }

  private void addRoot(ShadowPage page) {
    int guestLevels = ShadowRole.guestLevels(page.role);
    // A guest of PAE has four page directories for roots, behind registers that no table holds.
    int topLevel = guestLevels == 3 ? 2 : guestLevels;
    if (page.isIndirect() && page.level() == topLevel) {
      reach(page, reached.computeIfAbsent(page.gfn, gfn -> new HashSet<>()));
    }
  }

  private void reach(ShadowPage page, Set<ShadowPage> pages) {
    if (!pages.add(page)) {
      return;
    }
    sharers.merge(page, 1, Integer::sum);
    for (int i = 0; i < page.children.length; i++) {
      ShadowPage child = page.child(i);
      if (child != null) {
        reach(child, pages);
      }
    }
  }

  private List<ShadowRootCost> sums() {
    List<ShadowRootCost> sums = new ArrayList<>();
    reached.forEach(
        (gfn, pages) -> {
          int exclusive =
              (int) pages.stream().filter(page -> sharers.getOrDefault(page, 0) == 1).count();
          sums.add(new ShadowRootCost(gfn, pages.size(), exclusive));
        });
    return sums;
  }
}
