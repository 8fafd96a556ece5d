package memvisor.app.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import memvisor.device.virtio.FileStorage;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.pc.VirtioSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The virtio devices of a machine. */
final class DeviceOptions {
  private static final String READ_ONLY = ",ro";
  private static final String DEFLATE_ON_OOM = "deflate-on-oom";
  private static final String FREE_PAGE_REPORTING = "free-page-reporting";

  @Spec(Spec.Target.MIXEE)
  private CommandSpec mixee = CommandSpec.create();

  @Option(
      names = "--disk",
      paramLabel = "FILE[,ro]",
      description = "A virtio disk with the sectors of FILE; with ,ro it is not written.")
  private List<String> disks = List.of();

  @Option(
      names = "--device",
      paramLabel = "rng|balloon[,F...]",
      description =
          "Another virtio device: rng, a source of random numbers, or balloon, with "
              + DEFLATE_ON_OOM
              + " or "
              + FREE_PAGE_REPORTING
              + ".")
  private List<String> devices = List.of();

  /** {@code configuration} with what was asked for. */
  PcConfiguration apply(PcConfiguration configuration) {
    List<VirtioSpec> specs = new ArrayList<>();
    disks.forEach(text -> specs.add(disk(text)));
    devices.forEach(text -> specs.add(device(text)));
    try {
      return configuration.withDevices(specs);
    } catch (IllegalArgumentException impossible) {
      throw usage(String.valueOf(impossible.getMessage()));
    }
  }

  /** Refuses devices, for a machine that is no PC. */
  void requireNone() {
    if (!disks.isEmpty() || !devices.isEmpty()) {
      throw usage("--mmu direct has no virtio devices: leave --disk and --device out");
    }
  }

  private VirtioSpec disk(String text) {
    boolean readOnly = text.endsWith(READ_ONLY);
    Path file = Path.of(readOnly ? text.substring(0, text.length() - READ_ONLY.length()) : text);
    if (!Files.isRegularFile(file)) {
      throw usage("--disk " + file + ": there is no file; make one with truncate -s 64M " + file);
    }
    try {
      // Open until the program ends, over every restart of the guest.
      return new VirtioSpec.Disk(new FileStorage(file, readOnly));
    } catch (IOException failure) {
      throw usage("--disk " + file + ": it cannot be opened; with ,ro it need not be writable");
    }
  }

  private VirtioSpec device(String text) {
    List<String> words = List.of(text.split(",", -1));
    List<String> features = words.subList(1, words.size());
    if (text.equals("rng")) {
      return new VirtioSpec.Entropy();
    }
    boolean known = List.of(DEFLATE_ON_OOM, FREE_PAGE_REPORTING).containsAll(features);
    if (!words.getFirst().equals("balloon") || !known) {
      throw usage(
          "--device is rng or balloon, or balloon,%s,%s, not '%s'"
              .formatted(DEFLATE_ON_OOM, FREE_PAGE_REPORTING, text));
    }
    return new VirtioSpec.Balloon(
        features.contains(DEFLATE_ON_OOM), features.contains(FREE_PAGE_REPORTING));
  }

  private ParameterException usage(String sentence) {
    return new ParameterException(mixee.commandLine(), sentence);
  }
}
