package memvisor.tlb;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.stream.Stream;
import memvisor.address.Access;
import memvisor.paging.Rights;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Neither a hit nor a walk nor a fault nor a flush allocates. */
class AllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final long GVA = 0x1234_5000L;
  private static final int ROUNDS = 20_000;

  private interface Work {
    void run(NestedGuest guest, TranslationUnit unit, TranslationResult result);
  }

  record Case(String behaviour, TlbConfiguration configuration, Work work) {
    @Override
    public String toString() {
      return behaviour;
    }
  }

  static Stream<Case> cases() {
    return Stream.of(
        new Case(
            "a hit",
            TlbConfiguration.DEFAULT,
            (guest, unit, result) -> unit.translate(GVA, Access.READ, result)),
        new Case(
            "a cold two-dimensional walk",
            TlbConfiguration.OFF,
            (guest, unit, result) -> unit.translate(GVA, Access.WRITE, result)),
        new Case(
            "a page fault",
            TlbConfiguration.DEFAULT,
            (guest, unit, result) -> unit.translate(GVA + 4096, Access.WRITE, result)),
        new Case(
            "a nested fault",
            TlbConfiguration.DEFAULT,
            (guest, unit, result) -> unit.translate(GVA + 8192, Access.WRITE, result)),
        new Case(
            "INVLPG and a walk from the caches",
            TlbConfiguration.DEFAULT,
            (guest, unit, result) -> {
              unit.invalidatePage(GVA);
              unit.translate(GVA, Access.WRITE, result);
            }),
        new Case(
            "MOV CR3 and a walk",
            TlbConfiguration.DEFAULT,
            (guest, unit, result) -> {
              unit.cr3Loaded(false);
              unit.translate(GVA, Access.FETCH, result);
            }));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void allocatesNothing(Case c) {
    NestedGuest guest = NestedGuest.fourOnFour();
    guest.tables.map(GVA, 1, 5 << 12, Rights.ALL);
    guest.tables.map(GVA + 8192, 1, 1L << 35, Rights.ALL);
    TranslationUnit unit = guest.unit(c.configuration);
    TranslationResult result = new TranslationResult();
    run(c, guest, unit, result);
    long smallest = Long.MAX_VALUE;
    for (int attempt = 0; attempt < 5; attempt++) {
      long before = THREADS.getCurrentThreadAllocatedBytes();
      run(c, guest, unit, result);
      smallest = Math.min(smallest, THREADS.getCurrentThreadAllocatedBytes() - before);
    }
    assertThat(smallest).as("bytes in %d rounds", ROUNDS).isLessThan(ROUNDS / 10);
  }

  private static void run(
      Case c, NestedGuest guest, TranslationUnit unit, TranslationResult result) {
    for (int i = 0; i < ROUNDS; i++) {
      c.work.run(guest, unit, result);
    }
  }
}
