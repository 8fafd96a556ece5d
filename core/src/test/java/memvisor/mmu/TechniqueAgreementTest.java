package memvisor.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.address.PageSize;
import memvisor.host.page.Placement;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.VmBacking;
import memvisor.paging.PagingState;
import memvisor.tlb.TlbConfiguration;
import memvisor.tlb.TranslationResult;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every technique translates a hostile guest as a walk from the manual does, entry for entry: same
 * byte, same error code, same A and D flags, while tables are edited, pages move, and derived
 * entries are thrown away.
 */
class TechniqueAgreementTest {
  private static final long LOW_TABLES = 0x20_0000;
  private static final int TABLE_COUNT = 20;
  private static final long GIBIBYTE = TechniqueVm.GIB;
  private static final long ROM_TABLE = TechniqueVm.ROM_GPA + 0x3000;
  private static final int[] INDEXES = {0, 1, 256, 511};

  /** Raised for a soak: {@code -Dmemvisor.rounds=100}. */
  private static final int ROUNDS = Integer.getInteger("memvisor.rounds", 6);

  record Setup(
      String name,
      GuestMemoryMap map,
      Placement placement,
      Function<VmBacking, Technique> technique) {
    Setup(String name, Placement placement, Function<VmBacking, Technique> technique) {
      this(name, TechniqueVm.MAP, placement, technique);
    }

    /** Whether the guest has a gibibyte in one piece, and maps it as such. */
    boolean hasGibibyte() {
      return map == TechniqueVm.LARGE_MAP;
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static List<Setup> setups() {
    ShadowOptions synchronised = new ShadowOptions(8192, false, PageSize.SIZE_4K, 3);
    ShadowOptions tight = new ShadowOptions(ShadowOptions.LEAST_PAGES, true, PageSize.SIZE_2M, 2);
    NestedOptions npt = new NestedOptions(4, PageSize.SIZE_2M, true);
    NestedOptions five = new NestedOptions(5, PageSize.SIZE_4K, false);
    return List.of(
        new Setup("partition", Placement.CONTIGUOUS, PartitionTechnique::new),
        new Setup("trap", Placement.SCATTERED, TrapTechnique::new),
        new Setup("EPT", Placement.HUGE, NestedTechnique::new),
        new Setup("EPT-5", Placement.SCATTERED, b -> new NestedTechnique(b, five)),
        new Setup("NPT", Placement.HUGE, b -> new NestedTechnique(b, npt)),
        new Setup("shadow", Placement.HUGE, ShadowTechnique::new),
        new Setup("shadow-scattered", Placement.SCATTERED, ShadowTechnique::new),
        new Setup("shadow-synchronised", Placement.HUGE, b -> new ShadowTechnique(b, synchronised)),
        new Setup("shadow-tight", Placement.HUGE, b -> new ShadowTechnique(b, tight)),
        new Setup("EPT-1G", TechniqueVm.LARGE_MAP, Placement.HUGE, NestedTechnique::new),
        new Setup("shadow-1G", TechniqueVm.LARGE_MAP, Placement.HUGE, ShadowTechnique::new));
  }

  static Stream<Arguments> cases() {
    return setups().stream()
        .flatMap(
            setup ->
                (setup.hasGibibyte() ? Stream.of(4, 5) : Stream.of(0, 2, 3, 4, 5))
                    .map(levels -> Arguments.of(setup, levels)));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithTheManualOnHostileTables(Setup setup, int levels) {
    int mapped = 0;
    int gibibytes = 0;
    for (int round = 0; round < ROUNDS; round++) {
      long seed = 1000L * levels + round;
      long tables = setup.hasGibibyte() && round % 2 == 1 ? GIBIBYTE + LOW_TABLES : LOW_TABLES;
      try (TechniqueVm vm =
          new TechniqueVm(
              setup.map,
              setup.placement,
              TechniqueVm.state(levels, tables),
              round == 5 ? TlbConfiguration.OFF : TlbConfiguration.DEFAULT,
              setup.technique)) {
        Guest guest = new Guest(vm, tables, levels, seed, setup);
        guest.run(600);
        mapped += guest.mapped;
        gibibytes += guest.gibibytes;
      }
    }
    assertThat(mapped).as("accesses that reached memory").isGreaterThan(100);
    if (setup.hasGibibyte()) {
      assertThat(gibibytes).as("of them through a leaf of 1 GiB").isGreaterThan(20);
    }
  }

  /** A random guest, and the reference's copy of its tables. */
  private static final class Guest implements ReferenceWalk.Memory {
    private final TechniqueVm vm;
    private final long tables;
    private final int levels;
    private final SplittableRandom random;
    private final String name;
    private final boolean rom;
    private final boolean moves;
    private final boolean gibibyte;
    private final boolean mild;
    private final int entryBytes;
    private final byte[] model = new byte[TABLE_COUNT * 4096];
    private final byte[] romModel = new byte[4096];
    private final List<Long> pages = new ArrayList<>();
    private final ReferenceWalk reference;
    private int step;
    private int mapped;
    private int gibibytes;

    Guest(TechniqueVm vm, long tables, int levels, long seed, Setup setup) {
      this.vm = vm;
      this.tables = tables;
      this.levels = levels;
      this.random = new SplittableRandom(seed);
      this.name = setup + " levels=" + levels + " seed=" + seed;
      this.rom = setup.placement != Placement.CONTIGUOUS;
      this.moves = setup.placement != Placement.CONTIGUOUS;
      this.gibibyte = setup.hasGibibyte();
      this.mild = seed % 3 != 0;
      this.entryBytes = levels == 2 ? 4 : 8;
      this.reference = new ReferenceWalk(this, vm.guest);
      vm.guest.setPhysicalAddressBits(levels == 2 ? 40 : 36 + random.nextInt(17));
      for (int i = 0; i < 24; i++) {
        pages.add(randomPage());
      }
      fill();
    }

    private void fill() {
      for (int table = 0; table < TABLE_COUNT; table++) {
        for (int index : indexes()) {
          set(tables + table * 4096L + (long) index * entryBytes, randomEntry());
        }
      }
      for (int index : indexes()) {
        long entry = randomEntry();
        for (int i = 0; i < entryBytes; i++) {
          romModel[index * entryBytes + i] = (byte) (entry >>> 8 * i);
        }
      }
      vm.memory.load(ROM_TABLE, romModel, 0, romModel.length);
      loadRoot();
    }

    private int[] indexes() {
      return levels == 2 ? new int[] {0, 1, 513, 1023} : INDEXES;
    }

    private long randomPage() {
      long gva = 0;
      int bits = levels == 2 ? 10 : 9;
      int memoryLevels = levels == 3 || levels == 0 ? 2 : levels;
      for (int level = 1; level <= memoryLevels; level++) {
        gva |= (long) indexes()[random.nextInt(4)] << 12 + bits * (level - 1);
      }
      if (levels == 0) {
        return 256 + random.nextInt(3840) << 12 | (random.nextInt(8) == 0 ? 0xFEE0_0000L : 0);
      }
      if (levels == 3) {
        gva |= (long) random.nextInt(4) << 30;
      }
      int unused = levels > 3 ? 64 - 12 - 9 * levels : 32;
      return levels > 3 ? gva << unused >> unused : gva & 0xFFFF_FFFFL;
    }

    /** One time in {@code n} of a hostile guest; a mild guest errs ten times less often. */
    private boolean rarely(int n) {
      return random.nextInt(mild ? 10 * n : n) == 0;
    }

    private long randomTarget() {
      if (rarely(8)) {
        return random.nextBoolean() ? 0xFEE0_0000L : levels == 2 ? 0xFFFF_F000L : 1L << 40;
      }
      return switch (random.nextInt(16)) {
        case 0 -> rom ? ROM_TABLE : 0x4000;
        case 1 -> 0x80_0000L + random.nextInt(4) * 0x20_0000L;
        default -> tables + random.nextInt(TABLE_COUNT) * 4096L;
      };
    }

    private long randomEntry() {
      if (rarely(12)) {
        return random.nextLong() & (entryBytes == 4 ? 0xFFFF_FFFFL : -1) & ~0x100L;
      }
      long flags = rarely(10) ? 0 : 1;
      flags |= rarely(3) ? 0 : 2;
      flags |= rarely(3) ? 0 : 4;
      flags |= random.nextInt(2) == 0 ? 0 : 0x20;
      flags |= random.nextInt(2) == 0 ? 0 : 0x40;
      flags |= entryBytes == 8 && rarely(8) ? 1L << 63 : 0;
      long target = randomTarget();
      if (random.nextInt(gibibyte ? 8 : 32) == 0) {
        flags |= 0x80;
        target = rarely(2) ? target : gibibyte ? GIBIBYTE : 0x80_0000L;
      }
      return (entryBytes == 4 ? target & 0xFFFF_F000L : target) | flags;
    }

    private long randomEntryGpa() {
      int index = indexes()[random.nextInt(4)];
      return tables + random.nextInt(TABLE_COUNT) * 4096L + (long) index * entryBytes;
    }

    private void set(long gpa, long value) {
      write(gpa, entryBytes, value);
      vm.poke(gpa, entryBytes, value);
    }

    private void loadRoot() {
      if (levels == 3) {
        for (int i = 0; i < 4; i++) {
          long table = tables + random.nextInt(TABLE_COUNT) * 4096L;
          vm.guest.setPdpte(i, random.nextInt(8) == 0 ? 0 : table | 1);
        }
        vm.loadCr3(tables);
      } else {
        int kind = random.nextInt(20);
        long root = tables + random.nextInt(3) * 4096L;
        vm.loadCr3(kind == 0 ? 0xFEE0_0000L : kind == 1 && rom ? ROM_TABLE : root);
      }
    }

    void run(int steps) {
      for (step = 0; step < steps; step++) {
        switch (random.nextInt(24)) {
          case 0, 1 -> edit();
          case 2 -> appear();
          case 3 -> loadRoot();
          case 4 -> changeControls();
          case 5 -> editUnlinked();
          case 6, 7, 8 -> storeThroughMapping();
          case 9 -> disturb();
          case 10 -> beSloppy();
          default -> compareOneAccess();
        }
      }
    }

    private int randomAccess() {
      int access =
          random.nextInt(3) == 0 ? Access.WRITE : random.nextInt(3) == 0 ? Access.FETCH : 0;
      access |= random.nextBoolean() ? Access.USER : 0;
      if ((access & Access.USER) == 0 && (access & Access.FETCH) == 0) {
        access |= random.nextInt(3) == 0 ? Access.AC : 0;
        access |= random.nextInt(4) == 0 ? Access.IMPLICIT : 0;
      }
      return access;
    }

    private void compareOneAccess() {
      long gva = pages.get(random.nextInt(pages.size())) | random.nextInt(4096);
      compare(gva, randomAccess());
    }

    private TechniqueVm.Outcome compare(long gva, int access) {
      ReferenceWalk.Answer expected = reference.walk(gva, access);
      TechniqueVm.Outcome actual = vm.access(gva, access);
      String what =
          "%s step=%d gva=0x%x access=0x%x expected=%s actual=%s"
              .formatted(name, step, gva, access, expected, actual);
      if (expected.fault()) {
        assertThat(actual.kind()).as(what).isEqualTo(TranslationResult.PAGE_FAULT);
        assertThat(actual.errorCode()).as(what).isEqualTo(expected.errorCode());
      } else {
        int kind = TranslationResult.MAPPED;
        if (!exists(expected.gpa())) {
          kind = TranslationResult.DEVICE;
        } else if (isReadOnly(expected.gpa()) && (access & Access.WRITE) != 0) {
          kind = rom ? TranslationResult.DISCARD : kind;
        }
        assertThat(actual.kind()).as(what).isEqualTo(kind);
        if (kind != TranslationResult.DISCARD) {
          assertThat(actual.gpa()).as(what).isEqualTo(expected.gpa());
        }
      }
      compareTables(what);
      if (actual.kind() == TranslationResult.MAPPED) {
        mapped++;
        gibibytes += gibibyte && leafLevel(gva, actual.gpa()) == 3 ? 1 : 0;
      }
      return actual;
    }

    private int leafLevel(long gva, long gpa) {
      return vm.mmu.derivedPath(gva, gpa).getLast().level();
    }

    private void compareTables(String what) {
      byte[] now = new byte[model.length];
      vm.memory.read(tables, now, 0, now.length);
      int difference = java.util.Arrays.mismatch(now, model);
      assertThat(difference).as(what + " tables differ at byte").isEqualTo(-1);
    }

    /** Entries change any way they like; then the guest invalidates as the manual demands. */
    private void edit() {
      for (int i = random.nextInt(4); i >= 0; i--) {
        long gpa = randomEntryGpa();
        if (random.nextInt(3) == 0) {
          set(gpa, read(gpa, entryBytes) ^ 1L << random.nextInt(8));
        } else {
          set(gpa, randomEntry());
        }
      }
      invalidate();
    }

    private void invalidate() {
      switch (random.nextInt(3)) {
        case 0 -> loadRoot();
        case 1 -> vm.invpcid(2, 0, 0);
        default -> pages.forEach(vm::invlpg);
      }
    }

    /** Making a page present needs no invalidation. */
    private void appear() {
      long gpa = randomEntryGpa();
      if ((read(gpa, entryBytes) & 1) == 0) {
        set(gpa, randomEntry());
      }
    }

    /** A subtree is unlinked, edited unseen, and linked again. */
    private void editUnlinked() {
      long gpa = randomEntryGpa();
      long entry = read(gpa, entryBytes);
      set(gpa, 0);
      invalidate();
      compareOneAccess();
      long table = entry & 0x000F_FFFF_FFFF_F000L;
      if (table >= tables && table < tables + model.length) {
        set(table + (long) indexes()[random.nextInt(4)] * entryBytes, randomEntry());
        invalidate();
      }
      set(gpa, entry);
    }

    /** A store of any size and alignment through whatever mapping there is, tables included. */
    private void storeThroughMapping() {
      int size = 1 << random.nextInt(4);
      long offset =
          random.nextBoolean()
              ? (long) indexes()[random.nextInt(4)] * entryBytes
              : random.nextInt(4097 - size);
      offset = Math.min(offset, 4096 - size);
      long gva = pages.get(random.nextInt(pages.size())) | offset;
      TechniqueVm.Outcome outcome = compare(gva, Access.WRITE);
      if (outcome.kind() == TranslationResult.MAPPED) {
        long value = randomEntry();
        vm.memory.writeValue(outcome.gpa(), size, value);
        if (outcome.tracked()) {
          vm.mmu.trackedWrite(outcome.gpa(), size);
        }
        if (inModel(outcome.gpa())) {
          write(outcome.gpa(), size, value);
          invalidate();
        }
      }
    }

    /** Edits and uses without invalidation: stale answers are allowed, lasting damage is not. */
    private void beSloppy() {
      for (int i = 0; i < 6; i++) {
        set(randomEntryGpa(), randomEntry());
        vm.access(pages.get(random.nextInt(pages.size())), randomAccess());
      }
      vm.memory.read(tables, model, 0, model.length);
      invalidate();
    }

    private void changeControls() {
      if (levels == 0) {
        return;
      }
      PagingState guest = vm.guest;
      switch (random.nextInt(5)) {
        case 0 -> guest.setCr0(guest.cr0() ^ PagingState.CR0_WP);
        case 1 -> guest.setCr4(guest.cr4() ^ PagingState.CR4_SMEP);
        case 2 -> {
          boolean on = random.nextInt(4) == 0;
          long others = guest.cr4() & ~PagingState.CR4_SMAP;
          guest.setCr4(on ? others | PagingState.CR4_SMAP : others);
        }
        case 3 -> guest.setEfer(guest.efer() ^ (levels > 2 ? PagingState.EFER_NXE : 0));
        default -> guest.setCr4(guest.cr4() ^ (levels == 2 ? PagingState.CR4_PSE : 0));
      }
      vm.controlsChanged();
    }

    /** What host memory and the monitor do behind the guest's back. */
    private void disturb() {
      long gpa = random.nextBoolean() ? tables + random.nextInt(TABLE_COUNT) * 4096L : 0x80_0000L;
      if (!moves) {
        vm.technique.invalidate(gpa >>> 12, 1);
        return;
      }
      switch (random.nextInt(5)) {
        case 0 -> split(gpa >>> 12);
        case 1 -> vm.technique.writeProtect(gpa >>> 12, 1 + random.nextInt(600));
        case 2 -> vm.technique.invalidate(0, 0x1000);
        case 3 -> {
          switch (vm.technique) {
            case ShadowTechnique shadow -> shadow.dropAll();
            case NestedTechnique nested -> nested.dropAll();
            case PartitionTechnique partition -> partition.invalidate(0, 1);
            case TrapTechnique trap -> trap.invalidate(0, 1);
            case memvisor.mmu.direct.DirectTechnique direct ->
                throw new AssertionError("not an unmodified guest: " + direct.name());
          }
        }
        default -> {
          if (vm.technique instanceof ShadowTechnique shadow) {
            shadow.tables().unsynchronise(gpa >>> 12);
          }
        }
      }
    }

    /** A page moves, or writes are logged for a while, so that large pages come back. */
    private void split(long gfn) {
      if (!gibibyte) {
        vm.memory.movePage(gfn);
      } else if (random.nextInt(8) == 0) {
        vm.memory.movePage((GIBIBYTE >>> 12) + random.nextInt(1 << 18));
      } else if (random.nextBoolean()) {
        vm.memory.startDirtyLog();
      } else {
        vm.memory.stopDirtyLog();
      }
    }

    private boolean inModel(long gpa) {
      return gpa >= tables && gpa < tables + model.length;
    }

    @Override
    public boolean exists(long gpa) {
      return vm.map.find(gpa).isPresent();
    }

    @Override
    public boolean isReadOnly(long gpa) {
      return gpa >= ROM_TABLE && gpa < ROM_TABLE + 4096;
    }

    @Override
    public long read(long gpa, int sizeBytes) {
      if (!inModel(gpa) && !isReadOnly(gpa)) {
        return vm.memory.readValue(gpa, sizeBytes);
      }
      byte[] bytes = inModel(gpa) ? model : romModel;
      int at = (int) (gpa - (inModel(gpa) ? tables : ROM_TABLE));
      long value = 0;
      for (int i = sizeBytes - 1; i >= 0; i--) {
        value = value << 8 | bytes[at + i] & 0xFF;
      }
      return value;
    }

    @Override
    public void write(long gpa, int sizeBytes, long value) {
      if (!inModel(gpa)) {
        vm.memory.writeValue(gpa, sizeBytes, value);
        return;
      }
      int at = (int) (gpa - tables);
      for (int i = 0; i < sizeBytes && at + i < model.length; i++) {
        model[at + i] = (byte) (value >>> 8 * i);
      }
    }
  }
}
