package memvisor.machine.xen;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import memvisor.device.ByteSink;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/** The PV console: two rings in one page of the guest's (public/io/console.h). */
final class PvConsole {
  private static final int IN_BYTES = 1024;
  private static final int OUT = 1024;
  private static final int OUT_BYTES = 2048;
  private static final int IN_CONSUMER = 3072;
  private static final int IN_PRODUCER = 3076;
  private static final int OUT_CONSUMER = 3080;
  private static final int OUT_PRODUCER = 3084;

  private final ByteSink output;
  private final long ringHva;
  private final Queue<Byte> input = new ConcurrentLinkedQueue<>();

  PvConsole(ByteSink output, MachineMemory machine, long ringMfn) {
    this.output = output;
    ringHva = machine.hva(ringMfn << 12);
  }

  /** Takes what the guest has written. */
  void drain() {
    int producer = Hva.readInt(ringHva + OUT_PRODUCER);
    int consumer = Hva.readInt(ringHva + OUT_CONSUMER);
    int count = Math.min(producer - consumer, OUT_BYTES);
    for (int i = 0; i < count; i++) {
      output.accept(Hva.readByte(ringHva + OUT + (consumer + i & OUT_BYTES - 1)));
    }
    Hva.writeInt(ringHva + OUT_CONSUMER, producer);
  }

  /** Queues bytes for the guest; from any thread. */
  void type(byte[] bytes) {
    for (byte b : bytes) {
      input.add(b);
    }
  }

  /**
   * Takes a byte that was typed, for a guest that asks for it by hypercall; -1 if there is none.
   */
  int next() {
    Byte next = input.poll();
    return next == null ? -1 : next & 0xFF;
  }

  boolean hasInput() {
    return !input.isEmpty();
  }

  /** Moves queued bytes into the ring; whether there were any. */
  boolean feed() {
    int producer = Hva.readInt(ringHva + IN_PRODUCER);
    int consumer = Hva.readInt(ringHva + IN_CONSUMER);
    boolean any = false;
    while (producer - consumer >= 0 && producer - consumer < IN_BYTES) {
      Byte next = input.poll();
      if (next == null) {
        break;
      }
      Hva.writeByte(ringHva + (producer & IN_BYTES - 1), next);
      producer++;
      any = true;
    }
    Hva.writeInt(ringHva + IN_PRODUCER, producer);
    return any;
  }
}
