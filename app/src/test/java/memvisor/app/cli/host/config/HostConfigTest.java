package memvisor.app.cli.host.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import memvisor.app.cli.CommandFailure;
import memvisor.host.reclaim.ReclaimOptions;
import memvisor.machine.TechniqueKind;
import memvisor.machine.fleet.VmSpec;
import memvisor.machine.pc.VirtioSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

final class HostConfigTest {
  @TempDir private Path directory = Path.of("");

  private HostConfig read(String text) throws IOException {
    return HostConfig.read(Files.writeString(directory.resolve("host.yaml"), text));
  }

  @Test
  void aHostIsReadWithItsDefaultsAndItsIdenticalVms() throws IOException {
    Files.write(directory.resolve("kernel"), new byte[] {1, 2});
    Files.write(directory.resolve("disk-2.img"), new byte[512]);
    Files.write(directory.resolve("disk-1.img"), new byte[512]);
    HostConfig config =
        read(
            """
            memory: 512M
            socket: here.sock
            reclaim:
              dedup: {pages-to-scan: 100, max-slow-down: 3, max-page-sharing: 8}
              compress: yes
              patch: no
              pool-percent: 20
              swap: {file: swap.bin, size: 64M}
              idle-tax-percent: 0
            defaults:
              memory: 64M
              kernel: kernel
              append: console=ttyS0 n={n}
              trust-domain: mine
            vms:
              - name: web
                count: 2
                disks: [{file: "disk-{n}.img", read-only: true}]
                shares: 2000
                floor: 16M
              - name: db
                technique: shadow
                memory: 128M
                balloon: {deflate-on-oom: true, free-page-reporting: true}
                rng: true
                start: false
                on-reset: restart
            """);
    assertThat(config.memoryBytes()).isEqualTo(512L << 20);
    assertThat(config.socket()).contains(directory.resolve("here.sock"));
    ReclaimOptions reclaim = config.reclaim();
    assertThat(reclaim.dedup().run()).isTrue();
    assertThat(reclaim.dedup().pagesToScan()).isEqualTo(100);
    assertThat(reclaim.dedup().maxPageSharing()).isEqualTo(8);
    assertThat(reclaim.dedup().maxSlowDown()).isEqualTo(3);
    assertThat(reclaim.compress()).isTrue();
    assertThat(reclaim.patch()).isFalse();
    assertThat(reclaim.poolPercent()).isEqualTo(20);
    assertThat(config.policy().idleTaxPercent()).isZero();
    assertThat(config.swap())
        .contains(new HostConfig.Swap(directory.resolve("swap.bin"), 64L << 20));
    assertThat(config.vms().stream().map(vm -> vm.spec().name()))
        .containsExactly("web-1", "web-2", "db");
    VmSpec second = config.vms().get(1).spec();
    assertThat(second.shares()).isEqualTo(2000);
    assertThat(second.floorBytes()).isEqualTo(16L << 20);
    assertThat(second.trustDomain()).contains("mine");
    assertThat(second.request().commandLine()).isEqualTo("console=ttyS0 n=2");
    assertThat(second.request().image())
        .as("identical VMs hold their kernel once")
        .isSameAs(config.vms().get(0).spec().request().image());
    VmSpec db = config.vms().get(2).spec();
    assertThat(db.configuration().technique()).isEqualTo(TechniqueKind.SHADOW);
    assertThat(db.configuration().memoryBytes()).isEqualTo(128L << 20);
    assertThat(db.configuration().devices())
        .containsExactly(new VirtioSpec.Entropy(), new VirtioSpec.Balloon(true, true));
    assertThat(db.restart()).isTrue();
    assertThat(config.vms().get(2).start()).isFalse();
    assertThat(config.vms().get(0).start()).isTrue();
  }

  @Test
  void theSwapFileIsTwiceAllGuestsUnlessSaidOtherwise() throws IOException {
    HostConfig config =
        read("memory: 64M\nreclaim: {swap: /nowhere/s}\nvms: [{name: a, memory: 16M, count: 3}]\n");
    assertThat(config.swap())
        .contains(new HostConfig.Swap(Path.of("/nowhere/s"), 2 * 3 * (16L << 20)));
  }

