package memvisor.device.virtio;

import static memvisor.device.virtio.Driver.BUFFERS;
import static memvisor.device.virtio.Driver.INDIRECT;
import static memvisor.device.virtio.Driver.NEXT;
import static memvisor.device.virtio.Driver.SIZE;
import static memvisor.device.virtio.Driver.WRITE;
import static memvisor.device.virtio.Driver.available;
import static memvisor.device.virtio.Driver.table;
import static memvisor.device.virtio.Driver.used;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.Stream;
import memvisor.device.virtio.Driver.Register;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Drivers that break the rules: the device says that it needs a reset, and harms nobody. */
final class HostileRingTest {
  private static final VirtioDevice ENTROPY =
      new EntropyDevice(bytes -> Arrays.fill(bytes, (byte) 0x5A));

  /** What a driver does wrong, and a word of what the device says of it. */
  record Case(String name, String says, Consumer<Driver> deed) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static Case chain(String name, String says, Consumer<Driver> descriptors) {
    return new Case(
        name,
        says,
        driver -> {
          descriptors.accept(driver);
          driver.offer(0, 0).kick(0);
        });
  }

  static Stream<Case> brokenChains() {
    long end = ArrayMemory.RAM_BYTES;
    return Stream.of(
        chain(
            "a chain of one that follows itself",
            "circle",
            d -> d.descriptor(0, 0, BUFFERS, 4, WRITE | NEXT, 0)),
        chain(
            "two that follow each other",
            "circle",
            d ->
                d.descriptor(0, 0, BUFFERS, 4, WRITE | NEXT, 1)
                    .descriptor(0, 1, BUFFERS, 4, WRITE | NEXT, 0)),
        chain(
            "a successor beyond the table",
            "descriptor 8 of 8",
            d -> d.descriptor(0, 0, BUFFERS, 4, WRITE | NEXT, SIZE)),
        chain(
            "a buffer beyond memory",
            "outside memory",
            d -> d.descriptor(0, 0, 1L << 40, 4, WRITE, 0)),
        chain(
            "a buffer half in ROM",
            "outside memory",
            d -> d.descriptor(0, 0, end - 4, 8, WRITE, 0)),
        chain(
            "a buffer whose end wraps around",
            "outside memory",
            d -> d.descriptor(0, 0, -4, 8, WRITE, 0)),
        chain(
            "a buffer at the end of the address space",
            "outside memory",
            d -> d.descriptor(0, 0, Long.MAX_VALUE, 0xFFFF_FFFFL, WRITE, 0)),
        chain("a buffer of no bytes", "no bytes", d -> d.descriptor(0, 0, BUFFERS, 0, WRITE, 0)),
        chain(
            "more bytes than there is memory",
            "larger than",
            d -> d.descriptor(0, 0, 0, end, WRITE | NEXT, 1).descriptor(0, 1, 0, end, WRITE, 0)),
        chain(
            "a buffer to read behind one to write",
            "behind one to write",
            d ->
                d.descriptor(0, 0, BUFFERS, 4, WRITE | NEXT, 1).descriptor(0, 1, BUFFERS, 4, 0, 0)),
        chain(
            "an indirect table of half a descriptor",
            "table of 8 bytes",
            d -> d.descriptor(0, 0, BUFFERS, 8, INDIRECT, 0)),
        chain(
            "an empty indirect table",
            "table of 0 bytes",
            d -> d.descriptor(0, 0, BUFFERS, 0, INDIRECT, 0)),
        chain(
            "an indirect table beyond memory",
            "table outside memory",
            d -> d.descriptor(0, 0, end, 16, INDIRECT, 0)),
        chain(
            "an indirect descriptor with a successor",
            "successor",
            d -> d.descriptor(0, 0, BUFFERS, 16, INDIRECT | NEXT, 1)),
        chain(
            "an indirect table in an indirect table",
            "in an indirect table",
            d ->
                d.descriptor(0, 0, BUFFERS, 16, INDIRECT, 0)
                    .rawDescriptor(BUFFERS, BUFFERS, 16, INDIRECT, 0)),
        chain(
            "a circle in an indirect table",
            "circle",
            d ->
                d.descriptor(0, 0, BUFFERS, 16, INDIRECT, 0)
                    .rawDescriptor(BUFFERS, BUFFERS, 4, WRITE | NEXT, 0)),
        chain(
            "a successor beyond an indirect table",
            "descriptor 2 of an indirect table of 2",
            d ->
                d.descriptor(0, 0, BUFFERS, 32, INDIRECT, 0)
                    .rawDescriptor(BUFFERS, BUFFERS, 4, WRITE | NEXT, 2)),
        new Case(
            "a head beyond the table", "descriptor 65535 of 8", d -> d.offer(0, 0xFFFF).kick(0)),
        new Case(
            "an index that jumps ahead",
            "9 buffers are available in a ring of 8",
            d -> {
              d.memory.writeValue(available(0) + 2, 2, SIZE + 1);
              d.kick(0);
            }),
        new Case(
            "an index that goes back",
            "65535 buffers are available",
            d -> {
              d.memory.writeValue(available(0) + 2, 2, 0xFFFF);
              d.kick(0);
            }));
  }

