package memvisor.machine.pc;

import java.util.List;
import java.util.function.Consumer;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.x86.CpuModel;
import memvisor.device.interrupt.LocalApic;
import memvisor.machine.ClockMode;
import memvisor.machine.TechniqueKind;
import memvisor.tlb.TlbConfiguration;

/**
 * What a PC is made of.
 *
 * @param memoryBytes guest memory, holes excluded
 * @param technique how its memory is virtualized
 * @param cpu what CPUID says, and the processor obeys
 * @param clock where time comes from
 * @param tlb geometry of the TLBs and paging-structure caches
 * @param hugePages whether host memory backs the guest with 2 MiB frames where it can; otherwise
 *     its frames are deliberately scattered
 * @param nestedFiveLevels 5-level instead of 4-level nested tables
 * @param npt AMD's nested-table format instead of Intel's EPT
 * @param epochSeconds what the real-time clock shows at power-on, in seconds since 1970
 * @param devices the virtio devices, in the order of their windows
 * @param jit how much of the guest's code is translated to JVM bytecode
 */
public record PcConfiguration(
    long memoryBytes,
    TechniqueKind technique,
    CpuModel cpu,
    ClockMode clock,
    TlbConfiguration tlb,
    boolean hugePages,
    boolean nestedFiveLevels,
    boolean npt,
    long epochSeconds,
    List<VirtioSpec> devices,
    JitOptions jit) {
  /** 2026-01-01 00:00:00 UTC: runs with a virtual clock begin there, so that they repeat. */
  public static final long FIXED_EPOCH_SECONDS = 1_767_225_600L;

  /** One tick of the time-stamp counter is one nanosecond of the machine's clock. */
  private static final long TSC_HZ = 1_000_000_000L;

  /** Checks that the technique is one for PCs, and that the devices fit the board and it. */
  public PcConfiguration {
    devices = List.copyOf(devices);
    if (technique.isParavirtual()) {
      throw new IllegalArgumentException(
          "direct paging needs a paravirtual domain: the guest of a PC does not know its frames");
    }
    VirtioSlots.check(devices, technique);
  }

  /** A PC with defaults for everything but these. */
  public static PcConfiguration of(long memoryBytes, TechniqueKind technique, ClockMode clock) {
    return new PcConfiguration(
        memoryBytes,
        technique,
        CpuModel.atom().withClock(TSC_HZ, LocalApic.CRYSTAL_HZ),
        clock,
        TlbConfiguration.DEFAULT,
        false,
        false,
        false,
        FIXED_EPOCH_SECONDS,
        List.of(),
        JitOptions.of(JitMode.OFF));
  }

  /** The same with another processor model. */
  public PcConfiguration withCpu(CpuModel newCpu) {
    return with(draft -> draft.cpu = newCpu);
  }

  /** The same with another TLB geometry. */
  public PcConfiguration withTlb(TlbConfiguration newTlb) {
    return with(draft -> draft.tlb = newTlb);
  }

  /** The same with huge-page backing on or off. */
  public PcConfiguration withHugePages(boolean newHugePages) {
    return with(draft -> draft.hugePages = newHugePages);
  }

  /** The same with another form of nested tables. */
  public PcConfiguration withNested(boolean fiveLevels, boolean newNpt) {
    return with(
        draft -> {
          draft.nestedFiveLevels = fiveLevels;
          draft.npt = newNpt;
        });
  }

  /** The same with another date. */
  public PcConfiguration withEpochSeconds(long newEpochSeconds) {
    return with(draft -> draft.epochSeconds = newEpochSeconds);
  }

  /** The same with these virtio devices. */
  public PcConfiguration withDevices(List<VirtioSpec> newDevices) {
    return with(draft -> draft.devices = newDevices);
  }

  /** The same with other translation of the guest's code. */
  public PcConfiguration withJit(JitOptions newJit) {
    return with(draft -> draft.jit = newJit);
  }

  private PcConfiguration with(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return new PcConfiguration(
        memoryBytes,
        technique,
        draft.cpu,
        clock,
        draft.tlb,
        draft.hugePages,
        draft.nestedFiveLevels,
        draft.npt,
        draft.epochSeconds,
        draft.devices,
        draft.jit);
  }

  /** The components that have a default, while one of them is being changed. */
  private static final class Draft {
    private CpuModel cpu;
    private TlbConfiguration tlb;
    private boolean hugePages;
    private boolean nestedFiveLevels;
    private boolean npt;
    private long epochSeconds;
    private List<VirtioSpec> devices;
    private JitOptions jit;

    private Draft(PcConfiguration from) {
      cpu = from.cpu;
      tlb = from.tlb;
      hugePages = from.hugePages;
      nestedFiveLevels = from.nestedFiveLevels;
      npt = from.npt;
      epochSeconds = from.epochSeconds;
      devices = from.devices;
      jit = from.jit;
    }
  }
}
