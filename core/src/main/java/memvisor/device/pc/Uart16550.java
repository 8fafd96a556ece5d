package memvisor.device.pc;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import memvisor.device.ByteSink;
import memvisor.device.Frequency;
import memvisor.device.InterruptLine;
import memvisor.device.PortDevice;
import memvisor.device.TimedDevice;
import memvisor.device.VmClock;

/**
 * A serial port: PC16550D with its 16-byte FIFOs.
 *
 * <p>A byte written is sent at once, so the transmitter is always empty; input waits in a queue of
 * any length and enters the receive FIFO as there is room, so it never overruns. The interrupt
 * output is not gated by OUT2, because emulators do not and some small kernels rely on that.
 */
public final class Uart16550 implements PortDevice, TimedDevice {
  /** The ports of the first serial port of a PC. */
  public static final int COM1_PORT = 0x3F8;

  /** Its ISA interrupt. */
  public static final int COM1_IRQ = 4;

  /** The number of its ports. */
  public static final int PORT_COUNT = 8;

  /** 1.8432 MHz / 16: one tick of the undivided baud clock. */
  private static final long BAUD_CLOCK_HZ = 115_200;

  private static final int BITS_PER_CHARACTER = 10;
  private static final int TIMEOUT_CHARACTERS = 4;

  /** Bytes in the FIFO that interrupt, by the two top bits of the FIFO control register. */
  private static final int[] TRIGGER_LEVELS = {1, 4, 8, 14};

  private static final int IER_RECEIVED = 1;
  private static final int IER_TRANSMITTER_EMPTY = 2;
  private static final int IER_LINE_STATUS = 4;
  private static final int IER_MODEM_STATUS = 8;
  private static final int IIR_NONE = 1;
  private static final int IIR_MODEM_STATUS = 0;
  private static final int IIR_TRANSMITTER_EMPTY = 2;
  private static final int IIR_RECEIVED = 4;
  private static final int IIR_LINE_STATUS = 6;
  private static final int IIR_TIMEOUT = 0xC;
  private static final int IIR_FIFO_ENABLED = 0xC0;
  private static final int FCR_ENABLE = 1;
  private static final int FCR_CLEAR_RECEIVE = 2;
  private static final int LCR_DIVISOR_LATCH = 0x80;
  private static final int MCR_LOOPBACK = 0x10;
  private static final int LSR_DATA_READY = 1;
  private static final int LSR_OVERRUN = 2;
  private static final int LSR_TRANSMITTER_EMPTY = 0x60;
  private static final int MSR_TRAILING_RING = 4;

  /** DCD, DSR and CTS: a terminal is connected and ready. */
  private static final int MSR_CONNECTED = 0xB0;

  private final int basePort;
  private final VmClock clock;
  private final ByteSink output;
  private final InterruptLine interrupt;
  private final Runnable inputArrived;

  /** More than anybody types or pastes. */
  private static final long MOST_WAITING_BYTES = 16 << 20;

  private final ConcurrentLinkedQueue<byte[]> input = new ConcurrentLinkedQueue<>();
  private final AtomicLong waitingBytes = new AtomicLong();
  private byte[] chunk = {};
  private int chunkOffset;

  private final ReceiveFifo fifo = new ReceiveFifo();
  private int divisor = 12;
  private int interruptEnable;
  private int fifoControl;
  private int lineControl;
  private int modemControl;
  private int modemDelta;
  private int modemInputs = MSR_CONNECTED;
  private int scratch;
  private boolean overrun;
  private boolean transmitterPending;
  private boolean timeoutPending;
  private long timeoutAtNanos = NEVER;

  /**
   * A serial port after reset.
   *
   * @param basePort its first port
   * @param clock the VM's clock, for the receive timeout
   * @param output where sent bytes go
   * @param interrupt its interrupt output
   * @param inputArrived called from the thread that calls {@link #receive}, to wake a waiting VM
   */
  public Uart16550(
      int basePort,
      VmClock clock,
      ByteSink output,
      InterruptLine interrupt,
      Runnable inputArrived) {
    this.basePort = basePort;
    this.clock = clock;
    this.output = output;
    this.interrupt = interrupt;
    this.inputArrived = inputArrived;
  }

  /**
   * Queues bytes from the outside world; may be called from any thread. What a guest does not take
   * is lost once very much of it waits.
   */
  public void receive(byte[] bytes) {
    if (bytes.length > 0 && waitingBytes.get() < MOST_WAITING_BYTES) {
      waitingBytes.addAndGet(bytes.length);
      input.add(bytes.clone());
      inputArrived.run();
    }
  }

  // Time

  @Override
  public long nextDeadlineNanos() {
    if (inputWaiting() && acceptsInput()) {
      return 0;
    }
    return timeoutAtNanos;
  }

  @Override
  public void advance(long nowNanos) {
    takeInput();
    if (nowNanos >= timeoutAtNanos) {
      timeoutPending = true;
      timeoutAtNanos = NEVER;
    }
    update();
  }

  // Registers

  @Override
  public int readPort(int port, int sizeBytes) {
    takeInput();
    int value =
        switch (port - basePort) {
          case 0 -> divisorLatch() ? divisor & 0xFF : readReceiver();
          case 1 -> divisorLatch() ? divisor >> 8 : interruptEnable;
          case 2 -> readInterruptIdentification();
          case 3 -> lineControl;
          case 4 -> modemControl;
          case 5 -> readLineStatus();
          case 6 -> readModemStatus();
          default -> scratch;
        };
    update();
    return value;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    switch (port - basePort) {
      case 0 -> writeData(value);
      case 1 -> writeInterruptEnable(value);
      case 2 -> writeFifoControl(value);
      case 3 -> lineControl = value;
      case 4 -> writeModemControl(value);
      case 7 -> scratch = value;
      // The line and modem status registers are for reading.
      default -> {}
    }
    takeInput();
    update();
  }

