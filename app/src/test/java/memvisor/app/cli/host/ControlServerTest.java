package memvisor.app.cli.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import memvisor.app.cli.CommandFailure;
import memvisor.boot.BootRequest;
import memvisor.host.HostMemory;
import memvisor.host.dedup.DedupOptions;
import memvisor.host.policy.PolicyOptions;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.lab.Workload;
import memvisor.lab.WorkloadParameters;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.fleet.Vm;
import memvisor.machine.fleet.VmHost;
import memvisor.machine.fleet.VmSpec;
import memvisor.machine.fleet.VmState;
import memvisor.machine.pc.PcConfiguration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The control socket of a host, and what strangers may send it. */
@Timeout(120)
final class ControlServerTest {
  private static final long MIB = 1L << 20;
  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  @TempDir private Path directory = Path.of("");
  private Optional<VmHost> host = Optional.empty();
  private Optional<ControlServer> server = Optional.empty();

  @BeforeEach
  void startHost() throws InterruptedException {
    HostMemory memory = HostMemory.create(64 * MIB);
    memory
        .enableReclaim(
            ReclaimOptions.none(64 * MIB).withDedup(DedupOptions.ON).withCompression(true))
        .enablePolicy(PolicyOptions.DEFAULT);
    VmHost made = new VmHost(memory);
    for (String name : List.of("one", "two")) {
      WorkloadParameters endless = new WorkloadParameters(256, 100_000_000, 1);
      made.add(
          VmSpec.of(
                  name,
                  PcConfiguration.of(32 * MIB, TechniqueKind.NESTED, ClockMode.REAL),
                  BootRequest.of(BuiltinGuest.image(Workload.RANDOM_UPDATE, endless)))
              .withTrustDomain("tests"));
    }
    Vm one = made.vms().getFirst();
    one.start();
    one.awaitStarted();
    host = Optional.of(made);
    server = Optional.of(ControlServer.open(socket(), made));
  }

  @AfterEach
  void end() {
    server.ifPresent(ControlServer::close);
    host.ifPresent(VmHost::close);
    assertThat(socket()).doesNotExist();
  }

  /** Until one has run for long enough to be asked what it did. */
  private void awaitHistory() throws InterruptedException {
    while (host.orElseThrow().vms().getFirst().history().size() < 3) {
      Thread.sleep(20);
    }
  }

  private Path socket() {
    return directory.resolve("s");
  }

  private Asking asking(boolean json) {
    return new Asking(socket(), json);
  }

  private static void write(SocketChannel channel, byte[] bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }

  private static String readLine(SocketChannel channel) throws IOException {
    StringBuilder line = new StringBuilder();
    ByteBuffer one = ByteBuffer.allocate(1);
    while (channel.read(one) == 1 && one.get(0) != '\n') {
      line.append((char) one.get(0));
      one.clear();
    }
    return line.toString();
  }

