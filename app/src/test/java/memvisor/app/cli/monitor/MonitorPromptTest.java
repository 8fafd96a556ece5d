package memvisor.app.cli.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.TimeUnit;
import memvisor.cpu.x86.RegisterName;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The commands of the prompt, on a guest that runs meanwhile. */
@Timeout(60)
final class MonitorPromptTest {
  private static MonitoredMachine vm = new MonitoredMachine(TechniqueKind.NESTED);

  @BeforeAll
  static void pause() {
    vm.execute("stop");
  }

  @AfterAll
  static void end() {
    vm.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "foo | unknown command: 'foo'",
        "foo bar baz | unknown command: 'foo'",
        "info foo | unknown command: 'info foo'",
        "help foo | unknown command: 'foo'",
        "help gva2gpa | gva2gpa addr -- print the guest physical address corresponding to a guest"
            + " virtual address",
        "help x | x /fmt addr -- virtual memory dump starting at 'addr'",
        "info status | VM status: paused",
        "info balloon | balloon: actual=64",
        "help balloon | balloon target -- request VM to change its memory allocation (in MB)",
        "gpa2hva 0xfee00000 | Memory at address 0xfee00000 is not RAM",
        "gpa2hpa 0xfee00000 | Memory at address 0xfee00000 is not RAM",
        "gpa2hva 0x100000000000 | No memory is mapped at address 0x100000000000",
        "gva2gpa 0x7000000000000000 | Unmapped",
        "x /2xg 0x7000000000000000 | 7000000000000000: Cannot access memory",
        "xp /2xg 0xfffffffffff000 | 00fffffffffff000: Cannot access memory",
        "x /0xb 0 | ''",
      })
  void answersAreWordedAsQemus(String command, String answer) {
    assertThat(vm.execute(command).strip()).isEqualTo(answer.equals("''") ? "" : answer);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "gva2gpa | unexpected end of expression",
        "balloon 0 | the target is more than 0 MB",
        "gva2gpa zz | invalid char 'z' in expression",
        "gva2gpa 1 2 | extraneous characters at the end of line",
        "gva2gpa $foo | unknown register",
        "gva2gpa (1 | ')' expected",
        "gva2gpa 1+ | unexpected end of expression",
        "gva2gpa 0x10000000000000000 | '0x10000000000000000' is not a number of at most 64 bits",
        "gva2gpa 12ab | '12ab' is not a number of at most 64 bits",
        "x /zz 0 | invalid char in format: 'z'",
        "x /1 | unexpected end of expression",
        "stop now | extraneous characters at the end of line",
        "stats all | extraneous characters at the end of line",
        "info | info shows one of: mem, tlb, registers, mtree -f, balloon, status",
        "info mtree | only the flat view is kept: info mtree -f",
        "explain | unexpected end of expression",
        "code | unexpected end of expression",
        "code $rip 2 | extraneous characters at the end of line",
        "explain gpa | invalid char 'g' in expression",
      })
  void aMistakeIsOneSentenceAndWhereToLook(String command, String sentence) {
    String name = command.split(" ")[0];
    assertThat(vm.execute(command).lines())
        .containsExactly(sentence, "Try \"help " + name + "\" for more information");
  }

  @Test
  void deepParenthesesAreRefused() {
    assertThat(vm.execute("gva2gpa " + "(".repeat(4000) + "1" + ")".repeat(4000)))
        .startsWith("the expression is nested too deeply");
    assertThat(vm.execute("gva2gpa " + "-".repeat(4000) + "1"))
        .startsWith("the expression is nested too deeply");
  }

  @ParameterizedTest
  @ValueSource(strings = {"$rip", "$pc", "$rip+1-1", "( $rip )", "$rip + 0x10 - 16"})
  void addressesMayBeComputed(String expression) {
    long rip = vm.machine.registers().get(RegisterName.RIP);
    assertThat(vm.execute("gva2gpa " + expression))
        .isEqualTo(vm.execute("gva2gpa 0x" + Long.toHexString(rip)))
        .startsWith("gpa: 0x");
  }

  @Test
  void whatTheGuestExecutesCanBeFollowedDownToTheHost() {
    String gpa = vm.execute("gva2gpa $rip").strip().substring("gpa: ".length());
    assertThat(vm.execute("gpa2hpa " + gpa))
        .startsWith("Host physical address for " + gpa + " (pc.ram) is 0x");
    assertThat(vm.execute("x /2xg $rip").substring(16))
        .isEqualTo(vm.execute("xp /2xg " + gpa).substring(16));
    String hpa = vm.execute("gpa2hpa " + gpa).strip().replaceAll(".* is ", "");
    assertThat(vm.execute("explain $rip")).contains("hpa " + hpa).contains("So:");
    assertThat(vm.execute("explain gpa " + gpa)).contains("hpa " + hpa);
  }

  @Test
  void codeIsShownAsInstructionsMicroOperationsAndBytecode() {
    String listing = vm.execute("code $rip");
    assertThat(listing)
        .contains("block 0 at 0x")
        .containsPattern("0x[0-9a-f]{16}  [0-9a-f]+ +\\w+")
        .contains("bytecode of run(Vcpu)")
        .contains("getfield Vcpu.gpr");
    assertThat(vm.execute("explain --code $rip")).isEqualTo(listing);
    assertThat(vm.execute("code 0x123456789000"))
        .isEqualTo("0x123456789000 is not mapped by the guest's page tables: there is no code\n");
  }

  @Test
  void everyListingHasSomethingToShow() {
    assertThat(vm.execute("info tlb")).matches("(?s)([0-9a-f]{16}: [0-9a-f]{16} [-A-Z]{9}\n)+");
    assertThat(vm.execute("info mem")).matches("(?s)([0-9a-f-]{33} [0-9a-f]{16} [-u]r[-w]\n)+");
    assertThat(vm.execute("info mtree -f")).contains("(prio 0, i/o): lapic\n");
    assertThat(vm.execute("info registers")).contains("RIP=").contains("CR3=");
    assertThat(vm.execute("stats")).contains("EPT_VIOLATION").contains("nested table frames");
    assertThat(vm.execute("ledger")).contains("GUEST_PAGE").contains("NESTED_TABLE");
    assertThat(vm.execute("help").lines()).hasSizeGreaterThan(10).allMatch(l -> l.contains(" -- "));
    assertThat(vm.execute("")).isEmpty();
  }

  @ParameterizedTest
  @EnumSource
  void stopContAndQuitControlTheRun(TechniqueKind technique) throws Exception {
    try (MonitoredMachine other = new MonitoredMachine(technique)) {
      assertThat(other.execute("info status")).isEqualTo("VM status: running\n");
      assertThat(other.execute("stop")).isEmpty();
      assertThat(other.execute("info status")).isEqualTo("VM status: paused\n");
      String registers = other.execute("info registers");
      assertThat(other.execute("explain $rip")).contains("under " + technique.word());
      assertThat(other.execute("info registers")).isEqualTo(registers);
      if (technique != TechniqueKind.DIRECT) {
        assertThat(other.execute("system_powerdown")).isEmpty();
      }
      assertThat(other.execute("cont")).isEmpty();
      assertThat(other.execute("info status")).isEqualTo("VM status: running\n");
      assertThat(other.prompt.execute("quit").ends()).isTrue();
      assertThat(other.run.get(10, TimeUnit.SECONDS)).isInstanceOf(RunOutcome.Stopped.class);
    }
  }

  @Test
  void aPromptThatOutlivesItsMachineSaysSo() {
    MonitoredMachine other = new MonitoredMachine(TechniqueKind.PARTITION);
    other.close();
    assertThat(other.prompt.execute("info tlb"))
        .isEqualTo(new MonitorPrompt.Reply("the machine has ended\n", true));
  }
}
