package memvisor.app.cli.host.config;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import memvisor.app.cli.CpuModels;
import memvisor.app.cli.TechniqueConverter;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.x86.CpuModel;
import memvisor.device.virtio.FileStorage;
import memvisor.host.policy.VmTerms;
import memvisor.lab.Workload;
import memvisor.lab.guest.BuiltinGuest;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.machine.fleet.VmSpec;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.VirtioSpec;

/** Reads the VMs of a host; identical ones share the bytes of their kernel. */
final class GuestReader {
  private static final long DEFAULT_MEMORY = 256L << 20;
  private static final long LARGEST_MEMORY = 128L << 30;
  private static final long LARGEST_FILE_BYTES = 1L << 30;
  private static final int MOST_IDENTICAL = 10_000;

  /** Stands for a VM's number in names of files and in the kernel's command line. */
  private static final String NUMBER = "{n}";

  private final Path file;
  private final Map<Path, byte[]> images = new HashMap<>();

  GuestReader(Path file) {
    this.file = file;
  }

  /** The VM that a section describes, or the count of them. */
  List<HostConfig.Guest> read(Section vm) {
    String name =
        vm.text("name").orElseThrow(() -> vm.error("name", "every VM has a name: name: web"));
    Optional<Long> count = vm.number("count", 1, MOST_IDENTICAL);
    boolean start = vm.flag("start").orElse(true);
    List<HostConfig.Guest> guests = new ArrayList<>();
    for (int number = 1; number <= count.orElse(1L); number++) {
      String full = count.isPresent() ? name + "-" + number : name;
      guests.add(new HostConfig.Guest(spec(vm, full, number), start));
    }
    vm.rejectUnknown("a VM");
    return guests;
  }

  private VmSpec spec(Section vm, String name, int number) {
    PcConfiguration configuration = configuration(vm, number);
    BootRequest request = request(vm, number);
    int shares = vm.number("shares", 1, 1_000_000).orElse((long) VmTerms.DEFAULT_SHARES).intValue();
    long floor = vm.text("floor").filter("0"::equals).isPresent() ? 0 : vm.size("floor").orElse(0L);
    if (floor > configuration.memoryBytes()) {
      throw vm.error("floor", "the floor is more than the VM's memory: give it less");
    }
    Optional<String> domain = vm.text("trust-domain");
    boolean restart = vm.converted("on-reset", GuestReader::restarts).orElse(false);
    try {
      return new VmSpec(name, configuration, request, domain, shares, floor, restart);
    } catch (IllegalArgumentException wrong) {
      throw vm.error("name", String.valueOf(wrong.getMessage()));
    }
  }

  private static boolean restarts(String word) {
    return switch (word) {
      case "restart" -> true;
      case "stop" -> false;
      default -> throw new IllegalArgumentException("say stop or restart, not '" + word + "'");
    };
  }

  // ---- the machine ---------------------------------------------------------------------------

  private PcConfiguration configuration(Section vm, int number) {
    long memoryBytes = vm.size("memory").orElse(DEFAULT_MEMORY);
    if (memoryBytes < 2 << 20 || memoryBytes > LARGEST_MEMORY || memoryBytes % 4096 != 0) {
      throw vm.error("memory", "guest memory is 2M to 128G, a multiple of 4K");
    }
    TechniqueKind technique =
        vm.converted("technique", GuestReader::technique).orElse(TechniqueKind.NESTED);
    ClockMode clock = vm.converted("clock", GuestReader::clock).orElse(ClockMode.REAL);
    PcConfiguration plain = PcConfiguration.of(memoryBytes, technique, clock);
    CpuModel cpu =
        vm.converted("cpu", CpuModels::parse)
            .map(model -> model.withClock(plain.cpu().tscHz(), plain.cpu().crystalHz()))
            .orElse(plain.cpu());
    PcConfiguration machine =
        plain
            .withCpu(cpu)
            .withHugePages(vm.flag("huge-pages").orElse(false))
            .withNested(
                vm.number("nested-levels", 4, 5).orElse(4L) == 5, vm.flag("npt").orElse(false))
            .withJit(
                JitOptions.of(vm.converted("jit", GuestReader::jit).orElse(JitMode.REGIONS))
                    .withCodeMemory(codeMemory(vm)));
    try {
      return machine.withDevices(devices(vm, number));
    } catch (IllegalArgumentException impossible) {
      throw vm.error(
          vm.has("balloon") ? "balloon" : "disks", String.valueOf(impossible.getMessage()));
    }
  }

  private static long codeMemory(Section vm) {
    long bytes = vm.size("code-memory").orElse(JitOptions.DEFAULT_CODE_MEMORY);
    if (bytes < JitOptions.LEAST_CODE_MEMORY) {
      throw vm.error("code-memory", "memory for decoded and translated code is at least 4M");
    }
    return bytes;
  }

  private static TechniqueKind technique(String word) {
    if (word.equals("direct")) {
      throw new IllegalArgumentException(
          "a direct guest's tables hold machine addresses, so that none of its memory can be taken"
              + " back: it cannot be one of many; run it alone with memvisor run --mmu direct");
    }
    return new TechniqueConverter().convert(word);
  }

