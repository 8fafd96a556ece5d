package memvisor.bench;

import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import memvisor.machine.fleet.ConsoleLog;
import memvisor.machine.fleet.Vm;

/** What one guest of the campaign said about its data. Of the campaign's thread only. */
final class EnduranceGuest {
  private static final Pattern VERIFIED = Pattern.compile("@@verified \\S+ (\\d+)");
  private static final Pattern CORRUPT = Pattern.compile("@@CORRUPT .*");
  private static final int MOST = 1 << 16;

  private final Vm vm;
  private final StringBuilder line = new StringBuilder();
  private long position;
  private long verified;
  private boolean ready;
  private long progressNanos = System.nanoTime();
  private String corruption = "";

  EnduranceGuest(Vm vm) {
    this.vm = vm;
  }

  Vm vm() {
    return vm;
  }

  /** Rounds of checks that all came out right. */
  long verified() {
    return verified;
  }

  /** Whether it was started and has not written its data yet. */
  boolean isBooting() {
    return vm.starts() > 0 && !ready;
  }

  /** Whether it has written its data. */
  boolean isReady() {
    return ready;
  }

  /** What it found corrupted; empty if nothing. */
  String corruption() {
    return corruption;
  }

  /** Seconds since it last finished a round of checks. */
  double quietSeconds() {
    return (System.nanoTime() - progressNanos) / 1e9;
  }

  /** Reads on in its console. */
  void listen() throws InterruptedException {
    while (true) {
      ConsoleLog.Part part = vm.console().read(position, MOST, 0);
      position = part.next();
      if (part.bytes().length == 0) {
        return;
      }
      for (char c : new String(part.bytes(), StandardCharsets.ISO_8859_1).toCharArray()) {
        if (c == '\n') {
          heard(line.toString());
          line.setLength(0);
        } else {
          line.append(c);
        }
      }
    }
  }

  private void heard(String text) {
    Matcher round = VERIFIED.matcher(text);
    if (round.find()) {
      verified = Long.parseLong(round.group(1));
      progressNanos = System.nanoTime();
    }
    ready |= text.contains("@@ready");
    Matcher corrupt = CORRUPT.matcher(text);
    if (corrupt.find() && corruption.isEmpty()) {
      corruption = corrupt.group();
    }
  }
}
