package memvisor.app.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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
        "run --mmu direct",
        "run --timeout soon",
        "run --append quiet",
        "compare --workload sort",
        "compare --pages 3",
        "compare --workload switch --pages 65536 --spaces 64",
        "compare --cycles lunch=4",
        "compare --cycles exit=-1",
        "walk --guest-levels 6",
        "walk --guest-levels 2 --page 1G",
        "walk --nested-levels 3",
        "walk --page 8K",
        "walk --caches perhaps",
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
  void aWalkOfFourLevelsOverFourListsTwentyFourReferences() {
    assertThat(run("walk")).isZero();
    assertThat(out.toString()).contains("\n 24  nested ").endsWith("24 references\n");
    assertThat(out.toString()).doesNotContain("\n 25  ");
  }

  @Test
  void aFileThatIsNoKernelIsOneSentence() {
    assertThat(run("run", "--kernel", "/etc/hostname")).isEqualTo(1);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(run("run", "--kernel", "/nowhere/vmlinuz")).isEqualTo(1);
    assertThat(err.toString()).contains("there is no file /nowhere/vmlinuz");
  }

  @Test
  void comparingWritesTheSameNumbersAsJson(@TempDir Path folder) throws IOException {
    Path json = folder.resolve("r.json");
    String line =
        "compare --workload churn --pages 16 --iterations 50 --mmu nested,shadow --json " + json;
    assertThat(run(line.split(" "))).isZero();
    assertThat(out.toString()).contains("churn", "nested", "shadow", "INVLPG 100");
    assertThat(Files.readString(json)).contains("\"INVLPG\" : 100");
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
