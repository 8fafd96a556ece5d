package memvisor.machine.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import memvisor.paging.Oracle;
import memvisor.paging.PagingState;
import memvisor.paging.TableMemory;
import memvisor.testing.TestMachine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The listings of mappings against QEMU's, over the page tables of running Debian kernels. */
final class MappingListingTest {
  private static GuestTables tables(Oracle oracle) {
    return new GuestTables(oracle.memory(), oracle, oracle.state);
  }

  /** QEMU prints NX in bit 63 of a PAE address. */
  private static String withoutPrintedNx(String line) {
    return line.charAt(18) == '8' ? line.substring(0, 18) + '0' + line.substring(19) : line;
  }

  @ParameterizedTest
  @ValueSource(strings = {"L4", "L5", "M4", "PAE", "P32"})
  void infoTlbIsQemusLineByLine(String name) {
    List<String> lines = new ArrayList<>();
    MappingListing.tlb(tables(new Oracle(name)), lines::add);
    List<String> expected = Oracle.lines(name + ".tlb.txt.gz");
    assertThat(lines)
        .isEqualTo(expected.stream().map(MappingListingTest::withoutPrintedNx).toList());
  }

  @Test
  void infoMemIsQemusLineByLine() {
    List<String> lines = new ArrayList<>();
    MappingListing.mem(tables(new Oracle("M4")), lines::add);
    assertThat(lines).isEqualTo(Oracle.lines("M4.mem.txt.gz"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"L4", "L5", "M4", "PAE", "P32"})
  void theRunsOfInfoMemCoverExactlyThePagesOfInfoTlb(String name) {
    GuestTables tables = tables(new Oracle(name));
    List<String> runs = new ArrayList<>();
    MappingListing.mem(tables, runs::add);
    long inRuns = 0;
    for (String run : runs) {
      long start = Long.parseUnsignedLong(run.substring(0, 16), 16);
      long end = Long.parseUnsignedLong(run.substring(17, 33), 16);
      assertThat(Long.parseUnsignedLong(run.substring(34, 50), 16)).isEqualTo(end - start);
      inRuns += end - start;
    }
    long[] inPages = {0};
    tables.forEachLeaf(leaf -> inPages[0] += 1L << leaf.sizeLog2());
    assertThat(inRuns).isEqualTo(inPages[0]);
  }

  @ParameterizedTest
  @ValueSource(strings = {"L4", "L5", "M4", "PAE", "P32"})
  void everyAnswerOfGva2gpaAgrees(String name) {
    Oracle oracle = new Oracle(name);
    GuestTables tables = tables(oracle);
    for (Oracle.Answer answer : oracle.answers) {
      assertThat(tables.gva2gpa(answer.gva()).orElse(-1))
          .as("gva=%x", answer.gva())
          .isEqualTo(answer.gpa());
    }
  }

  @Test
  void withoutPagingThereIsNothingToListAndAddressesAreTheirOwn() {
    GuestTables tables =
        new GuestTables(new TestMachine(1 << 20).memory(), new Identity(), new PagingState());
    List<String> lines = new ArrayList<>();
    MappingListing.tlb(tables, lines::add);
    MappingListing.mem(tables, lines::add);
    assertThat(lines).containsExactly("PG disabled", "PG disabled");
    assertThat(tables.gva2gpa(0x1234)).isEqualTo(OptionalLong.of(0x1234));
  }

  @Test
  void aRootThatNamesItselfDoesNotListForEver() {
    TestMachine machine = new TestMachine(1 << 20);
    PagingState state = new PagingState();
    state.setCr0(PagingState.CR0_PE | PagingState.CR0_PG);
    state.setCr4(PagingState.CR4_PAE);
    state.setEfer(PagingState.EFER_LME | PagingState.EFER_LMA);
    state.setCr3(0x1000);
    for (int i = 0; i < 512; i++) {
      machine.write(0x1000 + 8 * i, 0x1003);
    }
    long[] pages = {0};
    boolean complete =
        new GuestTables(machine.memory(), new Identity(), state).forEachLeaf(leaf -> pages[0]++);
    assertThat(complete).isFalse();
    assertThat(pages[0]).isBetween(1L << 20, 1L << 26);
    assertThat(machine.read(0x1000)).isEqualTo(0x1003);
  }

  /** Tables that lie where their addresses say. */
  private static final class Identity implements TableMemory {
    @Override
    public long locate(long address) {
      return address;
    }

    @Override
    public long locateForUpdate(long address) {
      return UNREACHABLE;
    }
  }
}
