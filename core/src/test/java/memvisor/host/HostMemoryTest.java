package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.page.Placement;
import memvisor.memory.Backing;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.Hva;
import memvisor.memory.MemoryRegion;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class HostMemoryTest {
  private static final int FRAME = 4096;

  @ParameterizedTest
  @CsvSource({
    "0, more than 0 bytes",
    "-1, more than 0 bytes",
    "-9223372036854775808, more than 0 bytes",
    "4097, a multiple of 4096",
    "1099511631872, at most 1 TiB",
    "9223372036854775807, at most 1 TiB"
  })
  void aSenselessSizeIsRefusedInOneSentence(long sizeBytes, String reason) {
    assertThatThrownBy(() -> HostMemory.create(sizeBytes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(reason);
  }

  @Test
  void memoryIsAlignedZeroedAndCostsNothingUntilTouched() {
    long before = System.nanoTime();
    try (HostMemory host = HostMemory.create(16L << 30)) {
      assertThat(host.machine().hva(0) % (1 << 21)).isZero();
      assertThat(Hva.readLong(host.machine().hva((16L << 30) - 8))).isZero();
    }
    assertThat(System.nanoTime() - before).isLessThan(5_000_000_000L);
  }

  @Test
  void aVmLargerThanTheMachineIsRefused() {
    try (HostMemory host = HostMemory.create(8 * FRAME)) {
      assertThatThrownBy(() -> host.createVm(ramOf(9), Placement.SCATTERED))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("36864 bytes of memory does not fit into a machine of 32768");
    }
  }

  private static GuestMemoryMap ramOf(long pages) {
    return GuestMemoryMap.EMPTY.with(new MemoryRegion(0, pages * FRAME, MemoryRegion.Kind.RAM));
  }

  // Property 1: no host frame is reachable from two VMs, whatever they do.
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void randomOperationsOnTwoVmsNeverShareAFrame(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(1500 * FRAME, seed, true))) {
      List<VmMemory> vms = new ArrayList<>();
      List<List<Long>> tables = List.of(new ArrayList<>(), new ArrayList<>());
      vms.add(host.createVm(ramOf(700), Placement.SCATTERED));
      vms.add(host.createVm(ramOf(700), Placement.HUGE));
      for (int step = 0; step < 4000; step++) {
        int which = random.nextInt(2);
        VmMemory vm = vms.get(which);
        switch (random.nextInt(8)) {
          case 0 -> vm.movePage(random.nextInt(700));
          case 1 -> addTable(vm, tables.get(which));
          case 2 -> dropTable(vm, tables.get(which), random);
          case 3 -> {
            if (random.nextInt(200) == 0) {
              vm.close();
              tables.get(which).clear();
              Placement[] placements = {Placement.SCATTERED, Placement.HUGE};
              vms.set(which, host.createVm(ramOf(700), placements[random.nextInt(2)]));
            }
          }
          default -> vm.frame(random.nextInt(700), random.nextBoolean());
        }
        if (step % 50 == 0) {
          host.audit();
          assertNothingShared(host, vms, tables, "seed=" + seed + " step=" + step);
        }
      }
    }
  }

  private static void addTable(VmMemory vm, List<Long> tables) {
    long hpa = vm.allocateTable(FrameRole.NESTED_TABLE);
    if (hpa >= 0) {
      tables.add(hpa);
    }
  }

  private static void dropTable(VmMemory vm, List<Long> tables, SplittableRandom random) {
    if (!tables.isEmpty()) {
      vm.freeTable(tables.remove(random.nextInt(tables.size())));
    }
  }

  private static void assertNothingShared(
      HostMemory host, List<VmMemory> vms, List<List<Long>> tables, String context) {
    Map<Long, Integer> holder = new HashMap<>();
    for (int which = 0; which < vms.size(); which++) {
      VmMemory vm = vms.get(which);
      List<Long> reachable = new ArrayList<>(tables.get(which));
      for (long gfn = 0; gfn < 700; gfn++) {
        if (Backing.isPresent(vm.peek(gfn))) {
          reachable.add(Backing.hpa(vm.peek(gfn)));
        }
      }
      assertThat(vm.usage().total()).as(context).isEqualTo(reachable.size());
      for (long hpa : reachable) {
        assertThat(holder.put(hpa, which)).as("%s hpa=0x%x", context, hpa).isNull();
        assertThat(host.ledger().owner(hpa >>> 12)).as(context).isEqualTo(vm.vmId());
      }
    }
  }

  // Property 2: what a VM leaves behind is gone before the next one sees the frame.
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aFreedFrameIsZeroBeforeItIsReused(boolean junkOnFree) {
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(64 * FRAME, 5, junkOnFree))) {
      VmMemory first = host.createVm(ramOf(60), Placement.SCATTERED);
      byte[] secret = new byte[60 * FRAME];
      new SplittableRandom(1).nextBytes(secret);
      first.write(0, secret, 0, secret.length);
      long table = first.allocateTable(FrameRole.SHADOW_TABLE);
      Hva.writeLong(host.machine().hva(table), -1);
      first.freeTable(table);
      first.movePage(3);
      first.close();
      VmMemory second = host.createVm(ramOf(60), Placement.SCATTERED);
      for (long gfn = 0; gfn < 60; gfn++) {
        assertZero(host, Backing.hpa(second.frame(gfn, false)));
      }
      for (long hpa; (hpa = second.allocateTable(FrameRole.SHADOW_TABLE)) >= 0; ) {
        assertZero(host, hpa);
      }
      assertThat(host.freeBytes()).isZero();
    }
  }

  private static void assertZero(HostMemory host, long hpa) {
    for (int offset = 0; offset < FRAME; offset += 8) {
      assertThat(Hva.readLong(host.machine().hva(hpa) + offset)).isZero();
    }
  }

  @Test
  void whoReadsAFreedFrameSeesJunkWhenAsked() {
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(8 * FRAME, 5, true))) {
      VmMemory vm = host.createVm(ramOf(1), Placement.SCATTERED);
      long hpa = vm.allocateTable(FrameRole.SHADOW_TABLE);
      vm.freeTable(hpa);
      assertThat(Hva.readLong(host.machine().hva(hpa))).isEqualTo(0xCCCCCCCCCCCCCCCCL);
    }
  }

  // Property 3: destroying a VM returns every frame, tables that nobody freed included.
  @ParameterizedTest
  @EnumSource(Placement.class)
  void closingAVmReturnsEveryFrame(Placement placement) {
    try (HostMemory host = HostMemory.create(4096 * FRAME)) {
      VmMemory vm = host.createVm(ramOf(1100), placement);
      for (long gfn = 0; gfn < 1100; gfn += 3) {
        vm.frame(gfn, true);
      }
      vm.allocateTable(FrameRole.SHADOW_TABLE);
      vm.allocateTable(FrameRole.NESTED_TABLE);
      vm.close();
      vm.close();
      assertThat(host.freeBytes()).isEqualTo(4096L * FRAME);
      assertThat(vm.usage().total()).isZero();
      assertThat(host.ledger().totals().count(FrameRole.FREE)).isEqualTo(4096);
      host.audit();
      assertThatThrownBy(() -> vm.frame(0, true)).isInstanceOf(IllegalStateException.class);
    }
  }

  // Property 33: the machine runs out of memory at the n-th allocation, for every n.
  static IntStream machineSizes() {
    return IntStream.rangeClosed(20, 45);
  }

  @ParameterizedTest
  @MethodSource("machineSizes")
  void runningOutAtAnyAllocationIsAValueAndLosesNothing(int frameCount) {
    try (HostMemory host = HostMemory.create((long) frameCount * FRAME)) {
      VmMemory vm = host.createVm(ramOf(20), Placement.SCATTERED);
      List<Long> tables = new ArrayList<>();
      int granted = 0;
      for (int n = 0; n < 40; n++) {
        boolean table = n % 2 == 1;
        long hpa = table ? vm.allocateTable(FrameRole.SHADOW_TABLE) : vm.frame(n / 2, true);
        boolean got = table ? hpa >= 0 : Backing.isPresent(hpa);
        assertThat(got).as("allocation %d", n).isEqualTo(n < frameCount);
        if (!got) {
          assertThat(hpa).isEqualTo(table ? -1 : Backing.NO_FRAME);
        } else if (table) {
          tables.add(hpa);
        }
        granted += got ? 1 : 0;
        host.audit();
      }
      assertThat(vm.usage().total()).isEqualTo(granted);
      tables.forEach(vm::freeTable);
      vm.close();
      assertThat(host.freeBytes()).isEqualTo((long) frameCount * FRAME);
    }
  }

  @Test
  void aLoaderThatFindsNoFrameChangesNothing() {
    try (HostMemory host = HostMemory.create(20 * FRAME)) {
      VmMemory hog = host.createVm(ramOf(17), Placement.SCATTERED);
      hog.write(0, new byte[17 * FRAME], 0, 17 * FRAME);
      VmMemory vm = host.createVm(ramOf(4), Placement.SCATTERED);
      byte[] data = new byte[4 * FRAME];
      java.util.Arrays.fill(data, (byte) 1);
      assertThatThrownBy(() -> vm.write(0, data, 0, data.length))
          .isInstanceOf(HostMemoryException.class)
          .hasMessageContaining("machine memory is exhausted");
      assertThat(vm.readValue(0, 8)).isZero();
      host.audit();
    }
  }

  @Test
  void equalSeedsGiveEqualLayouts() {
    assertThat(layout(3)).isEqualTo(layout(3)).isNotEqualTo(layout(4));
  }

  private static List<Long> layout(long seed) {
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(256 * FRAME, seed, false))) {
      VmMemory vm = host.createVm(ramOf(100), Placement.SCATTERED);
      return IntStream.range(0, 100).mapToObj(gfn -> vm.frame(gfn, true)).toList();
    }
  }

  @Test
  void aScatteredVmLeavesLargeRunsToOthers() {
    try (HostMemory host = HostMemory.create(256L << 20)) {
      VmMemory small = host.createVm(ramOf(4096), Placement.SCATTERED);
      for (long gfn = 0; gfn < 4096; gfn++) {
        small.frame(gfn, true);
      }
      GuestMemoryMap map =
          GuestMemoryMap.EMPTY.with(new MemoryRegion(0, 128L << 20, MemoryRegion.Kind.RAM));
      VmMemory partition = host.createVm(map, Placement.CONTIGUOUS);
      assertThat(partition.slice()).isPresent();
    }
  }

  @Test
  void aMachineThatClosesEndsTheVmsLeftOnIt() {
    HostMemory host = HostMemory.create(64 * FRAME);
    VmMemory vm = host.createVm(ramOf(8), Placement.SCATTERED);
    vm.writeValue(0, 8, 5);
    host.close();
    assertThat(vm.peek(0)).isEqualTo(Backing.NO_FRAME);
    assertThat(vm.readValue(0, 8)).isZero();
    assertThatThrownBy(() -> vm.writeValue(0, 8, 5))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("vm 1 is closed");
    assertThatThrownBy(() -> host.createVm(ramOf(8), Placement.CONTIGUOUS))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("machine memory is closed");
  }

  @Test
  void aTableMayOnlyBeFreedByItsOwnerAndOnce() {
    try (HostMemory host = HostMemory.create(64 * FRAME)) {
      VmMemory one = host.createVm(ramOf(8), Placement.SCATTERED);
      VmMemory two = host.createVm(ramOf(8), Placement.SCATTERED);
      long table = one.allocateTable(FrameRole.SHADOW_TABLE);
      assertThatThrownBy(() -> two.freeTable(table))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("vm 2");
      one.freeTable(table);
      assertThatThrownBy(() -> one.freeTable(table)).isInstanceOf(IllegalStateException.class);
      host.audit();
    }
  }
}
