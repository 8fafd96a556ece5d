package memvisor.host.compress;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.stream.IntStream;
import memvisor.memory.Hva;
import org.junit.jupiter.api.Test;

final class PageSketchTest {
  private final Arena arena = Arena.ofAuto();
  private final long hva = arena.allocate(PageCodec.PAGE_BYTES, 8).address();

  private int[] sketch(byte[] page) {
    Hva.write(hva, page, 0, page.length);
    int[] features = new int[PageSketch.FEATURES];
    new PageSketch().of(hva, features);
    return features;
  }

  private int common(byte[] one, byte[] other) {
    int[] a = sketch(one);
    int[] b = sketch(other);
    return (int) IntStream.range(0, a.length).filter(i -> a[i] == b[i]).count();
  }

  @Test
  void movedPointersChangeNoFeature() {
    for (long seed = 1; seed <= 50; seed++) {
      assertThat(common(Relocated.records(seed, 0), Relocated.records(seed, 0x2_4560_0000L)))
          .isEqualTo(PageSketch.FEATURES);
    }
  }

  @Test
  void relocatedCodeKeepsAFeatureAndOtherCodeHasNone() {
    int kept = 0;
    for (long seed = 1; seed <= 50; seed++) {
      kept += common(Relocated.code(seed, 0), Relocated.code(seed, 0x1460_0000)) > 0 ? 1 : 0;
      assertThat(common(Relocated.code(seed, 0), Relocated.code(seed + 1000, 0))).isZero();
    }
    assertThat(kept).isGreaterThanOrEqualTo(45);
  }

  @Test
  void zeroesHaveNoFeature() {
    assertThat(sketch(new byte[PageCodec.PAGE_BYTES])).containsOnly(PageSketch.NONE);
    byte[] one = new byte[PageCodec.PAGE_BYTES];
    one[PageCodec.PAGE_BYTES - 16] = 1;
    assertThat(Arrays.stream(sketch(one)).filter(feature -> feature != PageSketch.NONE)).hasSize(1);
  }
}
