package memvisor.app.cli;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.x86.CpuFeature;
import memvisor.cpu.x86.CpuModel;
import memvisor.machine.pc.PcConfiguration;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What the machine under a guest is made of, beyond memory and technique. */
final class PcOptions {
  @Spec(Spec.Target.MIXEE)
  private CommandSpec mixee = CommandSpec.create();

  @Option(
      names = "--cpu",
      paramLabel = "MODEL[,+F|,-F]",
      defaultValue = "atom",
      description =
          "The processor: atom, which kernels trust, or vulnerable, which makes them keep user and "
              + "kernel page tables apart (PTI); with features added or removed, like atom,-pcid,+la57. "
              + "Default: ${DEFAULT-VALUE}.")
  private String cpu = "atom";

  @Option(
      names = "--huge-pages",
      description = "Back the guest with 2 MiB frames, and map them as such, where possible.")
  private boolean hugePages;

  @Option(
      names = "--nested-levels",
      paramLabel = "4|5",
      defaultValue = "4",
      description = "Levels of the nested tables. Default: ${DEFAULT-VALUE}.")
  private int nestedLevels = 4;

  @Option(names = "--npt", description = "Nested tables in AMD's format instead of Intel's EPT.")
  private boolean npt;

  @Option(
      names = "--jit",
      paramLabel = "off|blocks|regions",
      defaultValue = "off",
      description =
          "How much of the guest's code is translated to JVM bytecode. Default: ${DEFAULT-VALUE}.")
  private JitMode jit = JitMode.OFF;

  /** {@code configuration} with what was asked for. */
  PcConfiguration apply(PcConfiguration configuration) {
    if (nestedLevels != 4 && nestedLevels != 5) {
      throw usage("--nested-levels is 4 or 5, not " + nestedLevels);
    }
    CpuModel defaults = configuration.cpu();
    return configuration
        .withCpu(model().withClock(defaults.tscHz(), defaults.crystalHz()))
        .withHugePages(hugePages)
        .withNested(nestedLevels == 5, npt)
        .withJit(JitOptions.of(jit));
  }

  /** How much is translated. */
  JitOptions jit() {
    return JitOptions.of(jit);
  }

  private CpuModel model() {
    String[] parts = cpu.split(",", -1);
    CpuModel model =
        switch (parts[0].toLowerCase(Locale.ROOT)) {
          case "atom" -> CpuModel.atom();
          case "vulnerable" -> CpuModel.vulnerable();
          default ->
              throw usage("--cpu knows the models atom and vulnerable, not '" + parts[0] + "'");
        };
    for (String change : Arrays.asList(parts).subList(1, parts.length)) {
      model = change(model, change);
    }
    return model;
  }

  private CpuModel change(CpuModel model, String change) {
    if (change.startsWith("+")) {
      return model.with(feature(change.substring(1)));
    }
    if (change.startsWith("-")) {
      return model.without(feature(change.substring(1)));
    }
    throw usage("--cpu takes a feature with + or - before it, like -pcid, not '" + change + "'");
  }

  private CpuFeature feature(String word) {
    return Arrays.stream(CpuFeature.values())
        .filter(feature -> feature != CpuFeature.MMX)
        .filter(feature -> feature.name().equalsIgnoreCase(word))
        .findFirst()
        .orElseThrow(
            () -> usage("--cpu knows no feature '" + word + "'; it knows " + knownFeatures()));
  }

  private static String knownFeatures() {
    return Arrays.stream(CpuFeature.values())
        // MMX is in the table, but no instruction of it works: it cannot be claimed.
        .filter(feature -> feature != CpuFeature.MMX)
        .map(feature -> feature.name().toLowerCase(Locale.ROOT))
        .sorted()
        .collect(Collectors.joining(", "));
  }

  private ParameterException usage(String message) {
    return new ParameterException(mixee.commandLine(), message);
  }
}
