package memvisor.device.interrupt;

import java.util.function.IntSupplier;
import memvisor.device.Frequency;
import memvisor.device.InterruptLine;
import memvisor.device.MmioDevice;
import memvisor.device.TimeStampCounter;
import memvisor.device.TimedDevice;
import memvisor.device.VmClock;

/**
 * The local APIC of one vCPU in xAPIC mode: version 14h, six local vectors; SDM volume 3, chapter
 * 11.
 *
 * <p>Every vCPU has its own at the same guest-physical window, so the machine routes {@code
 * [baseGpa, baseGpa + WINDOW_BYTES)} by the accessing vCPU. LINT0 is wired to the 8259A pair and
 * LINT1 to NMI, as on a PC.
 */
public final class LocalApic implements InterruptController, MmioDevice, TimedDevice {
  /** Where every processor has it after reset. */
  public static final long DEFAULT_GPA = 0xFEE0_0000L;

  /** The size of its window. */
  public static final long WINDOW_BYTES = 0x1000;

  /** The rate of the undivided timer: the crystal frequency that CPUID 15h ECX reports. */
  public static final long CRYSTAL_HZ = 1_000_000_000L;

  private static final int VERSION = 0x0005_0014;
  private static final long BASE_BSP = 1 << 8;
  private static final long BASE_ENABLE = 1 << 11;
  private static final long BASE_WRITABLE = 0xF_FFFF_FFFF_F000L | BASE_ENABLE | BASE_BSP;
  private static final int SVR_ENABLE = 1 << 8;
  private static final int ERROR_SEND_ILLEGAL_VECTOR = 1 << 5;
  private static final int ERROR_RECEIVE_ILLEGAL_VECTOR = 1 << 6;
  private static final int ERROR_ILLEGAL_REGISTER = 1 << 7;
  private static final int FIRST_LEGAL_VECTOR = 16;
  private static final int ICR_LOGICAL = 1 << 11;
  private static final int ICR_ASSERT = 1 << 14;
  private static final int ICR_LEVEL = 1 << 15;
  private static final int ICR_WRITABLE = 0xC_CFFF;

  private final ApicBus bus;
  private final ProcessorEvents events;
  private final IntSupplier externalAcknowledge;
  private final ApicTimer timer;
  private final LocalVectorTable lvt = new LocalVectorTable();
  private final VectorSet irr = new VectorSet();
  private final VectorSet isr = new VectorSet();
  private final VectorSet tmr = new VectorSet();

  private volatile boolean pending;
  private long base;
  private int id;
  private int taskPriority;
  private int spurious;
  private int logicalDestination;
  private int destinationFormat;
  private int errorStatus;
  private int pendingErrors;
  private int icrLow;
  private int icrHigh;
  private boolean lint0;
  private boolean lint1;
  private boolean externalMessage;

  /**
   * A local APIC after power-on: enabled by its base register, disabled by software.
   *
   * @param apicId its ID and, if 0, the mark of the bootstrap processor
   * @param bus the bus to connect to
   * @param clock the VM's clock
   * @param tsc its processor's time-stamp counter, for the TSC-deadline timer
   * @param events its processor
   * @param externalAcknowledge the 8259A pair's INTA cycle, which returns the vector
   */
  public LocalApic(
      int apicId,
      ApicBus bus,
      VmClock clock,
      TimeStampCounter tsc,
      ProcessorEvents events,
      IntSupplier externalAcknowledge) {
    this.id = apicId;
    this.bus = bus;
    this.events = events;
    this.externalAcknowledge = externalAcknowledge;
    this.timer = new ApicTimer(clock, new Frequency(CRYSTAL_HZ), tsc);
    this.base = DEFAULT_GPA | BASE_ENABLE | (apicId == 0 ? BASE_BSP : 0);
    reset();
    bus.connect(this);
  }