  @ParameterizedTest
  @MethodSource("brokenChains")
  void aBrokenChainMakesTheDeviceNeedAReset(Case hostile) {
    Driver driver = new Driver(ENTROPY).start(Driver.ALL_FEATURES, 1);
    hostile.deed.accept(driver);
    assertThat(driver.needsReset()).isTrue();
    assertThat(driver.transport.failure().orElseThrow()).contains(hostile.says);
    assertThat(driver.read(Register.INTERRUPT_STATUS) & 2)
        .as("configuration interrupt")
        .isNotZero();
    assertThat(driver.usedIndex(0)).isZero();
  }

  @ParameterizedTest
  @MethodSource("brokenChains")
  void afterAResetItServesAgain(Case hostile) {
    Driver driver = new Driver(ENTROPY).start(Driver.ALL_FEATURES, 1);
    hostile.deed.accept(driver);
    driver.memory.writeValue(available(0) + 2, 2, 0);
    driver.start(Driver.ALL_FEATURES, 1);
    assertThat(driver.needsReset()).isFalse();
    driver.descriptor(0, 0, BUFFERS, 16, WRITE, 0).offer(0, 0).kick(0);
    assertThat(driver.usedIndex(0)).isEqualTo(1);
    assertThat(driver.usedBytes(0, 0)).isEqualTo(16);
  }

  @Test
  void aDeviceThatNeedsAResetTouchesNoMemory() {
    Driver driver = new Driver(ENTROPY).start(Driver.ALL_FEATURES, 1);
    driver.offer(0, 0xFFFF).kick(0);
    long accesses = driver.accesses();
    driver.write(Register.QUEUE_NOTIFY, 0);
    driver.transport.advance(0);
    assertThat(driver.accesses()).isEqualTo(accesses);
  }

  @Test
  void anIndirectDescriptorNeedsTheFeature() {
    Driver driver = new Driver(ENTROPY).start(0, 1);
    driver
        .descriptor(0, 0, BUFFERS, 16, INDIRECT, 0)
        .rawDescriptor(BUFFERS, BUFFERS + 64, 4, WRITE, 0)
        .offer(0, 0)
        .kick(0);
    assertThat(driver.transport.failure()).contains("an indirect descriptor without the feature");
  }

