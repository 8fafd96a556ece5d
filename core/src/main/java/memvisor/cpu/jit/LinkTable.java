package memvisor.cpu.jit;

import java.util.ArrayList;
import java.util.List;

/** Numbers the places in the page to which a unit leaves. */
final class LinkTable {
  private final List<Long> positions = new ArrayList<>();

  int number(long position) {
    int known = positions.indexOf(position);
    if (known >= 0) {
      return known;
    }
    positions.add(position);
    return positions.size() - 1;
  }

  int size() {
    return positions.size();
  }
}
