package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.SplittableRandom;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.PageState;
import memvisor.host.page.Placement;
import memvisor.host.reclaim.PageOverwrites;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.host.swap.SwapCounters;
import memvisor.host.swap.SwapFile;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A device that overwrites whole pages whose contents are elsewhere does not have them fetched. */
final class PageOverwriteTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 64;

  private final FlakyStorage storage = new FlakyStorage(PAGES * PAGE);
  private final HostMemory host = HostMemory.create(new HostMemoryOptions(128 * PAGE, 3, true));
  private final VmMemory vm = vm();
  private final byte[] old = new byte[16 * PAGE];

  private VmMemory vm() {
    host.enableReclaim(
        ReclaimOptions.none(128 * PAGE)
            .withDedup(DedupOptions.OFF)
            .withCompression(true)
            .withSwap(new SwapFile(storage, PAGES)));
    return host.createVm(
        GuestMemoryMap.EMPTY.with(new MemoryRegion(0, PAGES * PAGE, MemoryRegion.Kind.RAM)),
        Placement.SCATTERED);
  }

  @AfterEach
  void close() {
    host.audit();
    vm.close();
    host.audit();
    assertThat(host.ledger().totals().count(FrameRole.GUEST_PAGE)).isZero();
    assertThat(swap().used()).isZero();
    host.close();
  }

  private SwapCounters swap() {
    return host.reclaim().orElseThrow().swap().orElseThrow();
  }

  /** The pages of {@link #old}, all in that state. */
  private void reclaim(PageState state) {
    SplittableRandom random = new SplittableRandom(9);
    for (int i = 0; i < old.length; i++) {
      old[i] = (byte) (state == PageState.SAME_FILLED ? 5 : i % PAGE < 400 ? random.nextInt() : 0);
    }
    vm.write(0, old, 0, old.length);
    assertThat(state == PageState.SWAPPED ? vm.swapOutPages(16) : vm.compressPages(16))
        .isEqualTo(16);
    assertThat(vm.pages(state)).isEqualTo(16);
  }

  private long count(TransitionReason reason) {
    return vm.transitionCosts().containsKey(reason) ? vm.transitionCosts().get(reason).count() : 0;
  }

  private byte[] contents() {
    byte[] seen = new byte[old.length];
    vm.read(0, seen, 0, seen.length);
    return seen;
  }

  private static byte[] news(int lengthBytes) {
    byte[] bytes = new byte[lengthBytes];
    new SplittableRandom(4).nextBytes(bytes);
    return bytes;
  }

  @ParameterizedTest
  @EnumSource(names = {"SWAPPED", "COMPRESSED", "SAME_FILLED"})
  void whatWholePagesHeldIsDroppedUnread(PageState state) {
    reclaim(state);
    // Whoever asks for what was there gets an error.
    storage.fault = FlakyStorage.Fault.READ_ERROR;
    byte[] source = news(3 * PAGE);
    vm.write(2 * PAGE, source, 0, source.length);
    assertThat(vm.failure()).isEmpty();
    assertThat(swap().reads()).isZero();
    assertThat(count(TransitionReason.OVERWRITTEN)).isEqualTo(3);
    assertThat(count(TransitionReason.DECOMPRESSED)).isZero();
    assertThat(vm.pages(state)).isEqualTo(13);
    assertThat(vm.pages(PageState.RESIDENT)).isEqualTo(3);
    storage.fault = FlakyStorage.Fault.NONE;
    System.arraycopy(source, 0, old, 2 * PAGE, source.length);
    assertThat(contents()).isEqualTo(old);
  }

  @ParameterizedTest
  @EnumSource(names = {"SWAPPED", "COMPRESSED", "SAME_FILLED"})
  void pagesThatAreWrittenInPartKeepTheRest(PageState state) {
    reclaim(state);
    byte[] source = news(3 * PAGE);
    vm.write(PAGE + 1000, source, 0, source.length);
    assertThat(count(TransitionReason.OVERWRITTEN)).isEqualTo(2);
    System.arraycopy(source, 0, old, PAGE + 1000, source.length);
    assertThat(contents()).isEqualTo(old);
  }

  @Test
  void aPageThatIsWrittenToTheLogIsDirty() {
    reclaim(PageState.SWAPPED);
    vm.startDirtyLog();
    vm.write(5 * PAGE, news(PAGE), 0, PAGE);
    long[] dirty = new long[1];
    vm.collectDirty(gfn -> dirty[0] |= 1L << gfn);
    assertThat(dirty[0]).isEqualTo(1L << 5);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 4, 7})
  void aWriteThatFindsTooFewFramesChangesNothing(int frames) {
    reclaim(PageState.SWAPPED);
    byte[] source = news(8 * PAGE);
    host.refuse(n -> n >= frames);
    assertThatThrownBy(() -> vm.write(PAGE, source, 0, source.length))
        .isInstanceOf(HostMemoryException.class)
        .hasMessageContaining("machine memory is exhausted");
    host.refuse(n -> false);
    host.audit();
    assertThat(contents()).isEqualTo(old);
    vm.forgetStarvation();
    vm.write(PAGE, source, 0, source.length);
    System.arraycopy(source, 0, old, PAGE, source.length);
    assertThat(contents()).isEqualTo(old);
  }

  @Test
  void aPageThatAVcpuBringsBackFirstIsWrittenWhereItIs() {
    reclaim(PageState.SWAPPED);
    byte[] source = news(PAGE);
    try (PageOverwrites writes = new PageOverwrites(vm.reclaim().orElseThrow())) {
      assertThat(writes.prepare()).isTrue();
      assertThat(writes.prepare()).isTrue();
      long frame = vm.frame(6, true);
      assertThat(writes.put(6, source, 0)).isFalse();
      assertThat(vm.frame(6, true)).isEqualTo(frame);
      assertThat(writes.put(7, source, 0)).isTrue();
    }
    assertThat(vm.pages(PageState.RESIDENT)).isEqualTo(2);
    assertThat(Arrays.copyOfRange(contents(), 6 * PAGE, 7 * PAGE))
        .isEqualTo(Arrays.copyOfRange(old, 6 * PAGE, 7 * PAGE));
    assertThat(Arrays.copyOfRange(contents(), 7 * PAGE, 8 * PAGE)).isEqualTo(source);
  }
}
