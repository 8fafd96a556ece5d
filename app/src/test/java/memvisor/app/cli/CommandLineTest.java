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
        "run --memory 0",
        "run --memory 9223372036854775808",
        "run --memory lots",
        "run --memory 256X",
        "run --memory -5M",
        "run --memory 4K",
        "run --memory 2T",
        "run --memory 4000T",
        "run --mmu direkt",
        "run --timeout soon",
        "run --timeout 0",
        "run --timeout -1s",
        "run --monitor tcp:1",
        "run --append quiet",
        "compare --workload sort",
        "compare --pages 3",
        "compare --fast",
        "compare --initrd x",
        "compare --mmu nested,best",
        "compare --workload switch --pages 65536 --spaces 64",
        "compare --cycles lunch=4",
        "compare --cycles exit=-1",
        "explain",
        "explain 1 --code 2",
        "explain 1 --after soon",
        "explain 1 --mmu direct",
        "run --code-memory 1M",
        "walk --guest-levels 6",
        "walk --guest-levels 2 --page 1G",
        "walk --nested-levels 3",
        "walk --page 8K",
        "walk --caches perhaps",
      })
  void badUsageIsStatus2AndOneLineWithAPointerToHelp(String line) {
    int status = run(line.isEmpty() ? new String[0] : line.split(" "));
    assertThat(status).isEqualTo(2);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString()).startsWith("memvisor: ").containsAnyOf("--help", "did you mean");
  }

  @Test
  void whatCannotBeDoneIsStatus1AndOneSentence() {
    assertThat(run("guest", "initrd", "-o", "x", "--busybox", "/nowhere/busybox")).isEqualTo(1);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString()).contains("/nowhere/busybox").contains("guest fetch");
  }

  @Test
  void aWalkOfFourLevelsOverFourListsTwentyFourReferences() {
    assertThat(run("walk")).isZero();
    assertThat(out.toString()).contains("\n 24  hpa 0x").endsWith("24 references\n");
    assertThat(out.toString()).doesNotContain("\n 25  ");
    assertThat(out.toString().lines()).allMatch(text -> text.length() <= 80);
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
  void helpFitsATerminalOf80Columns() {
    List<CommandLine> commands = new ArrayList<>(List.of(Main.commandLine()));
    for (int i = 0; i < commands.size(); i++) {
      commands.addAll(commands.get(i).getSubcommands().values());
      CommandLine command = commands.get(i).setUsageHelpAutoWidth(false).setUsageHelpWidth(80);
      assertThat(command.getUsageMessage().lines())
          .as(command.getCommandSpec().qualifiedName())
          .allMatch(line -> line.length() <= 80);
    }
  }

  @Test
  void completionKnowsTheCommands() {
    assertThat(run("completion")).isZero();
    assertThat(out.toString()).contains("complete ").contains("fetch").contains("--busybox");
  }
}
