package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import memvisor.memory.Hva;
import org.junit.jupiter.api.Test;

class CodeLibraryTest {
  private static final int PAGE = 4096;
  private static final int NOP = 0x90;
  private static final int RET = 0xC3;
  private static final int MOV_EAX = 0xB8;

  private final CodeLibrary library = new CodeLibrary();

  /** What a processor that shares the library makes of bytes at a GPA. */
  private DecodedCode decoded(long gpa, int mode, int... code) {
    TestCpu t = new TestCpu();
    t.c.setLibrary(library);
    for (int i = 0; i < code.length; i++) {
      Hva.writeByte(t.machine.memory().hva(t.baseHpa + gpa) + i, code[i]);
    }
    Block block = new BlockSource(t.c).blockAt(t.baseHpa + gpa, mode);
    assertThat(block).as("the block at 0x%x", gpa).isNotNull();
    return block.decoded;
  }

  private DecodedCode decoded(long gpa, int... code) {
    return decoded(gpa, CodeMode.LONG | CodeMode.PROTECTED, code);
  }

  private static int[] nops(int count, int... rest) {
    int[] code = Arrays.copyOf(new int[0], count + rest.length);
    Arrays.fill(code, NOP);
    System.arraycopy(rest, 0, code, count, rest.length);
    return code;
  }

  @Test
  void theSameBytesInAnotherMachineAndPageAreTheSameCode() {
    DecodedCode first = decoded(TestCpu.CODE, nops(30, RET));
    assertThat(decoded(TestCpu.CODE, nops(30, RET))).isSameAs(first);
    assertThat(decoded(TestCpu.CODE + 5 * PAGE, nops(30, RET))).isSameAs(first);
  }

  @Test
  void anotherPlaceInThePageOrAnotherModeIsOtherCode() {
    DecodedCode first = decoded(TestCpu.CODE, nops(30, RET));
    assertThat(decoded(TestCpu.CODE + 16, nops(30, RET))).isNotSameAs(first);
    assertThat(decoded(TestCpu.CODE, CodeMode.PROTECTED | CodeMode.DEFAULT32, nops(30, RET)))
        .isNotSameAs(first);
    assertThat(
            decoded(
                TestCpu.CODE,
                CodeMode.LONG | CodeMode.PROTECTED | 3 << CodeMode.CPL_SHIFT,
                nops(30, RET)))
        .isNotSameAs(first);
  }

  @Test
  void codeThatDiffersBehindWhatTheHashCoversIsOtherCode() {
    DecodedCode first = decoded(TestCpu.CODE, nops(30, MOV_EAX, 1, 0, 0, 0, RET));
    DecodedCode second = decoded(TestCpu.CODE, nops(30, MOV_EAX, 2, 0, 0, 0, RET));
    assertThat(second).isNotSameAs(first);
    assertThat(decoded(TestCpu.CODE, nops(30, MOV_EAX, 1, 0, 0, 0, RET))).isSameAs(first);
    assertThat(decoded(TestCpu.CODE, nops(30, MOV_EAX, 2, 0, 0, 0, RET))).isSameAs(second);
  }

  /**
   * A block ends before an instruction that the page's end cuts off. With other bytes there, the
   * same beginning goes on to the end of the page, and interrupts are taken elsewhere.
   */
  @Test
  void whatThePageCutsOffBelongsToTheCode() {
    long nearTheEnd = TestCpu.CODE + PAGE - 30;
    DecodedCode cut = decoded(nearTheEnd, nops(28, MOV_EAX, 1));
    assertThat(cut.length).isEqualTo(28);
    DecodedCode whole = decoded(nearTheEnd, nops(28, NOP, NOP));
    assertThat(whole.length).isEqualTo(30);
    assertThat(decoded(nearTheEnd, nops(28, MOV_EAX, 1))).isSameAs(cut);
    assertThat(decoded(nearTheEnd, nops(28, NOP, NOP))).isSameAs(whole);
  }

  @Test
  void moreCodesOfOneHashThanAreKeptAreStillTold() {
    for (int round = 0; round < 2; round++) {
      for (int n = 0; n < 20; n++) {
        DecodedCode code = decoded(TestCpu.CODE, nops(30, MOV_EAX, n, 0, 0, 0, RET));
        assertThat(code.bytes(30)).as("code %d", n).containsExactly(MOV_EAX, n, 0, 0, 0);
      }
    }
  }

  @Test
  void whatIsAskedForStaysAndTheRestIsForgotten() {
    Generations<Integer, String> kept = new Generations<>(100, value -> 1);
    for (int n = 0; n < 1000; n++) {
      String value = "value " + n;
      kept.update(n, present -> value);
      assertThat(kept.get(0)).as("after %d", n).isEqualTo("value 0");
      assertThat(kept.size()).as("after %d", n).isLessThanOrEqualTo(101);
    }
    assertThat(kept.get(500)).isNull();
    assertThat(kept.get(999)).isEqualTo("value 999");
  }
}
