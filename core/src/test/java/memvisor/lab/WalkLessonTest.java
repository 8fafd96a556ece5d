package memvisor.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import memvisor.address.PageSize;
import memvisor.paging.PagingMode;
import memvisor.paging.Translation;
import memvisor.paging.WalkTrace;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class WalkLessonTest {
  @ParameterizedTest
  @CsvSource({
    "LEVELS_4, SIZE_4K, 4, SIZE_4K, 24",
    "LEVELS_5, SIZE_4K, 5, SIZE_4K, 35",
    "LEVELS_4, SIZE_4K, 5, SIZE_4K, 29",
    "LEVELS_4, SIZE_2M, 4, SIZE_4K, 19",
    "LEVELS_4, SIZE_4K, 4, SIZE_2M, 19",
    "LEVELS_4, SIZE_2M, 4, SIZE_2M, 15",
    "LEVELS_4, SIZE_1G, 4, SIZE_1G, 8",
    "LEVELS_4, SIZE_4K, 0, SIZE_4K, 4",
    "LEVELS_5, SIZE_4K, 0, SIZE_4K, 5",
    "PAE, SIZE_4K, 4, SIZE_4K, 14",
    "PAE, SIZE_2M, 4, SIZE_4K, 9",
    "BITS_32, SIZE_4K, 4, SIZE_4K, 14",
    "BITS_32, SIZE_4M, 4, SIZE_4K, 9",
  })
  void aColdWalkReadsAsManyEntriesAsItsShapeSays(
      PagingMode guest, PageSize page, int nestedLevels, PageSize nestedPage, int references) {
    WalkShape shape = new WalkShape(guest, page, nestedLevels, nestedPage);
    try (WalkLesson lesson = new WalkLesson(shape)) {
      WalkTrace trace = lesson.cold();
      assertThat(trace.references()).hasSize(references);
      assertThat(shape.coldReferences()).isEqualTo(references);
      assertThat(trace.outcome()).isInstanceOf(Translation.Mapped.class);
      WalkLesson.CachedCosts cached = lesson.cached();
      assertThat(cached.references()).isLessThan(references);
      assertThat(cached.again()).isZero();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "BITS_32, SIZE_2M, 4, SIZE_4K",
    "BITS_32, SIZE_1G, 4, SIZE_4K",
    "PAE, SIZE_1G, 4, SIZE_4K",
    "PAE, SIZE_4M, 4, SIZE_4K",
    "LEVELS_4, SIZE_4M, 4, SIZE_4K",
    "LEVELS_4, SIZE_4K, 3, SIZE_4K",
    "LEVELS_4, SIZE_4K, 4, SIZE_4M",
    "EPT_4, SIZE_4K, 4, SIZE_4K",
  })
  void shapesThatDoNotExistAreRejected(
      PagingMode guest, PageSize page, int nestedLevels, PageSize nestedPage) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new WalkShape(guest, page, nestedLevels, nestedPage));
  }
}
