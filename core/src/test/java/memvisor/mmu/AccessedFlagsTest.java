package memvisor.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.address.PageSize;
import memvisor.host.page.Placement;
import memvisor.memory.VmBacking;
import memvisor.tlb.TlbConfiguration;
import memvisor.tlb.TranslationResult;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What was accessed is found once, however large the leaf and whatever pieces are asked about. */
class AccessedFlagsTest {
  private static final long GIB_FRAMES = 1L << 18;

  /** Frames asked for at a time: all; pieces that leaves straddle; a 2 MiB leaf; parts of one. */
  private static final long[] BATCHES = {GIB_FRAMES, 0x300, 0x200, 0x100};

  static Stream<Arguments> cases() {
    return Stream.of(PageSize.SIZE_4K, PageSize.SIZE_2M, PageSize.SIZE_1G)
        .flatMap(size -> Stream.of("EPT", "NPT", "shadow").map(name -> Arguments.of(name, size)));
  }

  private static Function<VmBacking, Technique> technique(String name, PageSize size) {
    return switch (name) {
      case "EPT" -> backing -> new NestedTechnique(backing, new NestedOptions(4, size, false));
      case "NPT" -> backing -> new NestedTechnique(backing, new NestedOptions(4, size, true));
      default -> backing -> new ShadowTechnique(backing, new ShadowOptions(8192, true, size, 3));
    };
  }

  /** Frames of the gibibyte that were accessed, asked for in pieces. */
  private static List<Long> harvest(TechniqueVm vm, long batch) {
    TreeSet<Long> accessed = new TreeSet<>();
    for (long gfn = GIB_FRAMES; gfn < 2 * GIB_FRAMES; gfn += batch) {
      long count = Math.min(batch, 2 * GIB_FRAMES - gfn);
      assertThat(vm.technique.harvestAccessed(gfn, count, accessed::add)).isTrue();
    }
    return accessed.isEmpty()
        ? List.of()
        : List.of(accessed.getFirst(), accessed.getLast(), (long) accessed.size());
  }

  @ParameterizedTest(name = "{0}, leaves of {1}")
  @MethodSource("cases")
  void anAccessIsFoundOnceForAllOfItsLeaf(String name, PageSize size) {
    try (TechniqueVm vm =
        new TechniqueVm(
            TechniqueVm.LARGE_MAP,
            Placement.HUGE,
            TechniqueVm.state(4, 0x20_0000),
            TlbConfiguration.DEFAULT,
            technique(name, size))) {
      vm.poke(0x20_0000, 0x20_1007);
      vm.poke(0x20_1000, TechniqueVm.GIB | 0x87);
      long gfn = GIB_FRAMES + 0x12345;
      long first = gfn & -(size.sizeBytes() >>> 12);
      for (long batch : BATCHES) {
        assertThat(vm.access(0x1234_5678, Access.WRITE).kind()).isEqualTo(TranslationResult.MAPPED);
        assertThat(harvest(vm, batch))
            .as("%d frames at a time", batch)
            .containsExactly(first, first + (size.sizeBytes() >>> 12) - 1, size.sizeBytes() >>> 12);
        assertThat(harvest(vm, batch)).isEmpty();
      }
    }
  }
}