  /** Where a driver may not put its rings. */
  record Rings(String name, int size, long descriptors, long driverArea, long deviceArea) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Rings> misplacedRings() {
    long rom = ArrayMemory.RAM_BYTES;
    return Stream.of(
        new Rings("no size", 0, table(0), available(0), used(0)),
        new Rings("a size that is no power of two", 6, table(0), available(0), used(0)),
        new Rings("a size above the maximum", 512, table(0), available(0), used(0)),
        new Rings("a negative size", 1 << 31, table(0), available(0), used(0)),
        new Rings("descriptors in ROM", 8, rom, available(0), used(0)),
        new Rings("descriptors across the end of RAM", 8, rom - 64, available(0), used(0)),
        new Rings("descriptors at an odd address", 8, table(0) + 8, available(0), used(0)),
        new Rings("the driver area beyond memory", 8, table(0), 1L << 50, used(0)),
        new Rings("the driver area at an odd address", 8, table(0), available(0) + 1, used(0)),
        new Rings("the device area in ROM", 8, table(0), available(0), rom),
        new Rings("the device area at an odd address", 8, table(0), available(0), used(0) + 2),
        new Rings("the device area at a negative address", 8, table(0), available(0), -64));
  }

  @ParameterizedTest
  @MethodSource("misplacedRings")
  void ringsWhereNoneCanBeAreRefused(Rings rings) {
    Driver driver = new Driver(ENTROPY);
    driver.write(Register.STATUS, 1);
    driver.accept(VirtioMmio.VERSION_1);
    driver.placeQueue(0, rings.size, rings.descriptors, rings.driverArea, rings.deviceArea);
    assertThat(driver.read(Register.QUEUE_READY)).isZero();
    assertThat(driver.needsReset()).isTrue();
    driver.write(Register.STATUS, 0xF);
    driver.kick(0);
    assertThat(driver.accesses()).isZero();
  }

  @Test
  void ringsThatOverlapOneAnotherHarmOnlyTheGuest() {
    Driver driver = new Driver(ENTROPY);
    driver.write(Register.STATUS, 1);
    driver.accept(VirtioMmio.VERSION_1);
    driver.placeQueue(0, SIZE, 0x1000, 0x1000, 0x1000);
    driver.write(Register.STATUS, 0xF);
    driver.memory.writeValue(0x1000, 8, 0x1000_0000_0001_0000L);
    driver.kick(0);
    assertThat(driver.transport.failure()).isPresent();
  }

  @Test
  void aVisitIsBoundedHoweverMuchWaits() {
    int size = 128;
    Driver driver = new Driver(ENTROPY);
    driver.write(Register.STATUS, 1);
    driver.accept(VirtioMmio.VERSION_1);
    driver.placeQueue(0, size, table(0), available(0), used(0));
    driver.descriptor(0, 0, BUFFERS, 4, WRITE, 0);
    driver.memory.writeValue(available(0) + 2, 2, size);
    driver.write(Register.STATUS, 0xF);
    driver.transport.advance(0);
    assertThat(driver.usedIndex(0)).isEqualTo(VirtioMmio.CHAINS_PER_VISIT);
    assertThat(driver.transport.nextDeadlineNanos()).as("more to do at once").isZero();
    driver.kick(0);
    assertThat(driver.usedIndex(0)).isEqualTo(size);
  }

  @Test
  void randomRingsAndRegistersThrowNothingAndEnd() {
    long seed = 45;
    System.out.println("hostile rings: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    int failed = 0;
    int served = 0;
    for (int round = 0; round < 20_000; round++) {
      Driver driver = new Driver(ENTROPY).start(random.nextBoolean() ? -1L : 0, 1);
      for (int i = 0; i < SIZE; i++) {
        long gpa = random.nextInt(4) == 0 ? random.nextLong() : random.nextInt(0x40000);
        long length = random.nextInt(4) == 0 ? random.nextInt() : 16L * random.nextInt(8);
        driver.descriptor(0, i, gpa, length, random.nextInt(8), random.nextInt(SIZE + 1));
      }
      for (int i = random.nextInt(SIZE); i >= 0; i--) {
        driver.offer(0, random.nextInt(SIZE)).kick(0);
        driver.transport.write(4L * random.nextInt(64), 4, random.nextInt());
        driver.transport.advance(0);
      }
      failed += driver.needsReset() ? 1 : 0;
      served += driver.usedIndex(0);
    }
    assertThat(failed).as("devices that need a reset").isPositive();
    assertThat(served).as("requests served").isPositive();
  }
}
