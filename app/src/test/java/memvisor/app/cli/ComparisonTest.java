package memvisor.app.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The commands that compare techniques, from the command line to the files they write. */
final class ComparisonTest {
  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String line) {
    return Main.commandLine()
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(line.replace("DIR", folder.toString()).split(" "));
  }

  private JsonNode json() throws IOException {
    return new JsonMapper().readTree(Files.readString(folder.resolve("r.json")));
  }

  @Test
  void aWorkloadIsCountedExactlyInTextAndJson() throws IOException {
    assertThat(
            run(
                "compare --workload churn --pages 16 --iterations 50 --mmu nested,shadow,trap"
                    + " --json DIR/r.json"))
        .isZero();
    assertThat(out.toString())
        .contains("churn: ")
        .contains("  exits, nested: none\n")
        .contains("  exits, shadow: EXCEPTION_NMI 101, INVLPG 100\n");
    JsonNode runs = json().get("runs");
    assertThat(runs.size()).isEqualTo(3);
    assertThat(runs.get(1).get("exitsByReason").get("INVLPG").asLong()).isEqualTo(100);
    // Trap has no hardware walks; the monitor's are of 3 entries (a 2 MiB page) or 4.
    assertThat(runs.get(2).get("tlb").get("walks").asLong()).isZero();
    assertThat(runs.get(2).get("referencesPerWalk").asDouble()).isBetween(3.0, 4.0);
    assertThat(runs.get(2).get("softwareWalks").asLong())
        .isEqualTo(runs.get(2).get("exitsByReason").get("TRAPPED_ACCESS").asLong());
  }

  @Test
  void batchingIsWorthTheExitsOfItsCalls() throws IOException {
    assertThat(
            run(
                "compare --workload churn --pages 16 --iterations 50 --mmu shadow,direct --no-batch"
                    + " --json DIR/r.json"))
        .isZero();
    assertThat(out.toString())
        .contains("  exits, direct: HYPERCALL 51\n")
        .contains("  exits, direct-nobatch: HYPERCALL 100\n")
        .contains("  hypercalls, direct: update_va_mapping 100, multicall 49\n")
        .contains("100 entries changed by hypercall (1.96 each)")
        .contains("hypercall and return 200, exception and return 600");
    JsonNode runs = json().get("runs");
    assertThat(runs.get(0).get("check")).isEqualTo(runs.get(1).get("check"));
    assertThat(runs.get(1).get("exits").asLong()).isLessThan(runs.get(0).get("exits").asLong());
    JsonNode work = runs.get(1).get("paravirtual");
    assertThat(work.get("entriesValidated").asLong()).isEqualTo(50);
    assertThat(work.get("emulatedWrites").asLong()).isZero();
    assertThat(json().get("cycleModel").get("validation").asDouble()).isEqualTo(50);
  }

  @Test
  void aParavirtualKernelIsComparedButNotItsFinalState() throws IOException {
    WorkloadParameters small = new WorkloadParameters(16, 50, 1);
    Files.write(folder.resolve("pv.elf"), BuiltinGuest.paravirtualImage(Workload.MAP_CHURN, small));
    assertThat(
            run(
                "compare --kernel DIR/pv.elf --memory 32M --mmu direct --no-batch --json DIR/r.json"))
        .isZero();
    assertThat(out.toString()).contains("No final state is compared for direct: ");
    JsonNode runs = json().get("runs");
    assertThat(runs.get(0).get("outcome").asString()).isEqualTo("powered off");
    assertThat(runs.get(1).get("exits").asLong()).isGreaterThan(runs.get(0).get("exits").asLong());
  }

  @ParameterizedTest
  @ValueSource(strings = {"--jit off", "--jit blocks", "--cpu vulnerable"})
  void translationAndProcessorChangeNoCount(String options) throws IOException {
    String line = "compare --workload cow --pages 16 --iterations 3 --mmu shadow,direct ";
    assertThat(run(line + "--json DIR/r.json")).isZero();
    JsonNode plain = json().get("runs");
    assertThat(run(line + options + " --json DIR/r.json")).isZero();
    for (int i = 0; i < 2; i++) {
      for (String field : List.of("instructions", "exitsByReason", "tlb", "check")) {
        assertThat(json().get("runs").get(i).get(field)).isEqualTo(plain.get(i).get(field));
      }
    }
  }

  @Test
  void aProcessorWithoutTagsMissesAfterEachSwitch() throws IOException {
    String line = "compare --workload switch-pcid --pages 16 --iterations 40 --mmu nested";
    assertThat(run(line + " --json DIR/r.json")).isZero();
    long tagged = json().get("runs").get(0).get("tlb").get("walks").asLong();
    assertThat(run(line + " --cpu atom,-pcid --json DIR/r.json")).isZero();
    long untagged = json().get("runs").get(0).get("tlb").get("walks").asLong();
    assertThat(untagged).isGreaterThan(2 * tagged).isEqualTo(40 * 16);
  }

  @Test
  void aWorkloadThatMeansNothingToAParavirtualGuestIsNotRun() {
    assertThat(run("compare --workload switch-pcid --mmu direct")).isEqualTo(2);
    assertThat(err.toString()).contains("a paravirtual guest has no PCIDs");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " --fast", " --tlb off"})
  void aKernelLeavesTheSameGuestUnderEveryTechnique(String mode) throws IOException {
    Files.write(
        folder.resolve("tiny.elf"),
        BuiltinGuest.image(Workload.MAP_CHURN, new WorkloadParameters(16, 50, 1)));
    assertThat(
            run(
                "compare --kernel DIR/tiny.elf --memory 32M --json DIR/r.json --html DIR/r.html"
                    + mode))
        .isZero();
    assertThat(out.toString())
        .contains("tiny.elf: ")
        .contains("The same final state under each: ")
        .contains(mode.equals(" --fast") ? "without --fast" : "every access through");
    Set<String> hashes = new HashSet<>();
    Set<Long> instructions = new HashSet<>();
    for (JsonNode run : json().get("runs")) {
      assertThat(run.get("workload").asString()).isEqualTo("tiny.elf");
      hashes.add(run.get("finalState").get("ramSha256").asString());
      instructions.add(run.get("finalState").get("instructions").asLong());
    }
    assertThat(hashes).hasSize(1).allMatch(hash -> hash.length() == 64);
    assertThat(instructions).hasSize(1).allMatch(count -> count > 10_000);
    assertThat(Files.readString(folder.resolve("r.html")))
        .contains("The same final state under each: ")
        .doesNotContain("http:", "https:", "<script", "url(");
  }

  @Test
  void onlyAFullCountSeesEveryAccess() throws IOException {
    Files.write(
        folder.resolve("tiny.elf"),
        BuiltinGuest.image(Workload.MAP_CHURN, new WorkloadParameters(16, 50, 1)));
    String line = "compare --kernel DIR/tiny.elf --memory 32M --mmu nested --json DIR/r.json";
    assertThat(run(line)).isZero();
    JsonNode full = json().get("runs").get(0);
    assertThat(run(line + " --fast")).isZero();
    JsonNode fast = json().get("runs").get(0);
    assertThat(full.get("tlb").get("accesses").asLong())
        .isGreaterThan(10 * fast.get("tlb").get("accesses").asLong());
    assertThat(full.get("exitsByReason")).isEqualTo(fast.get("exitsByReason"));
  }

  @Test
  void aGuestThatFailsIsStatus3AndNamed() throws IOException {
    byte[] kernel = BuiltinGuest.image(Workload.MAP_CHURN, Workload.MAP_CHURN.defaults());
    Files.write(folder.resolve("long.elf"), kernel);
    assertThat(run("compare --kernel DIR/long.elf --memory 32M --mmu trap --timeout 1ms"))
        .isEqualTo(3);
    assertThat(err.toString()).contains("long.elf under trap: gave up at the time limit");
  }

  @Test
  void theDemoComparesEverythingInOneRun() throws IOException {
    assertThat(run("demo --html DIR/r.html --json DIR/r.json")).isZero();
    // A paravirtual guest has no PCIDs, so that one run means nothing.
    int runs = Workload.values().length * TechniqueKind.values().length - 1;
    assertThat(json().get("runs").size()).isEqualTo(runs);
    for (Workload workload : Workload.values()) {
      assertThat(out.toString()).contains("\n  " + workload.label() + ": cheapest under ");
    }
    assertThat(out.toString().lines()).allMatch(line -> line.length() <= 80);
    assertThat(Files.readString(folder.resolve("r.html")))
        .contains("<svg ", "switch-pcid", "direct: not run, because")
        .doesNotContain("http:", "https:", "<script", "url(");
  }
}
