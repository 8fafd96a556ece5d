package memvisor.app.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

final class CommandLineTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    return Main.commandLine()
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(arguments);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "frobnicate",
        "--nonsense",
        "guest",
        "guest frobnicate",
        "guest initrd",
        "guest initrd -o x --add relative:path",
      })
  void badUsageIsStatus2AndOneSentenceWithAPointerToHelp(String line) {
    int status = run(line.isEmpty() ? new String[0] : line.split(" "));
    assertThat(status).isEqualTo(2);
    assertThat(err.toString().lines()).hasSize(2).allMatch(text -> !text.startsWith("\tat "));
    assertThat(err.toString()).startsWith("memvisor: ").containsAnyOf("--help", "Did you mean");
  }

  @Test
  void whatCannotBeDoneIsStatus1AndOneSentence() {
    assertThat(run("guest", "initrd", "-o", "x", "--busybox", "/nowhere/busybox")).isEqualTo(1);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString()).contains("/nowhere/busybox").contains("guest fetch");
  }

  @Test
  void everyCommandHasHelpThatSaysWhatItDoes() {
    List<CommandLine> commands = new ArrayList<>(List.of(Main.commandLine()));
    for (int i = 0; i < commands.size(); i++) {
      commands.addAll(commands.get(i).getSubcommands().values());
      CommandLine command = commands.get(i);
      assertThat(command.getCommandSpec().usageMessage().description())
          .as(command.getCommandName())
          .isNotEmpty();
    }
    assertThat(commands).hasSizeGreaterThan(4);
  }

  @Test
  void completionKnowsTheCommands() {
    assertThat(run("completion")).isZero();
    assertThat(out.toString()).contains("complete ").contains("fetch").contains("--busybox");
  }
}
