package memvisor.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import memvisor.host.frames.FrameRecord;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.HostMemoryOptions;
import memvisor.host.frames.TransitionReason;
import memvisor.host.page.Placement;
import memvisor.memory.Backing;
import memvisor.memory.DerivedMappings;
import memvisor.memory.FrameRole;
import memvisor.memory.GuestAddressException;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.Hva;
import memvisor.memory.MemoryRegion;
import memvisor.memory.PartitionSlice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class VmMemoryTest {
  private static final long MIB = 1L << 20;
  private static final GuestMemoryMap MAP =
      GuestMemoryMap.EMPTY
          .with(new MemoryRegion(0, 0xA0000, MemoryRegion.Kind.RAM))
          .with(new MemoryRegion(0xE0000, 0x10000, MemoryRegion.Kind.ACPI))
          .with(new MemoryRegion(0xF0000, 0x10000, MemoryRegion.Kind.ROM))
          .with(new MemoryRegion(MIB, 7 * MIB, MemoryRegion.Kind.RAM));

  private static final DerivedMappings IGNORED = recording(new ArrayList<>(), "", () -> {});

  private static DerivedMappings recording(List<String> calls, String prefix, Runnable onDrop) {
    return new DerivedMappings() {
      @Override
      public void invalidate(long firstGfn, long count) {
        calls.add(prefix + "invalidate " + firstGfn + "+" + count);
        onDrop.run();
      }

      @Override
      public void writeProtect(long firstGfn, long count) {
        calls.add(prefix + "protect " + firstGfn + "+" + count);
      }
    };
  }

  @ParameterizedTest
  @EnumSource(Placement.class)
  void bytesComeBackAcrossPagesAndRegions(Placement placement) {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, placement)) {
      byte[] data = new byte[10_000];
      new SplittableRandom(7).nextBytes(data);
      vm.load(0xEFFFF - 4000, data, 0, data.length);
      byte[] back = new byte[data.length];
      vm.read(0xEFFFF - 4000, back, 0, back.length);
      assertThat(back).isEqualTo(data);
      vm.writeValue(0x1FFD, 8, 0x8877665544332211L);
      assertThat(vm.readValue(0x1FFD, 8)).isEqualTo(0x8877665544332211L);
      assertThat(vm.readValue(0x2000, 2)).isEqualTo(0x5544);
      assertThat(Hva.readByte(vm.machine().hva(Backing.hpa(vm.peek(2))))).isEqualTo(0x44);
      host.audit();
    }
  }

  static Stream<Arguments> rangesOutsideMemory() {
    return Stream.of(
        Arguments.of(0x9FFFFL, 2),
        Arguments.of(0xA0000L, 1),
        Arguments.of(0xEFFFFL, 2),
        Arguments.of(8 * MIB - 1, 2),
        Arguments.of(8 * MIB, 1),
        Arguments.of(-1L, 1),
        Arguments.of(-1L, 2),
        Arguments.of(Long.MIN_VALUE, 1),
        Arguments.of(Long.MAX_VALUE, 1));
  }

  @ParameterizedTest
  @MethodSource("rangesOutsideMemory")
  void aWriteThatIsNotWhollyRamChangesNothing(long gpa, int lengthBytes) {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      List<Long> heard = new ArrayList<>();
      vm.setWriteObserver((written, length) -> heard.add(written));
      byte[] ones = {1, 1};
      assertThatThrownBy(() -> vm.write(gpa, ones, 0, lengthBytes))
          .isInstanceOf(GuestAddressException.class);
      assertThat(heard).isEmpty();
      assertThat(vm.usage().total()).isZero();
    }
  }

  @Test
  void romIsReadOnlyToAllButLoaders() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      vm.load(0xF0000, new byte[] {42}, 0, 1);
      assertThat(vm.readValue(0xF0000, 1)).isEqualTo(42);
      assertThat(vm.frame(0xF0, true)).isEqualTo(Backing.READ_ONLY);
      assertThat(Backing.isWritable(vm.frame(0xF0, false))).isFalse();
      assertThat(Backing.isWritable(vm.frame(0xE0, false))).isTrue();
      assertThat(vm.frame(0xA0, false)).isEqualTo(Backing.NOT_MEMORY);
    }
  }

  @Test
  void scatteredPagesAreNeitherIdenticalNorContiguous() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      int inPlace = 0;
      int neighbours = 0;
      for (long gfn = 0x100; gfn < 0x800; gfn++) {
        long hpa = Backing.hpa(vm.frame(gfn, true));
        inPlace += hpa >>> 12 == gfn ? 1 : 0;
        neighbours += hpa == Backing.hpa(vm.peek(gfn - 1)) + 4096 ? 1 : 0;
        assertThat(vm.contiguousSizeLog2(gfn)).isEqualTo(12);
      }
      assertThat(inPlace).isLessThan(20);
      assertThat(neighbours).isLessThan(200);
    }
  }

  @Test
  void hugePlacementBacksWholeAlignedPagesAndTheRestSingly() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.HUGE)) {
      vm.frame(0x250, false);
      vm.frame(0x150, false);
      assertThat(vm.contiguousSizeLog2(0x200)).isEqualTo(21);
      assertThat(vm.contiguousSizeLog2(0x3FF)).isEqualTo(21);
      assertThat(vm.contiguousSizeLog2(0x150)).isEqualTo(12);
      assertThat(vm.usage().count(FrameRole.GUEST_PAGE)).isEqualTo(513);
      assertThat(vm.movePage(0x300)).isTrue();
      assertThat(vm.contiguousSizeLog2(0x200)).isEqualTo(12);
    }
  }

  @Test
  void oneGibibyteOfHugePlacementIsOneLargePage() {
    long gib = 1L << 30;
    GuestMemoryMap map =
        GuestMemoryMap.EMPTY.with(new MemoryRegion(gib, gib, MemoryRegion.Kind.RAM));
    try (HostMemory host = HostMemory.create(3 * gib)) {
      VmMemory vm = host.createVm(map, Placement.HUGE);
      vm.frame(0x40123, true);
      assertThat(vm.contiguousSizeLog2(0x7FFFF)).isEqualTo(30);
      assertThat(vm.usage().count(FrameRole.GUEST_PAGE)).isEqualTo(1 << 18);
    }
  }

  @Test
  void aPartitionIsOneRunAndOwnsItsHoles() {
    try (HostMemory host = HostMemory.create(16 * MIB)) {
      VmMemory other = host.createVm(MAP, Placement.SCATTERED);
      other.frame(0, true);
      VmMemory vm = host.createVm(MAP, Placement.CONTIGUOUS);
      PartitionSlice slice = vm.slice().orElseThrow();
      assertThat(slice.limitBytes()).isEqualTo(8 * MIB);
      assertThat(slice.baseHpa() % (2 * MIB)).isZero();
      for (long gpa = 0; gpa < slice.limitBytes(); gpa += 4096) {
        assertThat(host.ledger().owner(slice.baseHpa() + gpa >>> 12)).isEqualTo(vm.vmId());
      }
      assertThat(Backing.hpa(vm.frame(0x123, false))).isEqualTo(slice.baseHpa() + 0x123000);
      assertThat(vm.usage().count(FrameRole.RESERVED)).isEqualTo(0x40);
      host.audit();
      vm.close();
      assertThat(vm.usage().total()).isZero();
      host.audit();
    }
  }

  @Test
  void aPartitionWithoutARunIsRefusedAndTakesNothing() {
    try (HostMemory host = HostMemory.create(16 * MIB)) {
      host.createVm(MAP, Placement.CONTIGUOUS);
      VmMemory single = host.createVm(MAP, Placement.SCATTERED);
      single.frame(0, true);
      long free = host.freeBytes();
      assertThatThrownBy(() -> host.createVm(MAP, Placement.CONTIGUOUS))
          .isInstanceOf(HostMemoryException.class)
          .hasMessageContaining("no contiguous run of 8388608 bytes");
      assertThat(host.freeBytes()).isEqualTo(free);
      host.audit();
    }
  }

  @Test
  void aMoveDropsDerivedEntriesBeforeTheFrameChangesOwner() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      vm.writeValue(0x5008, 8, 0x1234);
      long old = Backing.hpa(vm.peek(5));
      List<String> calls = new ArrayList<>();
      vm.setMoveGate(
          action -> {
            calls.add("stop");
            action.run();
            calls.add("go");
          });
      vm.setDerivedMappings(
          recording(
              calls,
              "",
              () -> {
                assertThat(host.ledger().owner(old >>> 12)).isEqualTo(vm.vmId());
                assertThat(Hva.readLong(host.machine().hva(old) + 8)).isEqualTo(0x1234);
                assertThat(Backing.hpa(vm.peek(5))).isEqualTo(old);
              }));
      assertThat(vm.movePage(5)).isTrue();
      assertThat(calls).containsExactly("stop", "invalidate 5+1", "go");
      assertThat(Backing.hpa(vm.peek(5))).isNotEqualTo(old);
      assertThat(vm.readValue(0x5008, 8)).isEqualTo(0x1234);
      assertThat(host.ledger().describe(old >>> 12).role()).isEqualTo(FrameRole.FREE);
      assertThat(Hva.readLong(host.machine().hva(old) + 8)).isZero();
      FrameRecord moved = host.ledger().describe(vm.peek(5) >>> 12);
      assertThat(moved.reason()).isEqualTo(TransitionReason.MOVED);
      vm.setDerivedMappings(IGNORED);
      host.audit();
    }
  }

  @Test
  void aPageWithoutFrameAndAFullMachineMoveNothing() {
    try (HostMemory host = HostMemory.create(8 * 4096)) {
      VmMemory vm = host.createVm(ramOf(8), Placement.SCATTERED);
      assertThat(vm.movePage(0)).isFalse();
      assertThat(vm.movePage(99)).isFalse();
      for (long gfn = 0; gfn < 8; gfn++) {
        vm.frame(gfn, true);
      }
      long before = vm.peek(0);
      assertThat(vm.movePage(0)).isFalse();
      assertThat(vm.peek(0)).isEqualTo(before);
      host.audit();
    }
  }

  private static GuestMemoryMap ramOf(long pages) {
    return GuestMemoryMap.EMPTY.with(new MemoryRegion(0, pages * 4096, MemoryRegion.Kind.RAM));
  }

  @Test
  void randomMovesKeepEveryByte() {
    long seed = 11;
    SplittableRandom random = new SplittableRandom(seed);
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(64 * 4096, seed, true))) {
      VmMemory vm = host.createVm(ramOf(60), Placement.SCATTERED);
      byte[] model = new byte[60 * 4096];
      for (int step = 0; step < 5000; step++) {
        if (random.nextBoolean()) {
          vm.movePage(random.nextInt(60));
        } else {
          byte[] data = new byte[random.nextInt(9000)];
          random.nextBytes(data);
          int at = random.nextInt(model.length - data.length);
          System.arraycopy(data, 0, model, at, data.length);
          vm.write(at, data, 0, data.length);
        }
      }
      byte[] all = new byte[model.length];
      vm.read(0, all, 0, all.length);
      assertThat(all).as("seed=%d", seed).isEqualTo(model);
      host.audit();
    }
  }

  @Test
  void theDirtyLogNamesEveryPageWrittenByWhomever() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      List<String> calls = new ArrayList<>();
      vm.writeValue(0x3000, 1, 1);
      vm.setDerivedMappings(recording(calls, "", () -> {}));
      vm.startDirtyLog();
      assertThat(calls).contains("protect 256+1792");
      assertThat(Backing.isWritable(vm.frame(3, false))).isFalse();
      vm.write(0x3FFF, new byte[2], 0, 2);
      vm.frame(0x7FF, true);
      vm.frame(0x7FE, false);
      assertThat(Backing.isWritable(vm.frame(3, false))).isTrue();
      List<Long> dirty = new ArrayList<>();
      calls.clear();
      vm.collectDirty(dirty::add);
      assertThat(dirty).containsExactly(3L, 4L, 0x7FFL);
      assertThat(calls).containsExactly("protect 3+1", "protect 4+1", "protect 2047+1");
      assertThat(Backing.isWritable(vm.peek(3))).isFalse();
      vm.stopDirtyLog();
      assertThat(Backing.isWritable(vm.peek(3))).isTrue();
      vm.setDerivedMappings(IGNORED);
    }
  }

  @Test
  void memoryAboveFourGibibytesOfAPartitionLiesOutsideItsSlice() {
    long gib = 1L << 30;
    GuestMemoryMap map =
        GuestMemoryMap.EMPTY
            .with(new MemoryRegion(0, gib, MemoryRegion.Kind.RAM))
            .with(new MemoryRegion(4 * gib, gib, MemoryRegion.Kind.RAM));
    try (HostMemory host = HostMemory.create(4 * gib)) {
      VmMemory vm = host.createVm(map, Placement.CONTIGUOUS);
      assertThat(vm.slice().orElseThrow().limitBytes()).isEqualTo(gib);
      assertThat(vm.contiguousSizeLog2(0)).isEqualTo(30);
      vm.writeValue(4 * gib + 8, 4, 77);
      assertThat(vm.readValue(4 * gib + 8, 8)).isEqualTo(77);
      host.audit();
    }
  }

  @Test
  void valuesOfEverySizeKeepTheirNeighboursAndAreZeroExtended() {
    try (HostMemory host = HostMemory.create(16 * MIB);
        VmMemory vm = host.createVm(MAP, Placement.SCATTERED)) {
      for (int sizeBytes : new int[] {1, 2, 4, 8}) {
        for (long gpa = 0x2FF0; gpa < 0x3008; gpa++) {
          byte[] junk = new byte[64];
          Arrays.fill(junk, (byte) -1);
          vm.write(0x2FE0, junk, 0, 64);
          vm.writeValue(gpa, sizeBytes, 0x8182838485868788L);
          long mask = sizeBytes == 8 ? -1L : (1L << 8 * sizeBytes) - 1;
          assertThat(vm.readValue(gpa, sizeBytes)).isEqualTo(0x8182838485868788L & mask);
          assertThat(vm.readValue(gpa - 1, 1)).isEqualTo(0xFF);
          assertThat(vm.readValue(gpa + sizeBytes, 1)).isEqualTo(0xFF);
        }
      }
      assertThatThrownBy(() -> vm.readValue(0x2000, 3))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> vm.readValue(0x9FFFF, 2)).isInstanceOf(GuestAddressException.class);
    }
  }

  // The device runs while the mover copies: a write into the old frame after the copy would be
  // lost.
  @Test
  void aDeviceThatWritesDuringMovesLosesNothing() throws InterruptedException {
    try (HostMemory host = HostMemory.create(new HostMemoryOptions(64 * 4096, 3, true))) {
      VmMemory vm = host.createVm(ramOf(8), Placement.SCATTERED);
      Thread device =
          Thread.ofPlatform()
              .start(
                  () -> {
                    byte[] page = new byte[8 * 4096];
                    for (int generation = 1; generation <= 2000; generation++) {
                      Arrays.fill(page, (byte) generation);
                      vm.write(0, page, 0, page.length);
                      vm.writeValue(0, 4, generation);
                    }
                  });
      long moves = 0;
      while (device.isAlive()) {
        for (long gfn = 0; gfn < 8; gfn++) {
          moves += vm.movePage(gfn) ? 1 : 0;
        }
      }
      device.join();
      assertThat(moves).isPositive();
      assertThat(vm.readValue(0, 4)).isEqualTo(2000);
      byte[] all = new byte[8 * 4096 - 4];
      vm.read(4, all, 0, all.length);
      assertThat(all).containsOnly((byte) 2000);
      host.audit();
    }
  }

  @Test
  void twoVcpusThatTouchTheSamePagesGetTheSameFrames() throws InterruptedException {
    try (HostMemory host = HostMemory.create(64 * MIB)) {
      VmMemory vm = host.createVm(ramOf(8192), Placement.SCATTERED);
      long[][] seen = new long[2][8192];
      List<Thread> vcpus = new ArrayList<>();
      for (long[] frames : seen) {
        vcpus.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int gfn = 0; gfn < frames.length; gfn++) {
                        frames[gfn] = vm.frame(gfn, true);
                      }
                    }));
      }
      for (Thread vcpu : vcpus) {
        vcpu.join();
      }
      assertThat(seen[0]).isEqualTo(seen[1]);
      assertThat(vm.usage().total()).isEqualTo(8192);
      host.audit();
    }
  }
}
