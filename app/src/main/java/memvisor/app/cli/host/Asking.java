package memvisor.app.cli.host;

import java.nio.file.Path;
import java.util.function.Function;
import tools.jackson.databind.JsonNode;

/** What the commands ask a running host, and how its answers read. */
public final class Asking {
  private final Path socket;
  private final boolean json;

  /** Asks the host that listens at {@code socket}; answers in JSON or as text. */
  public Asking(Path socket, boolean json) {
    this.socket = socket;
    this.json = json;
  }

  private String ask(Request request, Function<JsonNode, String> text) {
    try (ControlClient client = ControlClient.connect(socket)) {
      JsonNode result = client.ask(request);
      return json ? ControlClient.json(result) : text.apply(result);
    }
  }

  /** The VMs at a glance. */
  public String ps() {
    return ask(Request.of("ps"), result -> ControlClient.as(result, HostView.class).text());
  }

  /** Starts, pauses or resumes a VM. */
  public String change(String command, String vm) {
    return ask(Request.of(command, vm), Asking::changed);
  }

  /** Stops a VM, which has so many seconds to heed its power button. */
  public String stop(String vm, long graceSeconds) {
    return ask(Request.of("stop", vm).with(Request.GRACE_SECONDS, graceSeconds), Asking::changed);
  }

  private static String changed(JsonNode result) {
    return ControlClient.as(result, HostControl.Changed.class).text();
  }
}
