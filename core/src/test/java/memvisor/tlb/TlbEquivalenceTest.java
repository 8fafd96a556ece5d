package memvisor.tlb;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;
import memvisor.address.Access;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import memvisor.testing.Tables;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A unit with all its caches, and a vCPU's cache in front, give the same translations as a unit
 * without any, provided the guest and the monitor invalidate as the architecture demands.
 */
class TlbEquivalenceTest {
  private static final int SPACES = 3;
  private static final int GLOBAL_PAGES = 6;
  // below another PML4E: the rights above the other pages change in one space only
  private static final long GLOBALS = 0x80_1800_0000L;
  private static final int[] ACCESSES = {
    Access.READ,
    Access.WRITE,
    Access.FETCH,
    Access.READ | Access.USER,
    Access.WRITE | Access.USER,
    Access.FETCH | Access.USER,
    Access.WRITE | Access.AC
  };

  /** A vCPU's translation cache that never runs out of room. */
  private static final class FrontCache implements TranslationListener {
    final Map<String, Long> pages = new HashMap<>();
    final Set<String> globals = new HashSet<>();

    static String key(long gva, int access) {
      return Long.toHexString(gva >>> 12) + ":" + access;
    }

    @Override
    public void translationsInvalidated() {
      pages.clear();
      globals.clear();
    }

    @Override
    public void nonGlobalInvalidated() {
      pages.keySet().retainAll(globals);
    }

    void put(long gva, int access, TranslationResult result) {
      String key = key(gva, access);
      pages.put(key, result.hpa & -4096);
      if (result.global) {
        globals.add(key);
      } else {
        globals.remove(key);
      }
    }

    @Override
    public void pageInvalidated(long gva) {
      pages.keySet().removeIf(key -> key.startsWith(Long.toHexString(gva >>> 12) + ":"));
    }
  }

  static LongStream seeds() {
    return LongStream.concat(LongStream.of(1, 2, 3, 4), new Random().longs(2));
  }

  private final NestedGuest guest = NestedGuest.fourOnFour();
  private final Tables[] spaces = new Tables[SPACES];
  private final FrontCache front = new FrontCache();
  private final TranslationResult with = new TranslationResult();
  private final TranslationResult without = new TranslationResult();
  private Random random = new Random(0);
  private int current;

  @ParameterizedTest
  @MethodSource("seeds")
  void cachesAreInvisibleToAGuestThatInvalidates(long seed) {
    System.out.println("TlbEquivalenceTest seed=" + seed);
    random = new Random(seed);
    spaces[0] = guest.tables;
    for (int i = 1; i < SPACES; i++) {
      spaces[i] = guest.newTables(PagingMode.LEVELS_4);
    }
    guest.state.setCr4(guest.state.cr4() | PagingState.CR4_PCIDE | PagingState.CR4_PGE);
    populate();
    TranslationUnit unit = guest.unit();
    TranslationUnit bare = guest.unit(TlbConfiguration.OFF);
    unit.setListener(front);
    for (int step = 0; step < 40_000; step++) {
      switch (random.nextInt(150)) {
        case 0, 5, 6, 7 -> changePage(unit);
        case 10, 11 -> changeGlobal(unit);
        case 1 -> switchSpace(unit, bare);
        case 2 -> changeHost(unit);
        case 3 -> changeControls(unit, bare);
        case 4 -> changeLarge(unit);
        case 8 -> widen();
        case 9 -> changeUpperRights(unit);
        default -> access(unit, bare, "seed=%d step=%d".formatted(seed, step));
      }
    }
    TlbCounters counters = unit.counters();
    assertThat(counters.firstHits()).as("the test exercises hits").isGreaterThan(1_000);
    assertThat(counters.structureHits()).isGreaterThan(500);
    assertThat(counters.nestedTlbHits()).isGreaterThan(500);
  }

  private void populate() {
    for (Tables space : spaces) {
      for (int i = 0; i < 24; i++) {
        space.map(0x1000_0000L + (i << 12), 1, (long) random.nextInt(64) << 12, anyRights());
      }
      for (int i = 0; i < GLOBAL_PAGES; i++) {
        space.map(GLOBALS + (i << 12), 1, 0, Rights.READ);
        space.set(GLOBALS + (i << 12), 1, 0);
      }
    }
  }

  private long anyPage() {
    return 0x1000_0000L + (random.nextInt(24) << 12);
  }

  private long anyLarge() {
    return 0x4000_0000L + ((long) random.nextInt(2) << 21);
  }

  private long anyGlobal() {
    return GLOBALS + (random.nextInt(GLOBAL_PAGES) << 12);
  }

  private void access(TranslationUnit unit, TranslationUnit bare, String what) {
    long gva =
        switch (random.nextInt(4)) {
          case 0 -> anyLarge() + (random.nextInt(16) << 12);
          case 1 -> anyGlobal();
          default -> anyPage();
        };
    gva |= random.nextInt(4096);
    int access = ACCESSES[random.nextInt(ACCESSES.length)];
    String where = "%s gva=%x access=%x".formatted(what, gva, access);
    Long cached = front.pages.get(FrontCache.key(gva, access));
    if (cached != null) {
      checkDirty(gva, access, where);
      bare.translate(gva, access, without);
      assertThat(without.kind).as("%s in front", where).isEqualTo(TranslationResult.MAPPED);
      assertThat(cached | gva & 4095).as("%s in front", where).isEqualTo(without.hpa);
    }
    unit.translate(gva, access, with);
    if (with.kind == TranslationResult.MAPPED) {
      checkDirty(gva, access, where);
      front.put(gva, access, with);
    }
    bare.translate(gva, access, without);
    compare(where);
  }

