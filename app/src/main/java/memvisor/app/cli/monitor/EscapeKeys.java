package memvisor.app.cli.monitor;

import java.io.ByteArrayOutputStream;
import java.util.function.Consumer;

/**
 * Finds the escape, Ctrl-A, among the keys typed on a serial console, as in QEMU: Ctrl-A c changes
 * between console and monitor, Ctrl-A x ends the run, Ctrl-A h shows these keys, Ctrl-A a (or
 * Ctrl-A twice) is Ctrl-A itself. Any other key after the escape is dropped with it.
 */
public final class EscapeKeys {
  /** Ctrl-A. */
  public static final int ESCAPE = 1;

  /** What a key after the escape asks for. */
  public enum Request {
    /** Change between console and monitor. */
    TOGGLE,
    /** End the run. */
    QUIT,
    /** Show the keys. */
    HELP
  }

  private boolean escaped;

  /**
   * Takes keys as they come, in pieces of any size.
   *
   * @param keys takes each run of ordinary keys
   * @param requests takes what was asked for, after the keys before it
   */
  public void accept(byte[] typed, Consumer<byte[]> keys, Consumer<Request> requests) {
    ByteArrayOutputStream kept = new ByteArrayOutputStream(typed.length);
    for (byte key : typed) {
      if (!escaped) {
        escaped = key == ESCAPE;
        if (!escaped) {
          kept.write(key);
        }
        continue;
      }
      escaped = false;
      if (key == 'a' || key == ESCAPE) {
        kept.write(ESCAPE);
      } else {
        flush(kept, keys);
        request(key, requests);
      }
    }
    flush(kept, keys);
  }

  private static void flush(ByteArrayOutputStream kept, Consumer<byte[]> keys) {
    if (kept.size() > 0) {
      keys.accept(kept.toByteArray());
      kept.reset();
    }
  }

  private static void request(byte key, Consumer<Request> requests) {
    switch (key) {
      case 'c' -> requests.accept(Request.TOGGLE);
      case 'x' -> requests.accept(Request.QUIT);
      case 'h', '?' -> requests.accept(Request.HELP);
      default -> {
        // Not a key of ours: dropped.
      }
    }
  }
}
