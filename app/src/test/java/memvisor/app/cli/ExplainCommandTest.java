package memvisor.app.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

final class ExplainCommandTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    return Main.commandLine()
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(arguments);
  }

  @Test
  void anAddressIsExplainedAfterTheGuestHasRun() {
    assertThat(run("explain", "$rip", "--memory", "64M")).isZero();
    assertThat(out.toString()).contains("So:").contains("under nested");
  }

  @Test
  void codeIsListedAndTheListingRepeats() {
    assertThat(run("explain", "--code", "$rip", "--jit", "blocks", "--memory", "64M")).isZero();
    String first = out.toString();
    assertThat(first).startsWith("translated: 1 block of one page").contains("bytecode of run");
    out.getBuffer().setLength(0);
    assertThat(run("explain", "--code", "$rip", "--jit", "blocks", "--memory", "64M")).isZero();
    assertThat(out.toString()).isEqualTo(first);
  }

  @Test
  void aGuestThatEndsBeforeIsExplainedAsItEnded() {
    assertThat(run("explain", "$rip", "--after", "10s", "--memory", "64M")).isZero();
    assertThat(err.toString()).contains("the guest ended before that time: it was done.");
    assertThat(out.toString()).contains("So:");
  }

  @Test
  void aMistakeInTheAddressIsOneSentence() {
    assertThat(run("explain", "--code", "12zz", "--memory", "64M")).isEqualTo(2);
    assertThat(err.toString()).contains("12zz").doesNotContain("at memvisor");
    assertThat(out.toString()).isEmpty();
  }
}
