package memvisor.machine.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.GuestVirtualAddress;
import memvisor.host.frames.FrameCounts;
import memvisor.machine.TechniqueKind;
import memvisor.memory.FrameRole;
import memvisor.paging.Reference;
import memvisor.tlb.TlbCounters;
import memvisor.tlb.TranslationResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What is said about addresses of each kind, under each technique. */
final class ExplanationTest {
  /** One address and what must be concluded about it, whatever the technique. */
  record Case(String name, long gva, List<String> conclusions) {
    static Case of(String name, long gva, String... conclusions) {
      return new Case(name, gva, List.of(conclusions));
    }

    @Override
    public String toString() {
      return name;
    }
  }

  private static final List<Case> CASES =
      List.of(
          Case.of(
              "a page open to all",
              PagedMachine.OPEN + 0x123,
              "allow: supervisor read, supervisor write, supervisor fetch, user-mode read,"
                  + " user-mode write, user-mode fetch.",
              "The byte is at gpa 0x200123, hpa 0x"),
          Case.of(
              "a read-only user page",
              PagedMachine.READ_ONLY,
              "A supervisor write faults with error code 0x3, user-mode write 0x7: the PTE at gpa"
                  + " 0x13010 is read-only (R/W=0)."),
          Case.of(
              "a supervisor page without execution",
              PagedMachine.SUPERVISOR_DATA,
              "A supervisor fetch faults with error code 0x11: the PTE at gpa 0x13018 forbids"
                  + " execution (NX=1).",
              "A user-mode read faults with error code 0x5, user-mode write 0x7, user-mode fetch"
                  + " 0x15: the PTE at gpa 0x13018 is for the supervisor only (U/S=0)."),
          Case.of(
              "an address that is not mapped",
              PagedMachine.NOT_PRESENT,
              "Nothing is mapped here: the PTE at gpa 0x13020 is not present. A supervisor read"
                  + " faults with error code 0x0, supervisor write 0x2, user-mode read 0x4,"
                  + " user-mode write 0x6."),
          Case.of(
              "an entry with a reserved bit",
              PagedMachine.RESERVED_BIT,
              "the PTE at gpa 0x13028 has a reserved bit set: every access faults. A supervisor"
                  + " read faults with error code 0x9, supervisor write 0xb, user-mode read 0xd,"
                  + " user-mode write 0xf."),
          Case.of(
              "a device's register",
              PagedMachine.DEVICE + 0x20,
              "gpa 0xfee00020 is a register of the device lapic: every access exits"),
          Case.of(
              "an address that belongs to nobody",
              PagedMachine.NOBODY,
              "gpa 0xd0000000 belongs to nobody: reads give all-ones, writes are lost."),
          Case.of(
              "a table outside memory",
              PagedMachine.TABLE_OUTSIDE,
              "Nothing is mapped here: the PTE would be at gpa 0xd0000000"),
          Case.of(
              "an address that is not canonical",
              PagedMachine.NOT_CANONICAL,
              "0x800000000000 is not canonical: an access raises #GP(0)"));

  static Stream<Arguments> casesUnderEachTechnique() {
    return TechniqueKind.transparent().stream()
        .flatMap(technique -> CASES.stream().map(each -> Arguments.of(technique, each)));
  }

