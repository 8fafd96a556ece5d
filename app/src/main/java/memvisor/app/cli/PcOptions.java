package memvisor.app.cli;

import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.x86.CpuModel;
import memvisor.machine.pc.PcConfiguration;
import memvisor.machine.xen.XenConfiguration;
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
      defaultValue = "regions",
      description =
          "How much of the guest's code is translated to JVM bytecode. Default: ${DEFAULT-VALUE}.")
  private JitMode jit = JitMode.REGIONS;

  @Option(
      names = "--code-memory",
      paramLabel = "SIZE",
      converter = Quantities.SizeConverter.class,
      description =
          "What decoded and translated code may take of this program's memory, about; what was made "
              + "first is dropped first. Default: 256M.")
  private long codeMemory = JitOptions.DEFAULT_CODE_MEMORY;

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
        .withJit(jit());
  }

  /** {@code configuration} with what was asked for, as far as it means something to a domain. */
  XenConfiguration apply(XenConfiguration configuration) {
    return configuration.withCpu(model()).withJit(jit());
  }

  /** Refuses what only a PC has. */
  void requireNoneOfPc() {
    if (hugePages || npt || nestedLevels != 4) {
      throw usage(
          "--huge-pages, --npt and --nested-levels have no meaning under --mmu direct: its guest maps"
              + " 4 KiB pages, and there are no nested tables");
    }
  }

  private JitOptions jit() {
    if (codeMemory < JitOptions.LEAST_CODE_MEMORY) {
      throw usage("--code-memory is at least 4M");
    }
    return JitOptions.of(jit).withCodeMemory(codeMemory);
  }

  private CpuModel model() {
    try {
      return CpuModels.parse(cpu);
    } catch (IllegalArgumentException unknown) {
      throw usage("--cpu " + unknown.getMessage());
    }
  }

  private ParameterException usage(String message) {
    return new ParameterException(mixee.commandLine(), message);
  }
}