  private void writeData(int value) {
    if (divisorLatch()) {
      divisor = divisor & 0xFF00 | value;
      return;
    }
    if (loopback()) {
      receiveOne(value);
    } else {
      output.accept(value);
    }
    // Sent at once: writing resets the indication, being empty again sets it.
    transmitterPending = true;
  }

  private void writeInterruptEnable(int value) {
    if (divisorLatch()) {
      divisor = divisor & 0xFF | value << 8;
      return;
    }
    boolean enabling = (value & ~interruptEnable & IER_TRANSMITTER_EMPTY) != 0;
    interruptEnable = value & 0xF;
    if (enabling) {
      transmitterPending = true;
    }
  }

  private void writeFifoControl(int value) {
    boolean switched = ((value ^ fifoControl) & FCR_ENABLE) != 0;
    if (switched || (value & FCR_CLEAR_RECEIVE) != 0) {
      fifo.clear();
      received();
    }
    // PC16550D 8.4: the other bits are not programmed unless FIFO enable is set too.
    fifoControl = (value & FCR_ENABLE) != 0 ? value & 0xC9 : 0;
  }

  private void writeModemControl(int value) {
    modemControl = value & 0x1F;
    int inputs = MSR_CONNECTED;
    if (loopback()) {
      // DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
      inputs = (value & 1) << 5 | (value & 2) << 3 | (value & 4) << 4 | (value & 8) << 4;
    }
    int changed = inputs ^ modemInputs;
    modemDelta |= changed >> 4 & ~MSR_TRAILING_RING;
    modemDelta |= (changed & modemInputs) >> 4 & MSR_TRAILING_RING;
    modemInputs = inputs;
  }

  private int readReceiver() {
    int value = fifo.remove();
    received();
    takeInput();
    return value;
  }

  private int readInterruptIdentification() {
    int source = interruptSource();
    if (source == IIR_TRANSMITTER_EMPTY) {
      transmitterPending = false;
    }
    return source | (fifoEnabled() ? IIR_FIFO_ENABLED : 0);
  }

  private int readLineStatus() {
    int value =
        LSR_TRANSMITTER_EMPTY | (fifo.isEmpty() ? 0 : LSR_DATA_READY) | (overrun ? LSR_OVERRUN : 0);
    overrun = false;
    return value;
  }

  private int readModemStatus() {
    int value = modemInputs | modemDelta;
    modemDelta = 0;
    return value;
  }

  // Receiver

  private boolean inputWaiting() {
    return chunkOffset < chunk.length || !input.isEmpty();
  }

  private boolean acceptsInput() {
    return !loopback() && fifo.size() < capacity();
  }

  private int capacity() {
    return fifoEnabled() ? ReceiveFifo.CAPACITY : 1;
  }

  private void takeInput() {
    while (acceptsInput() && inputWaiting()) {
      if (chunkOffset == chunk.length) {
        byte[] next = input.poll();
        waitingBytes.addAndGet(next == null ? 0 : -next.length);
        chunk = next == null ? chunk : next;
        chunkOffset = 0;
      }
      receiveOne(chunk[chunkOffset++] & 0xFF);
    }
  }

  private void receiveOne(int value) {
    if (fifo.size() == capacity()) {
      // Without FIFO the new byte replaces the old one; with it, the new one is lost.
      overrun = true;
      if (fifoEnabled()) {
        return;
      }
      fifo.clear();
    }
    fifo.add(value);
    received();
  }

  /** Restarts the timeout of PC16550D 8.6, which runs while an enabled FIFO holds something. */
  private void received() {
    timeoutPending = false;
    boolean running = fifoEnabled() && !fifo.isEmpty();
    timeoutAtNanos = running ? clock.nanos() + timeoutNanos() : NEVER;
  }

  private long timeoutNanos() {
    long bits = (long) TIMEOUT_CHARACTERS * BITS_PER_CHARACTER * Math.max(divisor, 1);
    return new Frequency(BAUD_CLOCK_HZ).nanosAt(bits);
  }

  private boolean triggerReached() {
    return fifo.size() >= (fifoEnabled() ? TRIGGER_LEVELS[fifoControl >> 6] : 1);
  }

  // Interrupt

  /** The highest source that is pending and enabled; PC16550D table V. */
  private int interruptSource() {
    if ((interruptEnable & IER_LINE_STATUS) != 0 && overrun) {
      return IIR_LINE_STATUS;
    }
    if ((interruptEnable & IER_RECEIVED) != 0) {
      if (triggerReached()) {
        return IIR_RECEIVED;
      }
      if (timeoutPending) {
        return IIR_TIMEOUT;
      }
    }
    if ((interruptEnable & IER_TRANSMITTER_EMPTY) != 0 && transmitterPending) {
      return IIR_TRANSMITTER_EMPTY;
    }
    if ((interruptEnable & IER_MODEM_STATUS) != 0 && modemDelta != 0) {
      return IIR_MODEM_STATUS;
    }
    return IIR_NONE;
  }

  private void update() {
    interrupt.set(interruptSource() != IIR_NONE);
  }

  private boolean divisorLatch() {
    return (lineControl & LCR_DIVISOR_LATCH) != 0;
  }

  private boolean fifoEnabled() {
    return (fifoControl & FCR_ENABLE) != 0;
  }

  private boolean loopback() {
    return (modemControl & MCR_LOOPBACK) != 0;
  }
}
