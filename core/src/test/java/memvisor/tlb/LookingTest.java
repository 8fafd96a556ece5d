package memvisor.tlb;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import memvisor.address.Access;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import memvisor.testing.TestMachine;
import org.junit.jupiter.api.Test;

/** Looking into the TLBs leaves them as they are. */
final class LookingTest {
  private static final List<TlbConfiguration.Geometry> TWO_ENTRIES =
      List.of(new TlbConfiguration.Geometry(12, 12, 1, 2));

  private final TestMachine machine = new TestMachine(1 << 20);
  private final TranslationResult result = new TranslationResult();

  private TranslationUnit unit() {
    TranslationUnit unit =
        new TranslationUnit(
            machine.memory(),
            new PagingState(),
            new TlbConfiguration(
                List.of(),
                TWO_ENTRIES,
                List.of(),
                List.of(),
                TlbConfiguration.PagingStructures.NONE,
                TlbConfiguration.PagingStructures.NONE));
    unit.partition(0x1_0000, 0x8_0000);
    return unit;
  }

  @Test
  void lookingAtAnEntryDoesNotSaveItFromReplacement() {
    TranslationUnit unit = unit();
    unit.translate(0x1000, Access.READ, result);
    unit.translate(0x2000, Access.READ, result);
    assertThat(unit.cached(0x1234))
        .containsExactly(
            new CachedTranslation("L1D", 0x1000, 12, 0x1_1000, 0x1000, Rights.ALL, true, false));
    unit.translate(0x3000, Access.READ, result);
    assertThat(unit.cached(0x1000)).isEmpty();
    assertThat(unit.cached(0x2000)).hasSize(1);
  }

  @Test
  void usingAnEntryDoes() {
    TranslationUnit unit = unit();
    unit.translate(0x1000, Access.READ, result);
    unit.translate(0x2000, Access.READ, result);
    unit.translate(0x1000, Access.READ, result);
    unit.translate(0x3000, Access.READ, result);
    assertThat(unit.cached(0x1000)).hasSize(1);
    assertThat(unit.cached(0x2000)).isEmpty();
  }
}
