package memvisor.machine.xen;

import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitOptions;
import memvisor.cpu.x86.CpuFeature;
import memvisor.cpu.x86.CpuModel;
import memvisor.device.interrupt.LocalApic;
import memvisor.machine.ClockMode;
import memvisor.tlb.TlbConfiguration;

/**
 * What a paravirtual domain is made of.
 *
 * @param memoryBytes guest memory
 * @param cpu what CPUID says, and the processor obeys
 * @param clock where time comes from
 * @param tlb geometry of the TLBs and paging-structure caches
 * @param epochSeconds what the wall clock shows at the start, in seconds since 1970
 * @param batching whether the calls of a multicall cost one exit together, as they do; otherwise
 *     each is counted as one, to measure what batching is worth
 * @param jit how much of the guest's code is translated to JVM bytecode
 */
public record XenConfiguration(
    long memoryBytes,
    CpuModel cpu,
    ClockMode clock,
    TlbConfiguration tlb,
    long epochSeconds,
    boolean batching,
    JitOptions jit) {
  /** 2026-01-01 00:00:00 UTC. */
  private static final long FIXED_EPOCH_SECONDS = 1_767_225_600L;

  private static final long TSC_HZ = 1_000_000_000L;

  /**
   * What a PV guest must not see: large pages it could not have, what only ring 0 has, and XSAVE,
   * whose CR4 bit the guest does not own.
   */
  private static final CpuFeature[] HIDDEN = {
    CpuFeature.PSE,
    CpuFeature.PSE36,
    CpuFeature.PGE,
    CpuFeature.PDPE1GB,
    CpuFeature.PCID,
    CpuFeature.INVPCID,
    CpuFeature.SMEP,
    CpuFeature.SMAP,
    CpuFeature.LA57,
    CpuFeature.TSC_DEADLINE,
    CpuFeature.TSC_ADJUST,
    CpuFeature.XSAVE,
    CpuFeature.FSGSBASE,
  };

  /** A domain with defaults for everything but these. */
  public static XenConfiguration of(long memoryBytes, ClockMode clock) {
    return new XenConfiguration(
        memoryBytes,
        paravirtual(CpuModel.atom()),
        clock,
        TlbConfiguration.DEFAULT,
        FIXED_EPOCH_SECONDS,
        true,
        JitOptions.of(JitMode.OFF));
  }

  /** What is left of a model for a PV guest, with the domain's own clock. */
  private static CpuModel paravirtual(CpuModel model) {
    CpuModel left = model.withClock(TSC_HZ, LocalApic.CRYSTAL_HZ).with(CpuFeature.HYPERVISOR);
    for (CpuFeature hidden : HIDDEN) {
      left = left.without(hidden);
    }
    return left;
  }

  /** The same with another processor, of which the guest sees what a PV guest may. */
  public XenConfiguration withCpu(CpuModel newCpu) {
    return new XenConfiguration(
        memoryBytes, paravirtual(newCpu), clock, tlb, epochSeconds, batching, jit);
  }

  /** The same with another TLB geometry. */
  public XenConfiguration withTlb(TlbConfiguration newTlb) {
    return new XenConfiguration(memoryBytes, cpu, clock, newTlb, epochSeconds, batching, jit);
  }

  /** The same with another date. */
  public XenConfiguration withEpochSeconds(long newEpochSeconds) {
    return new XenConfiguration(memoryBytes, cpu, clock, tlb, newEpochSeconds, batching, jit);
  }

  /** The same with batching counted or not. */
  public XenConfiguration withBatching(boolean newBatching) {
    return new XenConfiguration(memoryBytes, cpu, clock, tlb, epochSeconds, newBatching, jit);
  }

  /** The same with another share of translated code. */
  public XenConfiguration withJit(JitOptions newJit) {
    return new XenConfiguration(memoryBytes, cpu, clock, tlb, epochSeconds, batching, newJit);
  }
}