  private static ClockMode clock(String word) {
    return switch (word) {
      case "real" -> ClockMode.REAL;
      case "virtual" -> ClockMode.VIRTUAL;
      default -> throw new IllegalArgumentException("say real or virtual, not '" + word + "'");
    };
  }

  private static JitMode jit(String word) {
    return switch (word) {
      // YAML 1.1 reads the word off as a truth value, and some editors write it as one.
      case "off", "false" -> JitMode.OFF;
      case "blocks" -> JitMode.BLOCKS;
      case "regions" -> JitMode.REGIONS;
      default ->
          throw new IllegalArgumentException("say off, blocks or regions, not '" + word + "'");
    };
  }

  private List<VirtioSpec> devices(Section vm, int number) {
    List<VirtioSpec> devices = new ArrayList<>();
    for (YamlNode node : vm.list("disks")) {
      devices.add(disk(node, number));
    }
    if (vm.flag("rng").orElse(false)) {
      devices.add(new VirtioSpec.Entropy());
    }
    if (vm.isSection("balloon")) {
      Section balloon = vm.section("balloon").orElseThrow();
      devices.add(
          new VirtioSpec.Balloon(
              balloon.flag("deflate-on-oom").orElse(false),
              balloon.flag("free-page-reporting").orElse(false)));
      balloon.rejectUnknown("a balloon");
    } else if (vm.flag("balloon").orElse(false)) {
      devices.add(new VirtioSpec.Balloon(false, false));
    }
    return devices;
  }

  private VirtioSpec disk(YamlNode node, int number) {
    boolean group = node instanceof YamlNode.Mapping;
    Optional<Section> section =
        group ? Optional.of(Section.of(file, node, "a disk")) : Optional.empty();
    String text =
        section
            .map(
                disk ->
                    disk.text("file").orElseThrow(() -> disk.error("file", "a disk needs a file")))
            .orElseGet(() -> node instanceof YamlNode.Scalar scalar ? scalar.text() : "");
    boolean readOnly = section.flatMap(disk -> disk.flag("read-only")).orElse(false);
    section.ifPresent(disk -> disk.rejectUnknown("a disk"));
    Path path = HostConfig.resolve(file, numbered(text, number));
    if (!Files.isRegularFile(path)) {
      throw ConfigFile.error(
          file,
          node.line(),
          "there is no file %s; make one with truncate -s 64M %s".formatted(path, path));
    }
    try {
      // Open until the program ends, over every start of the VM.
      return new VirtioSpec.Disk(new FileStorage(path, readOnly));
    } catch (IOException failure) {
      throw ConfigFile.error(
          file,
          node.line(),
          path + " cannot be opened; with read-only: true it need not be writable");
    }
  }

  private static String numbered(String text, int number) {
    return text.replace(NUMBER, String.valueOf(number));
  }

  // ---- what it boots -------------------------------------------------------------------------

  private BootRequest request(Section vm, int number) {
    Optional<byte[]> kernel = image(vm, "kernel", "a bzImage, ELF or multiboot kernel");
    Optional<byte[]> initrd = image(vm, "initrd", "an initial RAM disk");
    String append = vm.text("append").map(text -> numbered(text, number)).orElse("");
    Optional<Workload> workload = vm.converted("workload", GuestReader::workload);
    if (kernel.isEmpty()) {
      if (initrd.isPresent() || !append.isEmpty()) {
        throw vm.error(
            initrd.isPresent() ? "initrd" : "append",
            "initrd and append belong to a kernel: name one with kernel:");
      }
      Workload work = workload.orElse(Workload.RANDOM_UPDATE);
      return BootRequest.of(BuiltinGuest.image(work, work.defaults()));
    }
    BootRequest request = BootRequest.of(kernel.get()).withCommandLine(append);
    return initrd.map(request::withInitrd).orElse(request);
  }

  private static Workload workload(String word) {
    for (Workload workload : Workload.values()) {
      if (workload.label().equals(word)) {
        return workload;
      }
    }
    throw new IllegalArgumentException(
        "the built-in guest has no workload '%s'; memvisor compare --help lists them"
            .formatted(word));
  }

  private Optional<byte[]> image(Section vm, String key, String wanted) {
    Optional<String> text = vm.text(key);
    if (text.isEmpty()) {
      return Optional.empty();
    }
    Path path = HostConfig.resolve(file, text.get());
    byte[] known = images.get(path);
    if (known != null) {
      return Optional.of(known);
    }
    byte[] bytes = load(vm, key, path, wanted);
    images.put(path, bytes);
    return Optional.of(bytes);
  }

  private static byte[] load(Section vm, String key, Path path, String wanted) {
    try {
      if (Files.isRegularFile(path) && Files.size(path) > LARGEST_FILE_BYTES) {
        throw vm.error(key, "%s is larger than 1 GiB; name %s".formatted(path, wanted));
      }
      byte[] bytes = Files.readAllBytes(path);
      if (bytes.length == 0) {
        throw vm.error(key, "%s is empty; name %s".formatted(path, wanted));
      }
      return bytes;
    } catch (IOException failure) {
      throw vm.error(key, "%s cannot be read; name %s".formatted(path, wanted));
    }
  }
}
