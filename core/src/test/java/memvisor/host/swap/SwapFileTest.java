package memvisor.host.swap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import memvisor.memory.Hva;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class SwapFileTest {
  private static final int PAGE = SwapFile.SLOT_BYTES;

  @TempDir private Path directory;
  private final Arena arena = Arena.ofAuto();
  private final long pages = arena.allocate(32L * PAGE).address();
  private final int[] taken = new int[1];

  private SwapFile open(int slots) throws IOException {
    return SwapFile.create(directory.resolve("swap"), (long) slots * PAGE);
  }

  @Test
  void pagesOfAClusterComeBackInAnyOrderAndNeighboursAreReadAhead() throws Exception {
    try (SwapFile swap = open(64)) {
      for (int i = 0; i < 32; i++) {
        Hva.fill(pages + (long) i * PAGE, PAGE, i + 1);
      }
      int first = swap.reserve(32, taken);
      assertThat(taken[0]).isEqualTo(32);
      assertThat(swap.write(first, 32, pages)).isTrue();
      long target = arena.allocate(PAGE).address();
      for (int slot : new int[] {5, 6, 7, 31, 0, 30, 12}) {
        swap.read(first + slot, target);
        assertThat(Hva.readByte(target)).isEqualTo(slot + 1);
        assertThat(Hva.readByte(target + PAGE - 1)).isEqualTo(slot + 1);
      }
      assertThat(swap.counters().writes()).isEqualTo(1);
      assertThat(swap.counters().readAheadHits()).isEqualTo(2);
    }
  }

  @Test
  void aSlotWrittenAgainIsNotServedFromWhatWasReadBefore() throws Exception {
    try (SwapFile swap = open(4)) {
      Hva.fill(pages, 2 * PAGE, 1);
      int first = swap.reserve(2, taken);
      swap.write(first, 2, pages);
      swap.read(first, pages);
      swap.free(first);
      swap.free(first + 1);
      Hva.fill(pages, 2 * PAGE, 2);
      assertThat(swap.reserve(2, taken)).isEqualTo(2);
      assertThat(swap.reserve(2, taken)).isEqualTo(first);
      swap.write(first, 2, pages);
      swap.read(first, pages);
      swap.read(first + 1, pages + PAGE);
      assertThat(Hva.readByte(pages)).isEqualTo(2);
      assertThat(Hva.readByte(pages + PAGE)).isEqualTo(2);
    }
  }

  @Test
  void aSlotIsFreedOnceAndAFullFileSaysSo() throws Exception {
    try (SwapFile swap = open(3)) {
      assertThat(swap.reserve(32, taken)).isZero();
      assertThat(taken[0]).isEqualTo(3);
      assertThat(swap.reserve(1, taken)).isEqualTo(-1);
      assertThat(swap.counters().lastFailure()).contains("full").contains("3 slots");
      swap.free(1);
      assertThatThrownBy(() -> swap.free(1)).isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> swap.read(1, pages)).isInstanceOf(IllegalStateException.class);
      assertThat(swap.reserve(2, taken)).isEqualTo(1);
      assertThat(taken[0]).isEqualTo(1);
    }
  }

  /** Storage of one page whose first {@code bad} reads go wrong: by an error, or by a bit. */
  private record BadAtFirst(byte[] page, AtomicInteger bad, boolean error) implements SwapStorage {
    @Override
    public int read(ByteBuffer target, long position) throws IOException {
      boolean wrong = bad.getAndDecrement() > 0;
      if (wrong && error) {
        throw new IOException("Input/output error");
      }
      target.put(page);
      if (wrong) {
        target.put(100, (byte) ~page[100]);
      }
      return page.length;
    }

    @Override
    public int write(ByteBuffer source, long position) {
      source.get(page);
      return page.length;
    }

    @Override
    public void close() {}
  }

  @ParameterizedTest
  @CsvSource({"1, true", "1, false", "2, true", "2, false", "3, true", "3, false"})
  void aReadThatGoesWrongIsTriedAgainTwice(int times, boolean error) throws Exception {
    SwapStorage storage = new BadAtFirst(new byte[PAGE], new AtomicInteger(times), error);
    try (SwapFile swap = new SwapFile(storage, 1)) {
      Hva.fill(pages, PAGE, 7);
      int slot = swap.reserve(1, taken);
      assertThat(swap.write(slot, 1, pages)).isTrue();
      Hva.fill(pages, PAGE, 0);
      if (times < 3) {
        swap.read(slot, pages);
        assertThat(Hva.readByte(pages + 100)).isEqualTo(7);
      } else {
        assertThatThrownBy(() -> swap.read(slot, pages))
            .isInstanceOf(SwapFailure.class)
            .hasMessageContaining(error ? "Input/output error" : "damaged");
        assertThat(Hva.readByte(pages + 100)).as("a wrong page goes nowhere").isZero();
      }
      assertThat(swap.counters().readsRepeated()).isEqualTo(Math.min(times, 2));
      assertThat(swap.counters().failures()).isEqualTo(times < 3 ? 0 : 1);
    }
  }

  @Test
  void anExistingFileIsNeitherUsedNorHarmed() throws IOException {
    Path file = Files.writeString(directory.resolve("precious"), "data");
    assertThatThrownBy(() -> SwapFile.create(file, PAGE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("exists already");
    assertThat(Files.readString(file)).isEqualTo("data");
  }
}
