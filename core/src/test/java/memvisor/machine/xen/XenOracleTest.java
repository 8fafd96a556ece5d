package memvisor.machine.xen;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import memvisor.machine.RunOutcome;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The PV interface question by question, against what Xen 4.17.7 answered to the same kernels.
 *
 * <p>{@link LiveXenTest} asks Xen again where it is at hand; {@link PvDifferences} lists where and
 * why our answer is another.
 */
final class XenOracleTest {
  private static final Map<String, String> OURS = new LinkedHashMap<>();
  private static final Map<String, String> XENS = PvAnswers.recorded();

  @BeforeAll
  static void askAll() {
    for (List<PvProbe> suite : PvProbe.suites()) {
      PvGuest.End end = PvGuest.boot(PvProbe.image(suite, 0));
      assertThat(end.outcome()).as(end.console()).isEqualTo(new RunOutcome.PoweredOff());
      Map<String, String> answers = PvAnswers.parse(end.console());
      assertThat(answers).containsKey("end");
      OURS.putAll(answers);
    }
  }

  static Stream<PvProbe> probes() {
    return PvProbe.all().stream();
  }

  @ParameterizedTest
  @MethodSource("probes")
  void theAnswerIsXens(PvProbe probe) {
    assertThat(XENS).containsKey(probe.name());
    PvDifferences.Difference other = PvDifferences.all().get(probe.name());
    String expected = other == null ? XENS.get(probe.name()) : other.answer();
    assertThat(OURS.get(probe.name()))
        .as(other == null ? "Xen's answer" : "our own, because " + other.why())
        .isEqualTo(expected);
  }

  @Test
  void everyDifferenceIsOne() {
    PvDifferences.all()
        .forEach((name, other) -> assertThat(XENS.get(name)).as(name).isNotEqualTo(other.answer()));
  }
}