  @ParameterizedTest
  @MethodSource("casesUnderEachTechnique")
  void theConclusionsAreThoseOfTheGuestsTables(TechniqueKind technique, Case each) {
    try (PagedMachine vm = new PagedMachine(technique).withPaging()) {
      vm.machine.memory().writeValue(0x20_0000, 8, 1);
      Explanation before = vm.explain(each.gva());
      assertThat(before.toString()).contains(each.conclusions());
      vm.access(each.gva(), Access.READ);
      assertThat(vm.explain(each.gva()).toString()).contains(each.conclusions());
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "DIRECT")
  void everyErrorCodeIsTheOneTheHardwareGives(TechniqueKind technique) {
    try (PagedMachine vm = new PagedMachine(technique).withPaging()) {
      for (Case each : CASES) {
        GuestWalk walk = vm.explain(each.gva()).guest().orElseThrow();
        if (!walk.isCanonical() || walk.unreachableGpa() >= 0) {
          continue;
        }
        for (AccessKind kind : AccessKind.values()) {
          TranslationResult result = new TranslationResult();
          vm.machine.unit().translate(each.gva(), kind.access(), result);
          if (result.kind == TranslationResult.PAGE_FAULT && technique != TechniqueKind.SHADOW) {
            assertThat(walk.allows(kind.access())).as("%s: %s", each, kind).isFalse();
            assertThat(walk.errorCode(kind.access()))
                .as("%s: %s", each, kind)
                .isEqualTo(result.errorCode);
          }
          boolean reached = vm.access(each.gva(), kind.access()) != TranslationResult.PAGE_FAULT;
          assertThat(walk.allows(kind.access())).as("%s: %s", each, kind).isEqualTo(reached);
        }
      }
    }
  }

  @Test
  void theGuestsReferencesAreListedWithTheirAddresses() {
    try (PagedMachine vm = new PagedMachine(TechniqueKind.SHADOW).withPaging()) {
      GuestWalk walk = vm.explain(PagedMachine.OPEN).guest().orElseThrow();
      assertThat(walk.references().stream().map(Reference::address))
          .containsExactly(
              PagedMachine.PML4_GPA,
              PagedMachine.PDPT_GPA,
              PagedMachine.PD_GPA,
              PagedMachine.PT_GPA + 8);
      assertThat(walk.references().stream().map(Reference::name))
          .containsExactly("PML4E", "PDPTE", "PDE", "PTE");
    }
  }

  /** A technique and what a walk costs under it, cold, once its tables are filled. */
  static Stream<Arguments> coldWalks() {
    return Stream.of(
        Arguments.of(TechniqueKind.NESTED, PagedMachine.OPEN, 24),
        Arguments.of(TechniqueKind.NESTED, PagedMachine.LARGE, 19),
        Arguments.of(TechniqueKind.SHADOW, PagedMachine.OPEN, 4),
        Arguments.of(TechniqueKind.PARTITION, PagedMachine.OPEN, 4),
        Arguments.of(TechniqueKind.PARTITION, PagedMachine.LARGE, 3),
        Arguments.of(TechniqueKind.TRAP, PagedMachine.OPEN, 0));
  }

  @ParameterizedTest
  @MethodSource("coldWalks")
  void theColdWalkIsCountedAndTheTlbHitSeen(TechniqueKind technique, long gva, int references) {
    try (PagedMachine vm = new PagedMachine(technique).withPaging()) {
      vm.access(gva, Access.READ);
      Explanation explanation = vm.explain(gva);
      assertThat(explanation.coldReferences()).isEqualTo(references);
      if (technique == TechniqueKind.TRAP) {
        assertThat(explanation.hardware()).isEmpty();
        assertThat(explanation.toString()).contains("Every access exits (TRAPPED_ACCESS)");
      } else {
        assertThat(explanation.cached()).isNotEmpty();
        assertThat(explanation.toString())
            .contains(references + " references with cold caches, 0 with a TLB hit; now a hit in");
      }
    }
  }

  @Test
  void aShadowEntryStandsBesideTheGuestEntryItComesFrom() {
    try (PagedMachine vm = new PagedMachine(TechniqueKind.SHADOW).withPaging()) {
      assertThat(vm.explain(PagedMachine.OPEN).toString()).contains("There is no shadow entry");
      vm.access(PagedMachine.OPEN, Access.READ);
      Explanation explanation = vm.explain(PagedMachine.OPEN);
      assertThat(explanation.derived()).hasSize(4);
      long hpa = ((PhysicalPage.Resident) explanation.page().orElseThrow()).hpa().value() & -4096L;
      assertThat(explanation.derived().getLast().value() & 0xF_FFFF_FFFF_F000L).isEqualTo(hpa);
      assertThat(explanation.toString()).contains("from gpa 0x13008  PTE 0x200067: P RW US A D");
    }
  }

  @Test
  void aShadowEntryWaitsForTheFirstWriteToSetTheDirtyFlag() {
    try (PagedMachine vm = new PagedMachine(TechniqueKind.SHADOW).withPaging()) {
      vm.access(PagedMachine.UNTOUCHED, Access.READ);
      assertThat(vm.explain(PagedMachine.UNTOUCHED).toString())
          .contains("the first write exits, so that the guest's dirty flag can be set");
      vm.access(PagedMachine.UNTOUCHED, Access.WRITE);
      assertThat(vm.explain(PagedMachine.UNTOUCHED).toString())
          .doesNotContain("the first write exits");
    }
  }

  @Test
  void missingNestedEntriesAreNamed() {
    try (PagedMachine vm = new PagedMachine(TechniqueKind.NESTED).withPaging()) {
      assertThat(vm.explain(PagedMachine.OPEN).toString())
          .contains("The nested tables do not map gpa 0x10000");
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "DIRECT")
  void withPagingOffTheAddressIsTheGpa(TechniqueKind technique) {
    try (PagedMachine vm = new PagedMachine(technique)) {
      Explanation explanation = vm.explain(PagedMachine.PT_GPA);
      assertThat(explanation.guest()).isEmpty();
      assertThat(explanation.page().orElseThrow().gpa())
          .isEqualTo(new GuestPhysicalAddress(PagedMachine.PT_GPA));
      assertThat(explanation.toString()).contains("Paging is off");
      assertThat(vm.tlb()).containsExactly("PG disabled");
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "DIRECT")
  void theFrameIsTheLedgersAndItsBytesAreTheGuests(TechniqueKind technique) {
    try (PagedMachine vm = new PagedMachine(technique).withPaging()) {
      vm.machine.memory().writeValue(0x20_0010, 8, 0x1122_3344_5566_7788L);
      PhysicalPage.Resident page =
          (PhysicalPage.Resident) vm.inspector.page(new GuestPhysicalAddress(0x20_0010));
      assertThat(page.frame().vmId()).isEqualTo(vm.machine.memory().vmId());
      assertThat(page.frame().role()).isEqualTo(FrameRole.GUEST_PAGE);
      assertThat(page.frame().hfn()).isEqualTo(page.hpa().value() >>> 12);
      assertThat(vm.host.machine().hva(page.hpa().value())).isEqualTo(page.hva().value());
      byte[] bytes = new byte[8];
      assertThat(vm.inspector.readVirtual(new GuestVirtualAddress(0x1010), bytes)).isEqualTo(8);
      assertThat(bytes).containsExactly(0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11);
    }
  }

  @Test
  void readingEndsWhereMemoryEnds() {
    try (PagedMachine vm = new PagedMachine(TechniqueKind.NESTED).withPaging()) {
      byte[] bytes = new byte[3 * 4096];
      assertThat(
              vm.inspector.readVirtual(
                  new GuestVirtualAddress(PagedMachine.SUPERVISOR_DATA + 4000), bytes))
          .isEqualTo(96);
      assertThat(vm.inspector.readPhysical(new GuestPhysicalAddress(0x9_F000), bytes))
          .isEqualTo(4096);
      assertThat(vm.inspector.readPhysical(new GuestPhysicalAddress(0xFEE0_0000L), bytes)).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "DIRECT")
  void askingChangesNothing(TechniqueKind technique) {
    try (PagedMachine vm = new PagedMachine(technique).withPaging()) {
      vm.access(PagedMachine.OPEN, Access.READ);
      TlbCounters counters = vm.machine.unit().counters();
      FrameCounts frames = vm.machine.memory().usage();
      long exits = vm.machine.exits().total();
      Object statistics = vm.machine.technique().statistics();
      List<String> listing = vm.tlb();
      for (Case each : CASES) {
        String first = vm.explain(each.gva()).toString();
        assertThat(vm.explain(each.gva())).hasToString(first);
      }
      String untouched = vm.explain(PagedMachine.UNTOUCHED).toString();
      assertThat(untouched)
          .contains(technique == TechniqueKind.PARTITION ? "The byte is at" : "nobody has used");
      vm.inspector.mtree(line -> {});
      vm.inspector.mem(line -> {});
      assertThat(vm.tlb()).isEqualTo(listing);
      assertThat(vm.machine.unit().counters()).isEqualTo(counters);
      assertThat(vm.machine.memory().usage()).isEqualTo(frames);
      assertThat(vm.machine.exits().total()).isEqualTo(exits);
      assertThat(vm.machine.technique().statistics()).isEqualTo(statistics);
    }
  }
}