  @ParameterizedTest
  @CsvSource({
    "'{dedup: true}', 30",
    "'{trim-after-seconds: 5}', 5",
    "'{trim-after-seconds: 0}', 0"
  })
  void pagesAreTrimmedAfterHalfAMinuteUnlessSaidOtherwise(String reclaim, long seconds)
      throws IOException {
    HostConfig config = read("memory: 64M\nreclaim: " + reclaim + "\nvms: [{name: a}]\n");
    assertThat(config.policy().trimAfterNanos()).isEqualTo(seconds * 1_000_000_000L);
  }

  /** A file that cannot be used: its text, the line to be named, and words of the sentence. */
  record Wrong(String text, int line, String words) {
    @Override
    public String toString() {
      return words;
    }
  }

  private static Wrong vm(String keys, int line, String words) {
    return new Wrong("memory: 64M\nvms:\n  - name: a\n" + keys, line, words);
  }

  static List<Wrong> wrong() {
    return List.of(
        new Wrong("", 1, "the file is empty"),
        new Wrong("vms: [{name: a}]", 1, "say how much memory the host has"),
        new Wrong("memory: lots\nvms: [{name: a}]", 1, "give a size like 256M"),
        new Wrong("memory: 0\nvms: [{name: a}]", 1, "give a size like 256M"),
        new Wrong("memory: 4K\nvms: [{name: a}]", 1, "needs 1M of memory"),
        new Wrong("memory: 9999T\nvms: [{name: a}]", 1, "at most 1 TiB"),
        new Wrong("memory: [64M]\nvms: [{name: a}]", 1, "memory is one value, not a list"),
        new Wrong("memory:\nvms: [{name: a}]", 1, "memory is one value, not nothing"),
        new Wrong("memory: 64M\n", 1, "a host has a list of vms"),
        new Wrong("memory: 64M\nvms: web\n", 2, "vms is a list"),
        new Wrong("memory: 64M\nvms:\n  - web\n", 3, "a VM is a group of keys, not 'web'"),
        new Wrong("- memory\n", 1, "a host is a group of keys, not a list"),
        new Wrong("memroy: 64M\nmemory: 1G\nvms: [{name: a}]", 1, "no key 'memroy'; it has"),
        new Wrong("memory: 64M\nmemory: 1G\nvms: [{name: a}]", 2, "memory"),
        new Wrong("memory: 64M\n  bad: [\nvms: x", 2, "this is not YAML"),
        new Wrong("memory: 64M\nvms: [{name: a}]\n---\nmore: 1\n", 4, "one document is enough"),
        new Wrong("memory: &m 64M\nsocket: *m\nvms: [{name: a}]", 2, "aliases"),
        new Wrong(
            "memory: 64M\nvms:\n  - name: a\n  - name: b\n  - name: a\n", 5, "two VMs called a"),
        new Wrong(
            "memory: 64M\nreclaim:\n  compres: true\nvms: [{name: a}]",
            3,
            "reclaim has no key 'compres'"),
        new Wrong(
            "memory: 64M\nreclaim:\n  dedup: {run: 1}\nvms: [{name: a}]",
            3,
            "dedup has no key 'run'"),
        new Wrong(
            "memory: 64M\nreclaim:\n  swap: {size: 1M}\nvms: [{name: a}]", 3, "swap needs a file"),
        new Wrong(
            "memory: 64M\nreclaim:\n  pool-percent: 101\nvms: [{name: a}]",
            3,
            "pool-percent is 0 to 100, not 101"),
        new Wrong(
            "memory: 64M\nreclaim:\n  trim-after-seconds: soon\nvms: [{name: a}]",
            3,
            "trim-after-seconds is a whole number, not 'soon'"),
        new Wrong(
            "memory: 64M\nreclaim:\n  trim-after-seconds: -1\nvms: [{name: a}]",
            3,
            "trim-after-seconds is 0 to"),
        new Wrong(
            "memory: 64M\nreclaim:\n  dedup:\n    max-slow-down: 0\nvms: [{name: a}]",
            4,
            "max-slow-down is 1 to 1000, not 0"),
        new Wrong("memory: 64M\ndefaults:\n  memroy: 1M\nvms: [{name: a}]", 3, "no key 'memroy'"),
        new Wrong("memory: 64M\ndefaults:\n  memory: lots\nvms: [{name: a}]", 3, "give a size"),
        new Wrong("memory: 64M\nvms:\n  - memory: 16M\n", 3, "every VM has a name"),
        new Wrong("memory: 64M\nvms:\n  - name: a b\n", 3, "'a b' is no name"),
        vm("    count: 0\n", 4, "count is 1 to 10000, not 0"),
        vm("    count: many\n", 4, "count is a whole number, not 'many'"),
        vm("    memory: 1M\n", 4, "guest memory is 2M to 128G"),
        vm("    memory: 2147483649\n", 4, "a multiple of 4K"),
        vm("    technique: best\n", 4, "there is no technique 'best'"),
        vm("    technique: direct\n", 4, "direct"),
        vm("    shares: 0\n", 4, "shares is 1 to 1000000, not 0"),
        vm("    shares: 99999999999999999999\n", 4, "shares is a whole number"),
        vm("    floor: 1G\n", 4, "the floor is more than"),
        vm("    start: maybe\n", 4, "say true or false, not 'maybe'"),
        vm("    on-reset: explode\n", 4, "say stop or restart"),
        vm("    clock: sundial\n", 4, "say real or virtual"),
        vm("    jit: fast\n", 4, "say off, blocks or regions"),
        vm("    cpu: 6502\n", 4, "atom"),
        vm("    nested-levels: 3\n", 4, "nested-levels is 4 to 5"),
        vm("    kernel: /nowhere/kernel\n", 4, "/nowhere/kernel cannot be read"),
        vm("    kernel: /\n", 4, "/ cannot be read"),
        vm("    initrd: /nowhere/initrd\n", 4, "cannot be read"),
        vm("    append: quiet\n", 4, "belong to a kernel"),
        vm("    workload: sleep\n", 4, "no workload 'sleep'"),
        vm("    disks: [/nowhere/disk]\n", 4, "truncate -s 64M /nowhere/disk"),
        vm("    disks: [{read-only: true}]\n", 4, "a disk needs a file"),
        vm("    disks: a.img\n", 4, "disks is a list"),
        vm("    balloon: {size: 3}\n", 4, "a balloon has no key 'size'"),
        vm("    technique: partition\n    balloon: true\n", 5, "leave the balloon out"));
  }

