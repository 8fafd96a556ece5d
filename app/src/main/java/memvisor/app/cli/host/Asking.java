package memvisor.app.cli.host;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.function.Function;
import tools.jackson.databind.JsonNode;

/** What the commands ask a running host, and how its answers read. */
public final class Asking {
  private static final long BALLOON_MILLIS = 250;

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

  /** Where memory is: that of a VM, or of all. */
  public String ledger(Optional<String> vm) {
    return vm.isPresent()
        ? ask(Request.of("ledger", vm.get()), r -> ControlClient.as(r, VmLedgerView.class).text())
        : ask(Request.of("ledger"), r -> ControlClient.as(r, LedgerView.class).text());
  }

  /** What was counted: of a VM, or of the host. */
  public String stat(Optional<String> vm) {
    Request request = vm.map(name -> Request.of("stat", name)).orElseGet(() -> Request.of("stat"));
    return ask(request, result -> ControlClient.as(result, StatView.class).text());
  }

  /** All about an address of a VM. */
  public String explain(String vm, long gva) {
    return ask(
        Request.of("explain", vm).with(Request.ADDRESS, gva),
        result -> ControlClient.as(result, ExplainView.class).wholeText());
  }

  /** What a VM spends its time on. */
  public String whySlow(String vm) {
    return ask(
        Request.of("why-slow", vm), result -> ControlClient.as(result, SlowView.class).text());
  }

  /**
   * Leaves a VM so much memory, if a size is given, and waits until it is so.
   *
   * @param progress takes what there is to say meanwhile
   */
  public String balloon(String vm, OptionalLong bytes, Duration most, Consumer<String> progress)
      throws InterruptedException {
    Request asked = Request.of("balloon", vm);
    try (ControlClient client = ControlClient.connect(socket)) {
      JsonNode result =
          client.ask(bytes.isPresent() ? asked.with(Request.BYTES, bytes.getAsLong()) : asked);
      BalloonAnswer answer = ControlClient.as(result, BalloonAnswer.class);
      long deadline = System.nanoTime() + most.toNanos();
      boolean wait = bytes.isPresent();
      while (wait && !answer.isDone() && !answer.isHopeless() && System.nanoTime() < deadline) {
        Thread.sleep(BALLOON_MILLIS);
        result = client.ask(asked);
        answer = ControlClient.as(result, BalloonAnswer.class);
        progress.accept(answer.text().strip());
      }
      return json ? ControlClient.json(result) : answer.text();
    }
  }

  private static String changed(JsonNode result) {
    return ControlClient.as(result, HostControl.Changed.class).text();
  }
}
