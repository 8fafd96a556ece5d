package memvisor.app.cli.run;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import memvisor.machine.pc.PcMachine;

/**
 * Sends standard input to the guest's serial port. On a terminal Ctrl-A is the escape, as in QEMU:
 * then x ends the run, a sends Ctrl-A itself.
 */
final class KeyboardInput implements Runnable {
  private static final int ESCAPE = 1;
  private static final int BUFFER_BYTES = 256;

  private final InputStream in;
  private final PcMachine machine;
  private final boolean terminal;
  private boolean escaped;

  KeyboardInput(InputStream in, PcMachine machine, boolean terminal) {
    this.in = in;
    this.machine = machine;
    this.terminal = terminal;
  }

  /** Starts reading on a thread of its own, which does not keep the program alive. */
  void start() {
    Thread.ofPlatform().daemon().name("standard input").start(this);
  }

  @Override
  public void run() {
    byte[] buffer = new byte[BUFFER_BYTES];
    try {
      for (int count = in.read(buffer); count > 0; count = in.read(buffer)) {
        byte[] keys = Arrays.copyOf(buffer, count);
        machine.sendSerial(terminal ? withoutEscapes(keys) : keys);
      }
    } catch (IOException gone) {
      // Standard input is closed: the guest gets no more keys, and runs on.
      return;
    }
  }

  private byte[] withoutEscapes(byte[] keys) {
    byte[] kept = new byte[keys.length];
    int count = 0;
    for (byte key : keys) {
      if (escaped) {
        escaped = false;
        switch (key) {
          case 'x' -> machine.stop();
          case 'a', ESCAPE -> kept[count++] = ESCAPE;
          default -> System.err.print("\r\nCtrl-A x ends the run, Ctrl-A a sends Ctrl-A\r\n");
        }
      } else if (key == ESCAPE) {
        escaped = true;
      } else {
        kept[count++] = key;
      }
    }
    return Arrays.copyOf(kept, count);
  }
}