  @ParameterizedTest
  @MethodSource("wrong")
  void whatIsWrongIsOneSentenceWithItsLine(Wrong wrong) {
    assertThatThrownBy(() -> read(wrong.text()))
        .isInstanceOf(CommandFailure.class)
        .hasMessageContaining("host.yaml, line " + wrong.line() + ": ")
        .hasMessageContaining(wrong.words())
        .message()
        .satisfies(message -> assertThat(message.lines()).hasSize(1));
  }

  static Stream<Path> noFiles() {
    return Stream.of(Path.of("/nowhere/host.yaml"), Path.of("/"));
  }

  @ParameterizedTest
  @MethodSource("noFiles")
  void aFileThatIsNoneIsOneSentence(Path path) {
    assertThatThrownBy(() -> HostConfig.read(path))
        .isInstanceOf(CommandFailure.class)
        .message()
        .satisfies(message -> assertThat(message.lines()).hasSize(1));
  }

  @Test
  void damagedFilesAreRefusedInASentenceWhateverIsInThem() throws IOException {
    String good =
        """
        memory: 64M
        reclaim: {dedup: true, compress: true}
        vms:
          - {name: a, memory: 16M, balloon: {deflate-on-oom: true}}
          - name: b
            count: 2
        """;
    assertThat(read(good).vms()).hasSize(3);
    long seed = 77;
    System.out.println("damaged files: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    byte[] original = good.getBytes(StandardCharsets.UTF_8);
    int refused = 0;
    for (int round = 0; round < 500; round++) {
      byte[] damaged = original.clone();
      for (int i = random.nextInt(4); i >= 0; i--) {
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
      }
      Path file = Files.write(directory.resolve("damaged.yaml"), damaged);
      Optional<String> complaint = complaint(file);
      refused += complaint.isPresent() ? 1 : 0;
      complaint.ifPresent(message -> assertThat(message.lines()).hasSize(1));
    }
    assertThat(refused).isGreaterThan(250);
  }

  private static Optional<String> complaint(Path file) {
    try {
      HostConfig.read(file);
      return Optional.empty();
    } catch (CommandFailure refusal) {
      return Optional.of(String.valueOf(refusal.getMessage()));
    }
  }
}
