package memvisor.app.cli.host;

import java.io.PrintStream;
import java.util.HashMap;
import java.util.Map;
import memvisor.host.policy.MemoryState;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;

/**
 * What is going on, about once a second: a table that is redrawn on a terminal; elsewhere a line
 * for each VM that changes its state.
 */
final class LiveView {
  private static final String HOME = "\u001b[H";
  private static final String CLEAR_LINE = "\u001b[K";
  private static final String CLEAR_REST = "\u001b[J";
  private static final int DECISIONS = 5;
  private static final String KEYS = "Ctrl-C ends the host and all VMs.\n";

  private final VmHost host;
  private final PrintStream out;
  private final boolean terminal;
  private final Map<String, String> shown = new HashMap<>();

  LiveView(VmHost host, PrintStream out, boolean terminal) {
    this.host = host;
    this.out = out;
    this.terminal = terminal;
  }

  /** Shows until the program is ended. */
  void show(long everyMillis) throws InterruptedException {
    while (true) {
      if (terminal) {
        // Line over line: clearing the whole screen first would have it flicker.
        String text = HostView.of(host).text() + lately() + KEYS;
        out.print(HOME + text.replace("\n", CLEAR_LINE + "\n") + CLEAR_REST);
        out.flush();
      } else {
        host.vms().forEach(this::announce);
      }
      Thread.sleep(everyMillis);
    }
  }

  private String lately() {
    StringBuilder text = new StringBuilder();
    host.policy().ifPresent(policy -> text.append("memory is " + inWords(policy.state()) + "\n"));
    Decisions.latest(host, DECISIONS).forEach(line -> text.append(line).append('\n'));
    return text.toString();
  }

  /** The states by what they mean: high is the mark that free memory stands above. */
  private static String inWords(MemoryState state) {
    return switch (state) {
      case HIGH -> "plentiful (state high)";
      case SOFT -> "getting short: balloons are asked for some (state soft)";
      case HARD -> "short: pages are compressed and swapped (state hard)";
      case LOW -> "nearly exhausted: pages are taken from whoever has them (state low)";
    };
  }

  private void announce(Vm vm) {
    HostControl.Changed now = HostControl.Changed.of(vm);
    String before = shown.put(vm.name(), now.state());
    if (!now.state().equals(before)) {
      out.print(now.text());
      out.flush();
    }
  }
}