  /** The state of SDM volume 3, 11.4.7.1 and 11.4.7.3; ID and base register stay. */
  public void reset() {
    irr.clear();
    isr.clear();
    tmr.clear();
    lvt.reset();
    timer.reset();
    taskPriority = 0;
    spurious = 0xFF;
    logicalDestination = 0;
    destinationFormat = -1;
    errorStatus = 0;
    pendingErrors = 0;
    icrLow = 0;
    icrHigh = 0;
    externalMessage = false;
    update();
  }

  /** Sets what PC firmware leaves on the bootstrap processor: virtual wire through LINT0. */
  public void programAsFirmware() {
    write(ApicRegister.SPURIOUS, 4, SVR_ENABLE | 0xFF);
    write(ApicRegister.LVT_LINT0, 4, DeliveryMode.EXT_INT << 8);
    write(ApicRegister.LVT_LINT1, 4, DeliveryMode.NMI << 8);
  }

  // The processor's side

  @Override
  public boolean interruptPending() {
    return pending;
  }

  @Override
  public int acknowledge() {
    int vector = deliverableVector();
    if (vector >= 0) {
      irr.remove(vector);
      isr.add(vector);
    } else if (externalPending()) {
      externalMessage = false;
      vector = externalAcknowledge.getAsInt();
    }
    update();
    return vector;
  }

  @Override
  public int taskPriority() {
    return taskPriority >> 4;
  }

  @Override
  public void setTaskPriority(int value) {
    taskPriority = value << 4 & 0xF0;
    update();
  }

  /** IA32_APIC_BASE (1Bh). */
  public long baseMsr() {
    return base;
  }

  /** WRMSR to IA32_APIC_BASE; false, having changed nothing, for what raises #GP. */
  public boolean writeBaseMsr(long value) {
    if ((value & ~BASE_WRITABLE) != 0) {
      return false;
    }
    base = value & ~BASE_BSP | base & BASE_BSP;
    if (!globallyEnabled()) {
      reset();
    }
    update();
    return true;
  }

  /** The guest-physical address of the window now. */
  public long baseGpa() {
    return base & 0xF_FFFF_FFFF_F000L;
  }

  /** IA32_TSC_DEADLINE (6E0h); 0 if not armed. */
  public long tscDeadline() {
    return timer.tscDeadline();
  }

  /** WRMSR to IA32_TSC_DEADLINE; without effect unless the timer is in that mode. */
  public void setTscDeadline(long value) {
    timer.setTscDeadline(value);
  }

  // The wires

  /** The wire from the 8259A pair. */
  public InterruptLine lint0() {
    return asserted -> {
      boolean rising = asserted && !lint0;
      lint0 = asserted;
      if (rising) {
        localPin(LocalVectorTable.LINT0);
      }
      update();
    };
  }

  /** The NMI wire. */
  public InterruptLine lint1() {
    return asserted -> {
      boolean rising = asserted && !lint1;
      lint1 = asserted;
      if (rising) {
        localPin(LocalVectorTable.LINT1);
      }
    };
  }

  private void localPin(int index) {
    if (lvt.masked(index)) {
      return;
    }
    switch (lvt.deliveryMode(index)) {
      case DeliveryMode.FIXED -> accept(DeliveryMode.FIXED, lvt.vector(index), false);
      case DeliveryMode.NMI -> events.nmi();
      // LINT0 as ExtINT is a level, seen by externalPending.
      default -> {}
    }
  }

  // The bus

  int id() {
    return id;
  }

  boolean globallyEnabled() {
    return (base & BASE_ENABLE) != 0;
  }

  boolean softwareEnabled() {
    return globallyEnabled() && (spurious & SVR_ENABLE) != 0;
  }

  /** SDM volume 3, 11.6.2.2: flat model if the format's top bits are ones, else cluster model. */
  boolean matchesLogical(int destination) {
    int own = logicalDestination >>> 24;
    if (destinationFormat >>> 28 == 0xF) {
      return (own & destination) != 0;
    }
    int cluster = destination >> 4;
    return (cluster == 0xF || cluster == own >> 4) && (own & destination & 0xF) != 0;
  }

