package memvisor.host.frames;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import memvisor.memory.FrameRole;
import org.junit.jupiter.api.Test;

final class MachineFramesTest {
  private static final int FRAME = 4096;

  @Test
  void aFrameMayOnlyBeFreedByItsOwnerAndOnce() {
    try (MachineFrames frames = MachineFrames.create(HostMemoryOptions.ofSize(64 * FRAME))) {
      long hpa = frames.allocate(0, 1, FrameRole.SHADOW_TABLE, TransitionReason.TABLE);
      assertThatThrownBy(() -> frames.free(hpa, 2, TransitionReason.FREED))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("another owner");
      frames.free(hpa, 1, TransitionReason.FREED);
      assertThatThrownBy(() -> frames.free(hpa, 1, TransitionReason.FREED))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("released a free frame");
      frames.audit();
    }
  }

  @Test
  void aSharedFrameIsFreeOnlyAfterItsLastReference() {
    Ledger ledger = new Ledger(4, () -> 17);
    ledger.assign(2, 1, 9, FrameRole.GUEST_PAGE, TransitionReason.POPULATED);
    ledger.retain(2);
    assertThat(ledger.release(2, 9, TransitionReason.FREED)).isFalse();
    assertThat(ledger.describe(2))
        .isEqualTo(new FrameRecord(2, 9, FrameRole.GUEST_PAGE, 1, TransitionReason.POPULATED, 17));
    assertThat(ledger.release(2, 9, TransitionReason.FREED)).isTrue();
    assertThat(ledger.describe(2).role()).isEqualTo(FrameRole.FREE);
    assertThat(ledger.usage(9).total()).isZero();
    ledger.audit();
  }
}