  /** What is written was marked dirty, whoever translated it. */
  private void checkDirty(long gva, int access, String where) {
    if ((access & Access.WRITE) != 0) {
      long leaf = spaces[current].get(gva, gva < 0x4000_0000L || gva >= GLOBALS ? 1 : 2);
      assertThat(leaf & 0x60).as(where).isEqualTo(0x60);
    }
  }

  private void compare(String where) {
    assertThat(with.kind).as(where).isEqualTo(without.kind);
    if (with.kind == TranslationResult.MAPPED) {
      assertThat(with.hpa).as(where).isEqualTo(without.hpa);
      assertThat(with.gpa).as(where).isEqualTo(without.gpa);
    } else if (with.kind == TranslationResult.PAGE_FAULT) {
      assertThat(with.errorCode).as(where).isEqualTo(without.errorCode);
    } else {
      assertThat(with.gpa).as(where).isEqualTo(without.gpa);
      assertThat(with.qualification).as(where).isEqualTo(without.qualification);
    }
  }

  private int anyRights() {
    return Rights.READ | random.nextInt(8) << 1;
  }

  /** Changes one leaf in the current space and executes INVLPG. */
  private void changePage(TranslationUnit unit) {
    long gva = anyPage();
    PagingFormat format = spaces[current].format();
    long entry = format.leafEntry((long) random.nextInt(64) << 12, 1, anyRights());
    spaces[current].set(gva, 1, random.nextInt(4) == 0 ? 0 : entry);
    unit.invalidatePage(gva | random.nextInt(4096));
  }

  /** Changes a global page, alike in all spaces, and executes INVLPG in the current one. */
  private void changeGlobal(TranslationUnit unit) {
    long gva = anyGlobal();
    PagingFormat format = spaces[current].format();
    // accessed and dirty: the spaces' entries stay alike
    long entry = format.leafEntry((long) random.nextInt(64) << 12, 1, anyRights()) | 1 << 8 | 0x60;
    for (Tables space : spaces) {
      space.set(gva, 1, entry);
    }
    unit.invalidatePage(gva | random.nextInt(4096));
  }

  /** Grants writes and fetches at every level, which needs no INVLPG: no fault is cached. */
  private void widen() {
    long gva = anyPage();
    for (int level = 1; level <= 4; level++) {
      long entry = spaces[current].get(gva, level);
      if (spaces[current].format().isPresent(entry)) {
        spaces[current].set(gva, level, (entry | 2) & Long.MAX_VALUE);
      }
    }
  }

  /** Changes the rights of a whole region and flushes everything. */
  private void changeUpperRights(TranslationUnit unit) {
    long gva = anyPage();
    int level = 2 + random.nextInt(3);
    PagingFormat format = spaces[current].format();
    long table = format.tableAddress(spaces[current].get(gva, level));
    spaces[current].set(gva, level, format.tableEntry(table, anyRights()));
    unit.invalidatePcid(2, 0, 0);
  }

  /** Changes a 2 MiB leaf and executes INVLPG somewhere inside. */
  private void changeLarge(TranslationUnit unit) {
    long gva = anyLarge();
    spaces[current].map(gva, 2, random.nextInt(4) == 0 ? 0x20_0000 : 0, anyRights());
    unit.invalidatePage(gva + random.nextInt(1 << 21));
  }

  private void switchSpace(TranslationUnit unit, TranslationUnit bare) {
    current = random.nextInt(SPACES);
    guest.state.setCr3(spaces[current].root() | current);
    unit.cr3Loaded(random.nextInt(4) != 0);
    bare.cr3Loaded(true);
  }

  /** Moves, write-protects or unmaps a guest frame in the nested tables and invalidates it. */
  private void changeHost(TranslationUnit unit) {
    long gpa = (long) random.nextInt(64) << 12;
    long hpa = guest.hpa((long) random.nextInt(64) << 12);
    int rights = Rights.READ | random.nextInt(2) << 1 | random.nextInt(2) << 3;
    boolean unmap = random.nextInt(6) == 0;
    guest.nested.set(gpa, 1, unmap ? 0 : guest.nestedFormat.leafEntry(hpa, 1, rights));
    unit.invalidateNested(gpa, 4096);
  }

  private void changeControls(TranslationUnit unit, TranslationUnit bare) {
    PagingState state = guest.state;
    switch (random.nextInt(4)) {
      case 0 -> state.setCr0(state.cr0() ^ PagingState.CR0_WP);
      case 1 -> state.setCr4(state.cr4() ^ PagingState.CR4_SMAP);
      case 2 -> state.setCr4(state.cr4() ^ PagingState.CR4_SMEP);
      default -> unit.invalidatePcid(1 + random.nextInt(3), random.nextInt(SPACES), 0);
    }
    unit.controlsChanged();
    bare.controlsChanged();
  }
}