  /** Takes a message; false if it is lost because software has disabled the APIC. */
  boolean accept(int deliveryMode, int vector, boolean level) {
    switch (deliveryMode) {
      case DeliveryMode.NMI -> events.nmi();
      case DeliveryMode.INIT -> {
        reset();
        events.init();
      }
      case DeliveryMode.START_UP -> events.startUp(vector);
      case DeliveryMode.SMI -> {}
      case DeliveryMode.EXT_INT -> {
        externalMessage = true;
        update();
      }
      default -> {
        return acceptFixed(vector, level);
      }
    }
    return true;
  }

  private boolean acceptFixed(int vector, boolean level) {
    if (!softwareEnabled()) {
      return false;
    }
    if (vector < FIRST_LEGAL_VECTOR) {
      error(ERROR_RECEIVE_ILLEGAL_VECTOR);
      return true;
    }
    irr.add(vector);
    tmr.assign(vector, level);
    update();
    return true;
  }

  // Time

  @Override
  public long nextDeadlineNanos() {
    return timer.nextDeadlineNanos();
  }

  @Override
  public void advance(long nowNanos) {
    if (timer.expire(nowNanos) && !lvt.masked(LocalVectorTable.TIMER)) {
      accept(DeliveryMode.FIXED, lvt.vector(LocalVectorTable.TIMER), false);
    }
  }

  // Registers

  @Override
  public long read(long offset, int sizeBytes) {
    if (!globallyEnabled()) {
      return -1;
    }
    if ((offset & 0xC) != 0) {
      return 0;
    }
    int value = readRegister((int) offset & 0xFF0);
    return Integer.toUnsignedLong(value) >>> 8 * (offset & 3);
  }

  @Override
  public void write(long offset, int sizeBytes, long value) {
    if (globallyEnabled() && (offset & 0xF) == 0) {
      writeRegister((int) offset, (int) value);
    }
  }

  private int readRegister(int register) {
    return switch (register) {
      case ApicRegister.ID -> id << 24;
      case ApicRegister.VERSION -> VERSION;
      case ApicRegister.TASK_PRIORITY -> taskPriority;
      case ApicRegister.ARBITRATION_PRIORITY, ApicRegister.PROCESSOR_PRIORITY ->
          processorPriority();
      case ApicRegister.LOGICAL_DESTINATION -> logicalDestination;
      case ApicRegister.DESTINATION_FORMAT -> destinationFormat;
      case ApicRegister.SPURIOUS -> spurious;
      case ApicRegister.ERROR_STATUS -> errorStatus;
      case ApicRegister.ICR_LOW -> icrLow;
      case ApicRegister.ICR_HIGH -> icrHigh;
      case ApicRegister.INITIAL_COUNT -> (int) timer.initialCount();
      case ApicRegister.CURRENT_COUNT -> (int) timer.currentCount();
      case ApicRegister.DIVIDE -> timer.divideConfiguration();
      default -> readArray(register);
    };
  }

  private int readArray(int register) {
    int index = register >> 4 & 7;
    return switch (register & 0xF80) {
      case ApicRegister.ISR -> isr.word(index);
      case ApicRegister.TMR -> tmr.word(index);
      case ApicRegister.IRR -> irr.word(index);
      default -> {
        int entry = ApicRegister.lvtIndex(register);
        if (entry >= 0) {
          yield lvt.entry(entry);
        }
        if (!ApicRegister.writeOnly(register)) {
          error(ERROR_ILLEGAL_REGISTER);
        }
        yield 0;
      }
    };
  }