  private JsonNode exchange(String line) throws IOException {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket()))) {
      write(channel, (line + "\n").getBytes(StandardCharsets.UTF_8));
      return MAPPER.readTree(readLine(channel));
    }
  }

  @Test
  void everyQuestionIsAnsweredAsTextAndAsJson() throws Exception {
    awaitHistory();
    asking(false).change("start", "two");
    for (boolean json : new boolean[] {false, true}) {
      Asking asking = asking(json);
      List<String> answers =
          List.of(
              asking.ps(),
              asking.ledger(Optional.empty()),
              asking.ledger(Optional.of("one")),
              asking.stat(Optional.empty()),
              asking.stat(Optional.of("one")),
              asking.explain("one", 0x100000),
              asking.whySlow("one"),
              asking.balloon("one", OptionalLong.empty(), java.time.Duration.ZERO, note -> {}));
      for (String answer : answers) {
        assertThat(answer).isNotBlank().endsWith("\n");
        if (json) {
          assertThat(MAPPER.readTree(answer).isObject()).as(answer).isTrue();
        }
      }
    }
  }

  @Test
  void theLedgersSumsAreExactWhileAllVmsRun() throws Exception {
    asking(false).change("start", "two");
    JsonNode all = MAPPER.readTree(asking(true).ledger(Optional.empty()));
    long sum = 0;
    for (JsonNode count : all.path("byRole")) {
      sum += count.longValue();
    }
    assertThat(sum).isEqualTo(all.path("frames").longValue()).isEqualTo(64 * MIB / 4096);
    assertThat(all.path("vms").size()).isEqualTo(2);
    JsonNode one = MAPPER.readTree(asking(true).ledger(Optional.of("one")));
    long pages = 0;
    for (JsonNode count : one.path("pagesByState")) {
      pages += count.longValue();
    }
    assertThat(pages + one.path("holePages").longValue()).isEqualTo(32 * MIB / 4096);
    long framed = one.path("framesByRole").path("GUEST_PAGE").longValue();
    assertThat(framed).isEqualTo(one.path("pagesByState").path("RESIDENT").longValue());
  }

  @Test
  void aVmIsStartedHeldAndStopped() {
    assertThat(asking(false).change("start", "two")).startsWith("two is running");
    assertThat(asking(false).change("pause", "two")).startsWith("two is paused");
    assertThat(asking(false).ps()).contains("paused");
    assertThat(asking(false).change("resume", "two")).startsWith("two is running");
    assertThat(asking(false).stop("two", 0)).isEqualTo("two is off: switched off\n");
    assertThatThrownBy(() -> asking(false).stop("two", 0))
        .isInstanceOf(CommandFailure.class)
        .hasMessage("two is off already");
    assertThatThrownBy(() -> asking(false).change("pause", "two"))
        .hasMessage("two is off; start it first: memvisor start two");
    assertThatThrownBy(
            () ->
                asking(false)
                    .balloon("one", OptionalLong.of(8 * MIB), java.time.Duration.ZERO, n -> {}))
        .hasMessageContaining("one has no balloon");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "x | one line of JSON",
        "{ | one line of JSON",
        "[] | JSON object",
        "7 | JSON object",
        "null | JSON object",
        "{} | says what to do",
        "{\"command\":7} | command is a string",
        "{\"command\":\"ps\",\"command\":\"ps\"} | one line of JSON",
        "{\"command\":\"dance\"} | there is no command 'dance'",
        "{\"command\":\"ps\",\"color\":\"red\"} | no field 'color'",
        "{\"command\":\"pause\"} | pause needs a VM's name",
        "{\"command\":\"pause\",\"vm\":\"nobody\"} | there is no VM 'nobody'; there are one, two",
        "{\"command\":\"pause\",\"vm\":{}} | vm is a string",
        "{\"command\":\"explain\",\"vm\":\"one\"} | explain needs an address",
        "{\"command\":\"explain\",\"vm\":\"one\",\"address\":1.5} | whole number of 64 bits",
        "{\"command\":\"explain\",\"vm\":\"one\",\"address\":9e99} | whole number of 64 bits",
        "{\"command\":\"explain\",\"vm\":\"one\",\"address\":99999999999999999999} | whole number",
        "{\"command\":\"balloon\",\"vm\":\"one\",\"bytes\":0} | between 1 MiB and the 32 MiB",
        "{\"command\":\"balloon\",\"vm\":\"one\",\"bytes\":-1} | between 1 MiB and the 32 MiB",
        "{\"command\":\"balloon\",\"vm\":\"one\",\"bytes\":9223372036854775807} | between 1 MiB",
        "{\"command\":\"stop\",\"vm\":\"one\",\"graceSeconds\":-1} | graceSeconds is 0 to 3600",
        "{\"command\":\"console\",\"vm\":\"none\"} | there is no VM 'none'",
      })
  void whatMakesNoSenseIsRefusedInASentence(String line, String words) throws IOException {
    JsonNode reply = exchange(line);
    assertThat(reply.path("ok").booleanValue(true)).isFalse();
    assertThat(reply.path("error").asString("")).contains(words).doesNotContain("please report");
    assertThat(host.orElseThrow().vms().getFirst().state()).isEqualTo(VmState.RUNNING);
  }

  @Test
  void addressesOfEveryKindAreExplained() throws IOException {
    for (long gva : new long[] {0, -1, Long.MIN_VALUE, Long.MAX_VALUE, 0xFEE00000L, 1L << 47}) {
      JsonNode reply = exchange("{\"command\":\"explain\",\"vm\":\"one\",\"address\":" + gva + "}");
      assertThat(reply.path("ok").booleanValue(false)).as("%x: %s", gva, reply).isTrue();
    }
  }

  @Test
  void garbageOversizeAndDisconnectsHarmNobody() throws Exception {
    long seed = 4711;
    System.out.println("garbage: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 100; round++) {
      byte[] garbage = new byte[random.nextInt(6000)];
      random.nextBytes(garbage);
      try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket()))) {
        write(channel, garbage);
      } catch (IOException closed) {
        // A line too long ends the conversation while we are still talking.
        continue;
      }
    }
    JsonNode reply = exchange("{\"command\":\"" + "x".repeat(5000) + "\"}");
    assertThat(reply.path("error").asString("")).contains("at most 4096 bytes");
    assertThat(exchange("[".repeat(4000)).path("ok").booleanValue(true)).isFalse();
    assertThat(asking(false).ps()).contains("one", "two");
  }

  @Test
  void manyAtOnceAreTurnedAwayAndTheRestIsServed() throws Exception {
    List<SocketChannel> idle = new ArrayList<>();
    try {
      for (int i = 0; i < 64; i++) {
        SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket()));
        idle.add(channel);
        write(channel, "{\"command\":\"ps\"}\n".getBytes(StandardCharsets.UTF_8));
        assertThat(readLine(channel)).contains("\"ok\":true");
      }
      assertThatThrownBy(() -> asking(false).ps()).hasMessageContaining("too many connections");
    } finally {
      for (SocketChannel channel : idle) {
        channel.close();
      }
    }
  }

  @Test
  void ordersFromManyConnectionsAtOnceLeaveExactBooks() throws Exception {
    ConcurrentLinkedQueue<String> unexpected = new ConcurrentLinkedQueue<>();
    List<Thread> users = new ArrayList<>();
    for (int user = 0; user < 6; user++) {
      SplittableRandom random = new SplittableRandom(user);
      users.add(Thread.ofPlatform().start(() -> order(random, unexpected)));
    }
    for (Thread user : users) {
      user.join();
    }
    assertThat(unexpected).isEmpty();
    host.orElseThrow().audit();
  }

  private void order(SplittableRandom random, ConcurrentLinkedQueue<String> unexpected) {
    String[] commands = {"start", "stop", "pause", "resume", "ledger", "stat"};
    String[] vms = {",\"vm\":\"one\"", ",\"vm\":\"two\"", ""};
    for (int i = 0; i < 20; i++) {
      String command = commands[random.nextInt(commands.length)];
      String vm = vms[random.nextInt(vms.length)];
      try {
        JsonNode reply = exchange("{\"command\":\"" + command + "\"" + vm + "}");
        if (reply.path("error").asString("").contains("please report")) {
          unexpected.add(reply.toString());
        }
      } catch (IOException | RuntimeException broken) {
        unexpected.add(command + ": " + broken);
      }
    }
  }

  @Test
  void theConsoleShowsWhatWasPrintedAndPassesKeysOn() throws IOException {
    try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket()))) {
      write(
          channel,
          "{\"command\":\"console\",\"vm\":\"one\"}\nkeys".getBytes(StandardCharsets.UTF_8));
      assertThat(readLine(channel)).contains("\"ok\":true");
      host.orElseThrow().vms().getFirst().console().accept('!');
      ByteBuffer one = ByteBuffer.allocate(1);
      do {
        one.clear();
        assertThat(channel.read(one)).isEqualTo(1);
      } while (one.get(0) != '!');
    }
    assertThat(asking(false).ps()).contains("one");
  }

  @Test
  void onlyTheOwnerMayConnect() throws IOException {
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket())))
        .isEqualTo("rw-------");
    assertThat(Files.list(directory)).as("nothing else is left").containsExactly(socket());
  }

  @Test
  void aSocketLeftByAKilledHostIsReplacedAndALivingOneIsNot() throws IOException {
    assertThatThrownBy(() -> ControlServer.open(socket(), host.orElseThrow()))
        .isInstanceOf(CommandFailure.class)
        .hasMessageContaining("another program listens");
    Path stale = directory.resolve("stale");
    ServerSocketChannel.open(StandardProtocolFamily.UNIX)
        .bind(UnixDomainSocketAddress.of(stale))
        .close();
    assertThatThrownBy(() -> new Asking(stale, false).ps())
        .isInstanceOf(CommandFailure.class)
        .hasMessageContaining("has ended");
    ControlServer.open(stale, host.orElseThrow()).close();
    assertThat(stale).doesNotExist();
    assertThatThrownBy(() -> new Asking(stale, false).ps()).hasMessageContaining("no host listens");
  }
}
