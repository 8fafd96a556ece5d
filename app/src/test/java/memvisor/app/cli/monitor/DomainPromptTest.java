package memvisor.app.cli.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import memvisor.machine.TechniqueKind;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The prompt on a paravirtual domain, whose tables hold machine addresses. */
@Timeout(60)
final class DomainPromptTest {
  /** Where the built-in guest touches its data, and where its data begins. */
  private static final long WINDOW_GVA = 0x0400_0000_0000L;

  private static final long DATA_GPA = 0x80_0000;
  private static final int WINDOW_PAGES = 64;

  private static MonitoredMachine vm = new MonitoredMachine(TechniqueKind.DIRECT);

  @BeforeAll
  static void pause() {
    vm.execute("stop");
  }

  @AfterAll
  static void end() {
    vm.close();
  }

  private static String hex(long value) {
    return "0x" + Long.toHexString(value);
  }

  @Test
  void machineAddressesComeBackAsTheGuestsOwn() {
    for (int page = 0; page < WINDOW_PAGES; page++) {
      // The order in which the guest scatters its window's pages.
      long gpa = DATA_GPA + (page * 0x2A5L + 5 & WINDOW_PAGES - 1) * 4096;
      String gva = hex(WINDOW_GVA + page * 4096L);
      assertThat(vm.execute("gva2gpa " + gva)).isEqualTo("gpa: " + hex(gpa) + "\n");
      assertThat(vm.execute("x /2xg " + gva).substring(16))
          .isEqualTo(vm.execute("xp /2xg " + hex(gpa)).substring(16));
    }
  }

  @Test
  void listingsShowMachineAddresses() {
    String line =
        vm.execute("info tlb")
            .lines()
            .filter(each -> each.startsWith("0000040000000000: "))
            .findFirst()
            .orElseThrow();
    String hpa = hex(Long.parseLong(line.substring(18, 34), 16));
    String gpa = vm.execute("gva2gpa " + hex(WINDOW_GVA)).strip().substring("gpa: ".length());
    assertThat(vm.execute("gpa2hpa " + gpa))
        .isEqualTo("Host physical address for %s (pc.ram) is %s\n".formatted(gpa, hpa));
    assertThat(vm.execute("info mem"))
        .contains("0000040000000000-0000040000040000 0000000000040000 urw\n");
    assertThat(vm.execute("info mtree -f")).contains("(prio 0, ram): pc.ram");
  }

  @Test
  void anExplanationShowsTypesCountsAndBothMaps() {
    String text = vm.execute("explain " + hex(WINDOW_GVA + 5 * 4096));
    long pfn = (DATA_GPA >>> 12) + (5 * 0x2A5L + 5 & WINDOW_PAGES - 1);
    assertThat(text)
        .contains("under direct")
        .contains("4 references with every cache cold")
        // The roots of the kernel: pinned, loaded, and mapped read-only where memory is mapped.
        .contains("a table of level 4: 2 references as that, 3 references in all, pinned")
        .contains("a table of level 3: 1 reference as that, 2 references in all\n")
        .contains("a table of level 1: 1 reference as that, 2 references in all\n")
        .contains("is writable: 2 references as that, 2 references in all\n")
        .contains("is guest frame " + hex(pfn) + "; P2M: guest frame " + hex(pfn))
        .contains("user-mode write   allowed")
        .doesNotContain("supervisor");
    List<String> maps = text.lines().filter(line -> line.contains("M2P: ")).toList();
    assertThat(maps).hasSize(1);
    String machineFrame =
        maps.getFirst().replaceAll(".*machine frame (0x[0-9a-f]+) is guest.*", "$1");
    assertThat(maps.getFirst()).endsWith("is machine frame " + machineFrame);
    assertThat(vm.execute("explain gpa " + hex(pfn << 12)))
        .contains(maps.getFirst().strip())
        .contains("writable: 2 references");
  }

  @Test
  void theMonitorsOwnPagesAreNamedAsSuch() {
    assertThat(vm.execute("explain 0xffff800000000000"))
        .contains("is the monitor's")
        .contains("is none of the guest's physical map");
    assertThat(vm.execute("gva2gpa 0xffff800000000000"))
        .isEqualTo("Unmapped, or not a page of the guest's own\n");
    assertThat(vm.execute("explain 0x7000000000")).contains("Nothing is mapped here");
  }

  @Test
  void whatADomainDoesNotHaveIsSaid() {
    assertThat(vm.execute("info balloon")).startsWith("Error: No balloon");
    assertThat(vm.execute("system_powerdown")).contains("no power button");
    assertThat(vm.execute("stats"))
        .contains("hypercall-mmu_update")
        .contains("direct table frames");
    assertThat(vm.execute("ledger")).contains("GUEST_PAGE").contains("MONITOR_PAGE");
  }

  @Test
  void askingChangesNothing() {
    String before = vm.execute("stats");
    vm.execute("explain " + hex(WINDOW_GVA));
    vm.execute("info tlb");
    assertThat(vm.execute("stats")).isEqualTo(before);
  }
}