  private void writeRegister(int register, int value) {
    switch (register) {
      case ApicRegister.ID -> id = value >>> 24;
      case ApicRegister.TASK_PRIORITY -> taskPriority = value & 0xFF;
      case ApicRegister.EOI -> endOfInterrupt();
      case ApicRegister.LOGICAL_DESTINATION -> logicalDestination = value & 0xFF00_0000;
      case ApicRegister.DESTINATION_FORMAT -> destinationFormat = value | 0x0FFF_FFFF;
      case ApicRegister.SPURIOUS -> writeSpurious(value);
      case ApicRegister.ERROR_STATUS -> {
        errorStatus = pendingErrors;
        pendingErrors = 0;
      }
      case ApicRegister.ICR_LOW -> {
        icrLow = value & ICR_WRITABLE;
        sendInterprocessorInterrupt();
      }
      case ApicRegister.ICR_HIGH -> icrHigh = value & 0xFF00_0000;
      case ApicRegister.INITIAL_COUNT -> timer.setInitialCount(Integer.toUnsignedLong(value));
      case ApicRegister.DIVIDE -> timer.setDivideConfiguration(value);
      default -> writeLocalVector(register, value);
    }
    update();
  }

  private void writeLocalVector(int register, int value) {
    int entry = ApicRegister.lvtIndex(register);
    if (entry >= 0) {
      lvt.write(entry, value, softwareEnabled());
      if (entry == LocalVectorTable.TIMER) {
        timer.setMode(lvt.timerMode());
      }
    } else if (!ApicRegister.readOnly(register)) {
      error(ERROR_ILLEGAL_REGISTER);
    }
  }

  private void writeSpurious(int value) {
    spurious = value & 0x3FF;
    if (!softwareEnabled()) {
      lvt.maskAll();
    }
  }

  private void endOfInterrupt() {
    int vector = isr.highest();
    if (vector < 0) {
      return;
    }
    isr.remove(vector);
    update();
    if (tmr.contains(vector)) {
      bus.endOfInterrupt(vector);
    }
  }

  /** Writing the low half of the ICR sends; SDM volume 3, 11.6.1. */
  private void sendInterprocessorInterrupt() {
    int vector = icrLow & 0xFF;
    int mode = icrLow >> 8 & 7;
    boolean deassert = (icrLow & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL;
    if (mode == DeliveryMode.INIT && deassert) {
      return;
    }
    if (mode <= DeliveryMode.LOWEST_PRIORITY && vector < FIRST_LEGAL_VECTOR) {
      error(ERROR_SEND_ILLEGAL_VECTOR);
      return;
    }
    switch (icrLow >> 18 & 3) {
      case 0 -> bus.deliver(icrHigh >>> 24, (icrLow & ICR_LOGICAL) != 0, mode, vector, false, null);
      case 1 -> accept(mode, vector, false);
      case 2 -> bus.deliver(0xFF, false, mode, vector, false, null);
      default -> bus.deliver(0xFF, false, mode, vector, false, this);
    }
  }

  private void error(int bit) {
    boolean first = (pendingErrors & bit) == 0;
    pendingErrors |= bit;
    int vector = lvt.vector(LocalVectorTable.ERROR);
    // An error vector that is itself illegal must not report itself for ever.
    if (first && !lvt.masked(LocalVectorTable.ERROR) && vector >= FIRST_LEGAL_VECTOR) {
      acceptFixed(vector, false);
    }
  }

  // Priorities

  /** SDM volume 3, 11.8.3.1. */
  int processorPriority() {
    int servicing = Math.max(isr.highest(), 0) & 0xF0;
    return (taskPriority & 0xF0) >= servicing ? taskPriority : servicing;
  }

  private int deliverableVector() {
    int vector = irr.highest();
    boolean deliverable =
        vector >= 0 && softwareEnabled() && vector >> 4 > processorPriority() >> 4;
    return deliverable ? vector : -1;
  }

  /** Whether the 8259A pair's request reaches the processor: no priority holds it back. */
  private boolean externalPending() {
    if (!globallyEnabled()) {
      return lint0;
    }
    boolean wired =
        !lvt.masked(LocalVectorTable.LINT0)
            && lvt.deliveryMode(LocalVectorTable.LINT0) == DeliveryMode.EXT_INT;
    return externalMessage || lint0 && wired;
  }

  private void update() {
    boolean now = deliverableVector() >= 0 || externalPending();
    boolean rising = now && !pending;
    pending = now;
    if (rising) {
      events.interruptRequested();
    }
  }
}
