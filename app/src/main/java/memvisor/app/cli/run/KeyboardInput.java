package memvisor.app.cli.run;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.function.Consumer;

/** Reads standard input as it comes and hands it on. */
final class KeyboardInput implements Runnable {
  private static final int BUFFER_BYTES = 256;

  private final InputStream in;
  private final Consumer<byte[]> keys;

  KeyboardInput(InputStream in, Consumer<byte[]> keys) {
    this.in = in;
    this.keys = keys;
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
        keys.accept(Arrays.copyOf(buffer, count));
      }
    } catch (IOException gone) {
      // Standard input is closed: the guest gets no more keys, and runs on.
      return;
    }
  }
}
