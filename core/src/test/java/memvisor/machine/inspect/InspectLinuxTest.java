package memvisor.machine.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.GuestVirtualAddress;
import memvisor.cpu.x86.RegisterName;
import memvisor.host.HostMemory;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.pc.LinuxGuest;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.PcMachine;
import memvisor.mmu.DerivedEntry;
import memvisor.paging.Translation;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Asking about a booting Debian kernel. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
final class InspectLinuxTest {
  private static final long MEMORY_BYTES = 128L << 20;

  /** Enough for the kernel to run on its own tables, with devices mapped. */
  private static final long INSTRUCTIONS = 250_000_000;

  @ParameterizedTest
  @EnumSource(names = {"NESTED", "SHADOW"})
  void allAnswersAboutAKernelAgreeWithOneAnother(TechniqueKind technique) {
    try (HostMemory host = HostMemory.create(2 * MEMORY_BYTES);
        PcMachine machine =
            new PcMachine(
                PcConfiguration.of(MEMORY_BYTES, technique, ClockMode.VIRTUAL),
                host,
                b -> {},
                b -> {})) {
      machine.boot(LinuxGuest.running("true"));
      machine.run(INSTRUCTIONS, Long.MAX_VALUE);
      Inspector inspector = new Inspector(machine);
      everyLineOfInfoTlbIsWhatGva2gpaSays(inspector);
      whereTheKernelRunsIsExplained(inspector, technique);
    }
  }

  private static void everyLineOfInfoTlbIsWhatGva2gpaSays(Inspector inspector) {
    List<String> lines = new ArrayList<>();
    inspector.tlb(lines::add);
    assertThat(lines.size()).isGreaterThan(500);
    for (String line : lines) {
      long gva = Long.parseUnsignedLong(line.substring(0, 16), 16);
      long gpa = Long.parseUnsignedLong(line.substring(18, 34), 16);
      assertThat(inspector.gva2gpa(new GuestVirtualAddress(gva)))
          .as(line)
          .isEqualTo(Optional.of(new GuestPhysicalAddress(gpa)));
    }
  }

  private static void whereTheKernelRunsIsExplained(Inspector inspector, TechniqueKind technique) {
    long rip = inspector.machine().registers().get(RegisterName.RIP);
    assertThat(rip).as("rip=%x", rip).isNegative();
    Explanation explanation = inspector.explain(new GuestVirtualAddress(rip));
    assertThat(explanation.coldReferences())
        .isBetween(3, technique == TechniqueKind.NESTED ? 24 : 4);
    Translation.Mapped mapped = (Translation.Mapped) explanation.hardware().orElseThrow().outcome();
    PhysicalPage.Resident page = (PhysicalPage.Resident) explanation.page().orElseThrow();
    assertThat(mapped.hpa()).isEqualTo(page.hpa());
    assertThat(page.frame().vmId()).isEqualTo(inspector.machine().memory().vmId());
    DerivedEntry leaf = explanation.derived().getLast();
    int shift = 12 + 9 * (leaf.level() - 1);
    long frame = leaf.value() & 0xF_FFFF_FFFF_F000L & -1L << shift;
    assertThat(frame).isEqualTo(page.hpa().value() & -1L << shift);
    assertThat(explanation.toString()).contains("supervisor fetch  allowed");
  }
}
