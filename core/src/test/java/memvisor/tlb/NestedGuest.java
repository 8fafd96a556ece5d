package memvisor.tlb;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import memvisor.paging.PagingFormat;
import memvisor.paging.PagingMode;
import memvisor.paging.PagingState;
import memvisor.paging.Rights;
import memvisor.testing.Tables;
import memvisor.testing.TestMachine;

/** A guest of a few hundred scattered frames, its tables, and nested tables that map them. */
final class NestedGuest {
  static final int FRAMES = 256;
  static final int BITS = 40;
  static final int TAG = 7;

  final TestMachine machine = new TestMachine(4 << 20);
  final PagingFormat nestedFormat;
  final Tables nested;
  final Tables tables;
  final PagingState state;
  private final long[] hpaOfGfn = new long[FRAMES];
  private int nextTableGfn = FRAMES;

  NestedGuest(PagingMode mode, PagingFormat nestedFormat) {
    this.nestedFormat = nestedFormat;
    List<Long> frames = new ArrayList<>();
    for (int i = 0; i < FRAMES; i++) {
      frames.add(machine.frame());
    }
    Collections.shuffle(frames, new Random(42));
    nested = Tables.inMachine(machine, nestedFormat);
    for (int gfn = 0; gfn < FRAMES; gfn++) {
      hpaOfGfn[gfn] = frames.get(gfn);
      nested.map((long) gfn << 12, 1, hpaOfGfn[gfn], Rights.ALL);
    }
    tables = newTables(mode);
    state = tables.state(BITS);
  }

  /** A guest with 4-level tables under 4-level EPT with accessed and dirty flags. */
  static NestedGuest fourOnFour() {
    return new NestedGuest(PagingMode.LEVELS_4, PagingFormat.ept(4, BITS, true));
  }

  Tables newTables(PagingMode mode) {
    PagingFormat format = PagingFormat.x86(mode, BITS, true, true);
    return new Tables(machine, format, () -> --nextTableGfn * 4096L, this::hpa);
  }

  long hpa(long gpa) {
    return hpaOfGfn[(int) (gpa >>> 12)] | gpa & 4095;
  }

  TranslationUnit unit(TlbConfiguration configuration) {
    TranslationUnit unit = new TranslationUnit(machine.memory(), state, configuration);
    unit.nested(nestedFormat, nested.root(), TAG);
    return unit;
  }

  TranslationUnit unit() {
    return unit(TlbConfiguration.DEFAULT);
  }

  static TranslationResult translate(TranslationUnit unit, long gva, int access) {
    TranslationResult result = new TranslationResult();
    unit.translate(gva, access, result);
    return result;
  }
}
