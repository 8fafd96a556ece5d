package memvisor.machine.inspect;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.GuestPhysicalAddress;
import memvisor.device.BusRange;
import memvisor.machine.TechniqueKind;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.Test;

/** The flat views of the address spaces, in QEMU's form. */
final class FlatViewTest {
  private final List<String> lines = new ArrayList<>();

  @Test
  void gapsBetweenPortsAreTheEmptyBus() {
    FlatView.ports(
        0, List.of(new BusRange("pic", 0x20, 0x22), new BusRange("pit", 0x22, 0x24)), lines::add);
    assertThat(lines)
        .containsExactly(
            "FlatView #0",
            " AS \"I/O\", root: io",
            " Root memory region: io",
            "  0000000000000000-000000000000001f (prio 0, i/o): io",
            "  0000000000000020-0000000000000021 (prio 0, i/o): pic",
            "  0000000000000022-0000000000000023 (prio 0, i/o): pit",
            "  0000000000000024-000000000000ffff (prio 0, i/o): io @0000000000000024",
            "");
  }

  @Test
  void windowsStandAmongMemoryInOrderOfAddress() {
    GuestMemoryMap map =
        GuestMemoryMap.EMPTY
            .with(new MemoryRegion(0, 0xA_0000, MemoryRegion.Kind.RAM))
            .with(new MemoryRegion(0xF_0000, 0x1_0000, MemoryRegion.Kind.ROM))
            .with(new MemoryRegion(1L << 32, 0x1000, MemoryRegion.Kind.RAM));
    FlatView.memory(
        1,
        map,
        List.of(
            new BusRange("vga", 0xA_0000, 0xC_0000),
            new BusRange("lapic", 0xFEE0_0000L, 0xFEE0_1000L)),
        lines::add);
    assertThat(lines)
        .containsExactly(
            "FlatView #1",
            " AS \"memory\", root: system",
            " AS \"cpu-memory-0\", root: system",
            " Root memory region: system",
            "  0000000000000000-000000000009ffff (prio 0, ram): pc.ram",
            "  00000000000a0000-00000000000bffff (prio 0, i/o): vga",
            "  00000000000f0000-00000000000fffff (prio 0, rom): pc.rom @00000000000f0000",
            "  00000000fee00000-00000000fee00fff (prio 0, i/o): lapic",
            "  0000000100000000-0000000100000fff (prio 0, ram): pc.ram @0000000100000000",
            "");
  }

  @Test
  void everyPageOfTheMachineIsWhatItsFlatViewSays() {
    try (PagedMachine vm = new PagedMachine(TechniqueKind.NESTED)) {
      vm.inspector.mtree(lines::add);
      List<String> memory =
          lines.subList(lines.indexOf("FlatView #1"), lines.size()).stream()
              .filter(line -> line.contains("(prio"))
              .toList();
      assertThat(memory).anyMatch(line -> line.endsWith("i/o): lapic"));
      for (String line : memory) {
        long start = Long.parseLong(line.substring(2, 18), 16);
        long last = Long.parseLong(line.substring(19, 35), 16);
        for (long gpa : new long[] {start, last}) {
          PhysicalPage page = vm.inspector.page(new GuestPhysicalAddress(gpa));
          assertThat(page instanceof PhysicalPage.Device)
              .as("gpa=%x", gpa)
              .isEqualTo(line.contains("i/o"));
          assertThat(page).isNotInstanceOf(PhysicalPage.Nobody.class);
        }
      }
    }
  }
}
