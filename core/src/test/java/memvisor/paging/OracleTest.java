package memvisor.paging;

import static org.assertj.core.api.Assertions.assertThat;

import memvisor.address.Access;
import memvisor.paging.Oracle.Answer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The walker against QEMU, over the page tables of four running Debian kernels. */
class OracleTest {
  /** QEMU prints NX in bit 63 of a PAE address. */
  private static final long PRINTED_ADDRESS = ~(1L << 63);

  private static Walker walker(Oracle oracle) {
    Walker walker = new Walker(oracle.memory(), oracle);
    walker.load(oracle.state);
    walker.use(walker.format(), AccessRules.EPT);
    walker.setFlagUpdates(false);
    return walker;
  }

  @ParameterizedTest
  @ValueSource(strings = {"L4", "L5", "M4", "PAE", "P32"})
  void everyLeafOfARunningKernelIsFoundWithItsFlags(String name) {
    Oracle oracle = new Oracle(name);
    Walker walker = new Walker(oracle.memory(), oracle);
    walker.load(oracle.state);
    walker.setFlagUpdates(false);
    assertThat(oracle.leaves).hasSizeGreaterThan(3000);
    for (Answer leaf : oracle.leaves) {
      int outcome = walker.translate(leaf.gva(), Access.AC);
      assertThat(outcome).as("gva=%x", leaf.gva()).isEqualTo(Walker.MAPPED);
      assertThat(walker.physicalAddress(leaf.gva()))
          .as("gva=%x", leaf.gva())
          .isEqualTo(leaf.gpa() & PRINTED_ADDRESS);
      assertThat(flags(walker)).as("gva=%x", leaf.gva()).isEqualTo(leaf.flags());
    }
  }

  /** The leaf's flags as {@code info tlb} prints them: X (NX) G P (large) D A C T U W. */
  private static String flags(Walker walker) {
    long entry = walker.entry(walker.level());
    boolean large = walker.level() > 1;
    return flag(entry >>> 63, 'X')
        + flag(entry >>> 8, 'G')
        + flag(large ? 1 : 0, 'P')
        + flag(entry >>> 6, 'D')
        + flag(entry >>> 5, 'A')
        + flag(entry >>> 4, 'C')
        + flag(entry >>> 3, 'T')
        + flag(entry >>> 2, 'U')
        + flag(entry >>> 1, 'W');
  }

  private static String flag(long bit, char name) {
    return (bit & 1) != 0 ? String.valueOf(name) : "-";
  }

  @ParameterizedTest
  @ValueSource(strings = {"L4", "L5", "M4", "PAE", "P32"})
  void everyAnswerOfGva2gpaAgrees(String name) {
    Oracle oracle = new Oracle(name);
    Walker walker = walker(oracle);
    assertThat(oracle.answers).hasSizeGreaterThanOrEqualTo(300);
    for (Answer answer : oracle.answers) {
      int outcome = walker.translate(answer.gva(), Access.READ);
      long gpa = outcome == Walker.NOT_PRESENT ? -1 : walker.physicalAddress(answer.gva());
      assertThat(gpa).as("gva=%x outcome=%d", answer.gva(), outcome).isEqualTo(answer.gpa());
    }
  }
}
