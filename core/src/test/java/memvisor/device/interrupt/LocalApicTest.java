package memvisor.device.interrupt;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import memvisor.device.TimedDevice;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class LocalApicTest {
  private final InterruptFixture board = InterruptFixture.enabled();
  private final LocalApic apic = board.cpu0;

  private void write(int register, long value) {
    apic.write(register, 4, value);
  }

  private long read(int register) {
    return apic.read(register, 4);
  }

  private record Reset(int register, long value) {}

  static Stream<Reset> resetState() {
    return Stream.of(
        new Reset(ApicRegister.ID, 0),
        new Reset(ApicRegister.VERSION, 0x50014),
        new Reset(ApicRegister.TASK_PRIORITY, 0),
        new Reset(ApicRegister.DESTINATION_FORMAT, 0xFFFF_FFFFL),
        new Reset(ApicRegister.LOGICAL_DESTINATION, 0),
        new Reset(ApicRegister.SPURIOUS, 0xFF),
        new Reset(ApicRegister.LVT_TIMER, 0x10000),
        new Reset(0x330, 0x10000),
        new Reset(0x340, 0x10000),
        new Reset(ApicRegister.LVT_LINT0, 0x10000),
        new Reset(ApicRegister.LVT_LINT1, 0x10000),
        new Reset(ApicRegister.LVT_ERROR, 0x10000),
        new Reset(ApicRegister.INITIAL_COUNT, 0),
        new Reset(ApicRegister.CURRENT_COUNT, 0));
  }

  @ParameterizedTest
  @MethodSource("resetState")
  void powerOnStateIsTheManuals(Reset reset) {
    LocalApic fresh = new InterruptFixture().cpu0;
    assertThat(fresh.read(reset.register, 4)).isEqualTo(reset.value);
    assertThat(fresh.baseMsr()).isEqualTo(0xFEE0_0900L);
  }

  @ParameterizedTest
  @CsvSource({
    // register, written, read back
    "0x080, 0xFFFFFFFF, 0x000000FF",
    "0x0D0, 0xFFFFFFFF, 0xFF000000",
    "0x0E0, 0x00000000, 0x0FFFFFFF",
    "0x0F0, 0xFFFFFFFF, 0x000003FF",
    "0x310, 0xFFFFFFFF, 0xFF000000",
    "0x320, 0xFFFFFFFF, 0x000700FF",
    "0x330, 0xFFFFFFFF, 0x000107FF",
    "0x350, 0xFFFFFFFF, 0x0001A7FF",
    "0x370, 0xFFFFFFFF, 0x000100FF",
    "0x3E0, 0xFFFFFFFF, 0x0000000B",
    "0x030, 0x00000000, 0x00050014",
  })
  void registersKeepOnlyTheirWritableBits(String register, String written, String readBack) {
    write(Integer.decode(register), Long.decode(written));
    assertThat(read(Integer.decode(register))).isEqualTo(Long.decode(readBack));
  }

  @Test
  void higherPriorityInterruptsNestAndLowerOnesWait() {
    apic.accept(DeliveryMode.FIXED, 0x41, false);
    apic.accept(DeliveryMode.FIXED, 0x45, false);
    assertThat(apic.acknowledge()).isEqualTo(0x45);
    assertThat(apic.interruptPending()).as("same class waits").isFalse();
    apic.accept(DeliveryMode.FIXED, 0x51, false);
    assertThat(apic.acknowledge()).isEqualTo(0x51);
    assertThat(read(ApicRegister.PROCESSOR_PRIORITY)).isEqualTo(0x50);
    assertThat(read(ApicRegister.ISR + 0x20)).isEqualTo(1L << 0x11 | 1 << 5);
    assertThat(read(ApicRegister.IRR + 0x20)).isEqualTo(1 << 1);
    InterruptFixture.endOfInterrupt(apic);
    assertThat(apic.interruptPending()).isFalse();
    InterruptFixture.endOfInterrupt(apic);
    assertThat(apic.acknowledge()).isEqualTo(0x41);
    InterruptFixture.endOfInterrupt(apic);
    assertThat(apic.acknowledge()).isEqualTo(-1);
  }

  @ParameterizedTest
  @CsvSource({
    "0x3F, 0, true",
    "0x3F, 2, true",
    "0x3F, 3, false",
    "0x3F, 15, false",
    "0xEC, 13, true"
  })
  void taskPriorityHoldsBackItsClassAndBelow(String vector, int cr8, boolean pending) {
    apic.setTaskPriority(cr8);
    apic.accept(DeliveryMode.FIXED, Integer.decode(vector), false);
    assertThat(apic.taskPriority()).isEqualTo(cr8);
    assertThat(read(ApicRegister.TASK_PRIORITY)).isEqualTo(cr8 << 4);
    assertThat(apic.interruptPending()).isEqualTo(pending);
    assertThat(apic.acknowledge()).isEqualTo(pending ? Integer.decode(vector) : -1);
    apic.setTaskPriority(0);
    assertThat(apic.acknowledge()).isEqualTo(pending ? -1 : Integer.decode(vector));
  }

  @Test
  void theProcessorIsKickedOncePerRise() {
    apic.accept(DeliveryMode.FIXED, 0x40, false);
    apic.accept(DeliveryMode.FIXED, 0x50, false);
    assertThat(board.events).containsExactly("0 request");
    apic.acknowledge();
    InterruptFixture.endOfInterrupt(apic);
    assertThat(board.events).containsExactly("0 request", "0 request");
  }

  @Test
  void softwareDisabledApicMasksItsEntriesAndLosesFixedInterrupts() {
    write(ApicRegister.SPURIOUS, 0xFF);
    assertThat(read(ApicRegister.LVT_LINT0)).isEqualTo(0x10700);
    write(ApicRegister.LVT_TIMER, 0x40);
    assertThat(read(ApicRegister.LVT_TIMER)).isEqualTo(0x10040);
    assertThat(apic.accept(DeliveryMode.FIXED, 0x40, false)).isFalse();
    assertThat(apic.accept(DeliveryMode.NMI, 0, false)).isTrue();
    assertThat(board.events).containsExactly("0 nmi");
  }

  @Test
  void oneShotTimerCountsDividedCrystalTicksAndFiresOnce() {
    write(ApicRegister.DIVIDE, 3);
    write(ApicRegister.LVT_TIMER, 0xEC);
    board.clock.now = 1000;
    write(ApicRegister.INITIAL_COUNT, 100);
    assertThat(apic.nextDeadlineNanos()).isEqualTo(1000 + 1600);
    board.clock.now = 1800;
    assertThat(read(ApicRegister.CURRENT_COUNT)).isEqualTo(50);
    apic.advance(2599);
    assertThat(apic.interruptPending()).isFalse();
    board.clock.runTo(100_000, apic);
    assertThat(apic.acknowledge()).isEqualTo(0xEC);
    assertThat(read(ApicRegister.CURRENT_COUNT)).isZero();
    assertThat(apic.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
  }

  @Test
  void periodicTimerFiresEveryPeriodAndCatchesUpWithOneInterrupt() {
    write(ApicRegister.DIVIDE, 0xB);
    write(ApicRegister.LVT_TIMER, 0x200EC);
    write(ApicRegister.INITIAL_COUNT, 1000);
    for (int period = 1; period <= 3; period++) {
      assertThat(apic.nextDeadlineNanos()).isEqualTo(1000L * period);
      board.clock.runTo(1000L * period, apic);
      assertThat(apic.acknowledge()).isEqualTo(0xEC);
      InterruptFixture.endOfInterrupt(apic);
    }
    board.clock.now = 7300;
    assertThat(read(ApicRegister.CURRENT_COUNT)).as("late, not yet advanced").isEqualTo(700);
    apic.advance(7300);
    assertThat(apic.acknowledge()).isEqualTo(0xEC);
    assertThat(apic.nextDeadlineNanos()).isEqualTo(8000);
    assertThat(read(ApicRegister.CURRENT_COUNT)).isEqualTo(700);
    write(ApicRegister.INITIAL_COUNT, 0);
    assertThat(apic.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
  }

  @Test
  void deadlineTimerFiresWhenTheTimeStampCounterReachesIt() {
    write(ApicRegister.LVT_TIMER, 0x400EC);
    apic.setTscDeadline(3001);
    // The counter runs at 2 GHz: 3001 is first reached at 1501 ns.
    assertThat(apic.nextDeadlineNanos()).isEqualTo(1501);
    write(ApicRegister.INITIAL_COUNT, 5);
    assertThat(read(ApicRegister.CURRENT_COUNT)).as("not used in this mode").isZero();
    board.clock.runTo(1500, apic);
    assertThat(apic.interruptPending()).isFalse();
    board.clock.runTo(1501, apic);
    assertThat(apic.acknowledge()).isEqualTo(0xEC);
    assertThat(apic.tscDeadline()).as("disarmed").isZero();
    board.clock.now = 9000;
    apic.setTscDeadline(1);
    assertThat(apic.nextDeadlineNanos()).as("a deadline in the past").isLessThan(9000);
    apic.setTscDeadline(0);
    assertThat(apic.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
  }

  @Test
  void deadlineIsIgnoredInOtherModesAndDisarmedByLeavingItsMode() {
    apic.setTscDeadline(100);
    assertThat(apic.tscDeadline()).isZero();
    write(ApicRegister.LVT_TIMER, 0x400EC);
    apic.setTscDeadline(100);
    write(ApicRegister.LVT_TIMER, 0x200EC);
    assertThat(apic.nextDeadlineNanos()).isEqualTo(TimedDevice.NEVER);
  }

  @Test
  void maskedTimerExpiresSilently() {
    write(ApicRegister.LVT_TIMER, 0x100EC);
    write(ApicRegister.INITIAL_COUNT, 10);
    board.clock.runTo(1000, apic);
    assertThat(apic.interruptPending()).isFalse();
    assertThat(read(ApicRegister.CURRENT_COUNT)).isZero();
  }

  @ParameterizedTest
  @CsvSource({"0,2", "1,4", "2,8", "3,16", "8,32", "9,64", "0xA,128", "0xB,1"})
  void divideConfigurationSelectsTheDivisor(String configuration, long divisor) {
    write(ApicRegister.DIVIDE, Integer.decode(configuration));
    write(ApicRegister.INITIAL_COUNT, 7);
    assertThat(apic.nextDeadlineNanos()).isEqualTo(7 * divisor);
  }

  private record Ipi(String name, long high, long low, String cpu0, String cpu1) {}

  static Stream<Ipi> interprocessorInterrupts() {
    return Stream.of(
        new Ipi("physical", 1L << 24, 0x40FD, "-1", "253"),
        new Ipi("physical broadcast", 0xFFL << 24, 0x40FD, "253", "253"),
        new Ipi("physical, nobody", 7L << 24, 0x40FD, "-1", "-1"),
        new Ipi("flat logical, both", 3L << 24, 0x48FD, "253", "253"),
        new Ipi("flat logical, second", 2L << 24, 0x48FD, "-1", "253"),
        new Ipi("lowest priority", 3L << 24, 0x49FD, "-1", "253"),
        new Ipi("self", 0, 0x440FD, "253", "-1"),
        new Ipi("all", 0, 0x840FD, "253", "253"),
        new Ipi("all but self", 0, 0xC40FD, "-1", "253"));
  }

  @ParameterizedTest
  @MethodSource("interprocessorInterrupts")
  void interprocessorInterruptReachesItsDestinations(Ipi ipi) {
    write(ApicRegister.LOGICAL_DESTINATION, 1L << 24);
    board.cpu1.write(ApicRegister.LOGICAL_DESTINATION, 4, 2L << 24);
    apic.setTaskPriority(1);
    write(ApicRegister.ICR_HIGH, ipi.high);
    write(ApicRegister.ICR_LOW, ipi.low);
    assertThat(apic.acknowledge()).hasToString(ipi.cpu0);
    assertThat(board.cpu1.acknowledge()).hasToString(ipi.cpu1);
    assertThat(read(ApicRegister.ICR_LOW) & 1 << 12).as("delivery status idle").isZero();
  }

  @ParameterizedTest
  @CsvSource({"0x21, true", "0x22, false", "0x11, false", "0xF1, true", "0xFF, true"})
  void clusterModelMatchesClusterAndMember(String destination, boolean matches) {
    write(ApicRegister.DESTINATION_FORMAT, 0);
    write(ApicRegister.LOGICAL_DESTINATION, 0x2100_0000L);
    assertThat(apic.matchesLogical(Integer.decode(destination))).isEqualTo(matches);
  }

  @Test
  void startUpSequenceReachesTheOtherProcessor() {
    write(ApicRegister.ICR_HIGH, 1L << 24);
    write(ApicRegister.ICR_LOW, 0xC500);
    write(ApicRegister.ICR_LOW, 0x8500);
    write(ApicRegister.ICR_LOW, 0x0699);
    assertThat(board.events).containsExactly("1 init", "1 sipi 99");
    assertThat(board.cpu1.read(ApicRegister.SPURIOUS, 4)).as("INIT resets").isEqualTo(0xFF);
  }

  @Test
  void errorsAreLatchedByWritingTheStatusRegister() {
    write(ApicRegister.LVT_ERROR, 0xFE);
    write(ApicRegister.ICR_LOW, 0x44003);
    assertThat(apic.acknowledge()).isEqualTo(0xFE);
    assertThat(read(ApicRegister.ERROR_STATUS)).isZero();
    write(ApicRegister.ERROR_STATUS, 0);
    assertThat(read(ApicRegister.ERROR_STATUS)).as("send illegal vector").isEqualTo(0x20);
    read(0x3F0);
    write(ApicRegister.ERROR_STATUS, 0);
    assertThat(read(ApicRegister.ERROR_STATUS)).as("illegal register").isEqualTo(0x80);
    write(ApicRegister.ERROR_STATUS, 0);
    assertThat(read(ApicRegister.ERROR_STATUS)).isZero();
  }

  @Test
  void virtualWirePassesTheLegacyControllerThroughWhateverThePriority() {
    board.initializePics(false);
    apic.setTaskPriority(15);
    board.isa.line(4).raise();
    assertThat(apic.interruptPending()).isTrue();
    assertThat(apic.acknowledge()).isEqualTo(0x24);
    assertThat(apic.interruptPending()).isFalse();
    write(ApicRegister.LVT_LINT0, 0x10700);
    board.isa.line(3).raise();
    assertThat(apic.interruptPending()).as("masked at LINT0").isFalse();
  }

  @Test
  void disabledByItsBaseRegisterItIsAbsentAndTheLegacyControllerIsWiredThrough() {
    board.initializePics(false);
    assertThat(apic.writeBaseMsr(0xFEE0_0100L)).isTrue();
    assertThat(read(ApicRegister.VERSION)).isNotEqualTo(0x50014);
    board.isa.line(1).raise();
    assertThat(apic.acknowledge()).isEqualTo(0x21);
    assertThat(apic.writeBaseMsr(0xFEE0_0C00L)).as("x2APIC is not offered").isFalse();
    assertThat(apic.writeBaseMsr(0xFEE0_0801L)).as("reserved bit").isFalse();
    assertThat(apic.writeBaseMsr(0xFEE0_0800L)).isTrue();
    assertThat(apic.baseMsr()).as("the bootstrap flag stays").isEqualTo(0xFEE0_0900L);
  }
}
