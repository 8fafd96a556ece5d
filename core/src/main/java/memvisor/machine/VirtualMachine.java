package memvisor.machine;

import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import memvisor.boot.BootRequest;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.RegisterFile;
import memvisor.device.BusRange;
import memvisor.host.VmMemory;
import memvisor.host.frames.Ledger;
import memvisor.mmu.Technique;
import memvisor.mmu.TechniqueStatistics;
import memvisor.mmu.VcpuMmu;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationUnit;

/**
 * A machine with one guest and one vCPU, whatever it is made of: a PC, or a paravirtual domain.
 *
 * <p>Build it, {@link #boot} an image, then {@link #run} until the outcome. Everything happens on
 * the thread that calls {@code run}; the methods that say so may be called from other threads.
 * Between two calls of {@code run} the machine stands at a block boundary and can be inspected.
 */
public interface VirtualMachine extends AutoCloseable {
  /** How its memory is virtualized. */
  TechniqueKind kind();

  /**
   * Loads an image and sets the vCPU to its entry.
   *
   * @throws memvisor.boot.ImageFormatException if the image is damaged or of no known kind
   * @throws memvisor.boot.BootException if it does not fit this machine
   */
  void boot(BootRequest request);

  /**
   * Runs until the guest ends, somebody stops it, or {@code maxInstructions} more have retired.
   *
   * @param maxNanos wall time to run at most
   */
  RunOutcome run(long maxInstructions, long maxNanos);

  /** Makes {@link #run} return {@link RunOutcome.Stopped}; from any thread. */
  void stop();

  /**
   * Has {@code action} performed at a block boundary and returns its value; from any thread.
   *
   * @see RunLoop#atBoundary
   */
  <T> T atBoundary(Supplier<T> action);

  /** Holds the guest, and its clock, at the next block boundary; from any thread. */
  void pause();

  /** Lets a paused guest go on; from any thread. */
  void resume();

  /** Whether the guest is held by {@link #pause}. */
  boolean isPaused();

  /** Sends bytes to the guest's first console; from any thread. */
  void sendSerial(byte[] bytes);

  /** Switches measured running on or off, on the running thread only. */
  void setMeasured(boolean on);

  /** Instructions retired so far. */
  long instructions();

  /** The machine's clock. */
  MachineClock clock();

  /** Exits so far. */
  ExitStatistics exits();

  /** The memory-management unit, with its counters. */
  TranslationUnit unit();

  /** The technique. */
  Technique technique();

  /** The technique's side of the vCPU. */
  VcpuMmu mmu();

  /** What the technique did and costs, and what the machine counts beside it. */
  TechniqueStatistics statistics();

  /** What translating the guest's code did. */
  TranslationStatistics translation();

  /** Guest memory. */
  VmMemory memory();

  /** Guest memory, in bytes. */
  long memoryBytes();

  /** The guest's paging registers. */
  PagingState paging();

  /** The vCPU's registers. */
  RegisterFile registers();

  /**
   * The guest's code with an instruction at a host physical address.
   *
   * @see memvisor.cpu.x86.Vcpu#codeAt
   */
  Optional<HotCode> codeAt(long hpa);

  /** Everything the guest could find out about itself now, condensed for comparing runs. */
  default GuestState state() {
    return new GuestState(instructions(), registers().hash(), GuestState.hashMemory(memory()));
  }

  /** The ledger of the machine memory that the guest's frames come from. */
  Ledger ledger();

  /** The ports that devices claim, in ascending order. */
  List<BusRange> portRanges();

  /** The windows of devices in the guest-physical address space, in ascending order. */
  List<BusRange> deviceWindows();

  /** What helps to understand a guest that died: registers, last exits. */
  default String postMortem() {
    StringBuilder text = new StringBuilder(registers().describe());
    text.append("\nlast exits:\n");
    exits().last().forEach(exit -> text.append("  ").append(exit).append('\n'));
    return text.toString();
  }

  /** Gives every frame back; waits for actions of other threads that are under way. */
  @Override
  void close();
}
