package memvisor.device.pc;

import memvisor.device.Frequency;
import memvisor.device.InterruptLine;
import memvisor.device.PortDevice;
import memvisor.device.TimedDevice;
import memvisor.device.VmClock;

/**
 * The interval timer at ports 40h to 43h and the port that gates its third channel, 61h: Intel
 * 8254. Channel 0 drives ISA interrupt 0, channel 1 nothing, channel 2 the speaker nobody hears.
 *
 * <p>Nothing is counted: a channel's value and output are computed from the VM's clock.
 */
public final class Pit8254 implements PortDevice, TimedDevice {
  /** Its first port. */
  public static final int FIRST_PORT = 0x40;

  /** The number of its ports from {@link #FIRST_PORT}. */
  public static final int PORT_COUNT = 4;

  /** System control port B: gate and output of channel 2. */
  public static final int CONTROL_B_PORT = 0x61;

  /** The ISA interrupt of channel 0. */
  public static final int IRQ = 0;

  private static final Frequency INPUT = new Frequency(1_193_182);
  private static final int CONTROL_PORT = FIRST_PORT + 3;
  private static final int READ_BACK = 3;
  private static final int SPEAKER_GATE = 1;
  private static final int SPEAKER_BITS = 3;
  private static final int REFRESH_BIT = 0x10;
  private static final int OUTPUT_BIT = 0x20;
  // The refresh request toggles every 15 microseconds.
  private static final long REFRESH_NANOS = 15_085;

  private final VmClock clock;
  private final InterruptLine interrupt;
  private final PitChannel[] channels = {
    new PitChannel(true), new PitChannel(true), new PitChannel(false)
  };
  private int speaker;
  private long nextRiseTick = NEVER;

  /** A timer whose channels wait to be programmed. */
  public Pit8254(VmClock clock, InterruptLine interrupt) {
    this.clock = clock;
    this.interrupt = interrupt;
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    long tick = tick();
    if (port == CONTROL_B_PORT) {
      boolean refresh = clock.nanos() / REFRESH_NANOS % 2 != 0;
      return speaker
          | (refresh ? REFRESH_BIT : 0)
          | (channels[2].counter.output(tick) ? OUTPUT_BIT : 0);
    }
    return port == CONTROL_PORT ? 0xFF : channels[port - FIRST_PORT].read(tick);
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    advance(clock.nanos());
    long tick = tick();
    if (port == CONTROL_B_PORT) {
      speaker = value & SPEAKER_BITS;
      channels[2].counter.setGate((value & SPEAKER_GATE) != 0, tick);
    } else if (port == CONTROL_PORT) {
      writeControl(value, tick);
    } else {
      channels[port - FIRST_PORT].write(value, tick);
    }
    // Reprogramming may move the output at once: a wire that rises here interrupts too.
    interrupt.set(channels[0].counter.output(tick));
    nextRiseTick = channels[0].counter.nextRise(tick);
  }

  private void writeControl(int word, long tick) {
    int select = word >> 6;
    if (select == READ_BACK) {
      readBack(word, tick);
    } else if ((word >> 4 & 3) == 0) {
      channels[select].latchCount(tick);
    } else {
      channels[select].control(word);
    }
  }

  /** 8254, "read-back command": bits 5 and 4 are active low. */
  private void readBack(int word, long tick) {
    for (int i = 0; i < channels.length; i++) {
      if ((word & 2 << i) != 0) {
        if ((word & 0x20) == 0) {
          channels[i].latchCount(tick);
        }
        if ((word & 0x10) == 0) {
          channels[i].latchStatus(tick);
        }
      }
    }
  }

  private long tick() {
    return INPUT.ticksAt(clock.nanos());
  }

  @Override
  public long nextDeadlineNanos() {
    return nextRiseTick == NEVER ? NEVER : INPUT.nanosAt(nextRiseTick);
  }

  @Override
  public void advance(long nowNanos) {
    long tick = INPUT.ticksAt(nowNanos);
    if (tick < nextRiseTick) {
      return;
    }
    // Only rising edges matter to either controller, so the falling ones are not waited for.
    interrupt.lower();
    interrupt.raise();
    interrupt.set(channels[0].counter.output(tick));
    nextRiseTick = channels[0].counter.nextRise(tick);
  }
}
