package memvisor.machine.pc;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import memvisor.boot.BootLoader;
import memvisor.boot.BootRequest;
import memvisor.boot.EntryState;
import memvisor.boot.GuestLayout;
import memvisor.cpu.jit.JitCounters;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.CodeLibrary;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;
import memvisor.cpu.x86.RunExit;
import memvisor.cpu.x86.SegmentName;
import memvisor.cpu.x86.SegmentState;
import memvisor.cpu.x86.Vcpu;
import memvisor.device.BusRange;
import memvisor.device.ByteSink;
import memvisor.device.PowerEvents;
import memvisor.device.acpi.AcpiTables;
import memvisor.device.interrupt.ProcessorEvents;
import memvisor.device.virtio.BalloonDevice;
import memvisor.device.virtio.ConsoleDevice;
import memvisor.host.FrameWait;
import memvisor.host.HostMemory;
import memvisor.host.Starvation;
import memvisor.host.VmMemory;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.frames.Ledger;
import memvisor.machine.ExitReason;
import memvisor.machine.ExitStatistics;
import memvisor.machine.MachineClock;
import memvisor.machine.RunLoop;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.TranslationStatistics;
import memvisor.machine.VirtualMachine;
import memvisor.mmu.Technique;
import memvisor.mmu.TechniqueStatistics;
import memvisor.mmu.VcpuMmu;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationUnit;
import org.jspecify.annotations.Nullable;

/**
 * One virtual PC with one vCPU, on a share of a {@link HostMemory}.
 *
 * <p>Build it, {@link #boot} an image, then {@link #run} until the outcome. Everything happens on
 * the thread that calls {@code run}; other threads may send serial input, press the power button or
 * stop it. Between two calls of {@code run} the machine stands at a block boundary and can be
 * inspected.
 */
public final class PcMachine implements VirtualMachine {
  private static final List<SegmentName> DATA_SEGMENTS =
      List.of(SegmentName.ES, SegmentName.SS, SegmentName.DS, SegmentName.FS, SegmentName.GS);

  private final PcConfiguration configuration;
  private final VmMemory memory;
  private final PagingState guest = new PagingState();
  private final TranslationUnit unit;
  private final Technique technique;
  private final VcpuMmu mmu;
  private final ExitStatistics exits = new ExitStatistics();
  private final MachineClock clock;
  private final PcBoard board;
  private final Vcpu vcpu;
  private final JitTranslator translator;
  private final Boundary boundary = new Boundary();
  private final RunLoop loop;
  private final Starvation starvation;
  private boolean retrying;
  private final HostMemory host;
  private @Nullable RunOutcome outcome;

  /**
   * Builds a machine and gives it memory.
   *
   * @param serialOutput takes what the guest sends on COM1
   * @param debugOutput takes what the guest writes to the debug console, port E9h
   */
  public PcMachine(
      PcConfiguration configuration, HostMemory host, ByteSink serialOutput, ByteSink debugOutput) {
    this(configuration, host, createMemory(configuration, host), serialOutput, debugOutput);
  }

  private PcMachine(
      PcConfiguration configuration,
      HostMemory host,
      VmMemory memory,
      ByteSink serialOutput,
      ByteSink debugOutput) {
    this.configuration = configuration;
    this.host = host;
    this.memory = memory;
    starvation = new Starvation(host, memory.vmId());
    unit = new TranslationUnit(host.machine(), guest, configuration.tlb());
    technique = Techniques.create(configuration, memory);
    mmu = technique.attach(unit, guest);
    clock = new MachineClock(configuration.clock());
    loop = new RunLoop(new Slices(), clock);
    board =
        new PcBoard(
            new PcBoard.Surroundings(
                clock::nanos,
                configuration.cpu().tscHz(),
                Instant.ofEpochSecond(configuration.epochSeconds()),
                configuration.memoryBytes(),
                new Power(),
                new Signals(),
                this::wake,
                serialOutput,
                debugOutput,
                memory,
                configuration.devices().stream()
                    .map(spec -> spec.build(configuration, memory))
                    .toList()));
    ExitReason nestedFault = Techniques.nestedFaultReason(configuration.technique());
    PcMonitor monitor = new PcMonitor(board, mmu, exits, nestedFault, boundary);
    vcpu = new Vcpu(host.machine(), unit, monitor);
    clock.attach(vcpu::instructions);
    vcpu.setModel(configuration.cpu());
    vcpu.setMaxDecodedOperations(configuration.jit().maxOperations());
    vcpu.setIntercepts(technique.intercepts());
    translator = new JitTranslator(configuration.jit());
    if (configuration.jit().mode() != JitMode.OFF) {
      vcpu.setTranslator(translator);
    }
    unit.setListener(vcpu);
    memory.setDerivedMappings(new MemoryChanges(technique, memory, vcpu));
    memory.setMoveGate(
        action ->
            atBoundary(
                () -> {
                  action.run();
                  return true;
                }));
    memory.setPressureListener(this::wake);
    memory.setFrameWait(loop::starveWorking);
    balloon().ifPresent(balloon -> memory.setBalloonControl(balloon.control()));
    memory.setWriteObserver(new OutsideWrites(technique, memory, vcpu));
  }

  private static VmMemory createMemory(PcConfiguration configuration, HostMemory host) {
    return host.createVm(
        GuestLayout.of(configuration.memoryBytes()),
        Techniques.placement(configuration.technique(), configuration.hugePages()));
  }

  /**
   * Builds a machine as the constructor does, on a host that goes on if that fails: what it had
   * been given until then goes back.
   */
  public static PcMachine create(
      PcConfiguration configuration, HostMemory host, ByteSink serialOutput, ByteSink debugOutput) {
    VmMemory memory = createMemory(configuration, host);
    try {
      return new PcMachine(configuration, host, memory, serialOutput, debugOutput);
    } catch (RuntimeException | Error failure) {
      memory.close();
      throw failure;
    }
  }

  // ---- starting ------------------------------------------------------------------------------

  /**
   * Loads an image with its ACPI tables and sets the vCPU to its entry.
   *
   * @throws memvisor.boot.ImageFormatException if the image is damaged or unknown
   * @throws memvisor.boot.BootException if it does not fit this machine
   */
  @Override
  public void boot(BootRequest request) {
    byte[] tables = AcpiTables.build(board.platform(), GuestLayout.ACPI_BASE);
    memory.load(GuestLayout.ACPI_BASE, tables, 0, tables.length);
    enter(BootLoader.load(request.withRsdp(GuestLayout.ACPI_BASE), memory));
  }

  /**
   * As {@link #boot(BootRequest)} where frames may be short.
   *
   * @param wait how to wait for some; the machine's pages may move meanwhile
   */
  public void boot(BootRequest request, FrameWait wait) {
    memory.setFrameWait(wait);
    try {
      boot(request);
    } finally {
      memory.setFrameWait(loop::starveWorking);
    }
  }

  private void enter(EntryState entry) {
    RegisterFile r = vcpu.registers();
    r.set(RegisterName.EFER, entry.efer());
    r.set(RegisterName.CR4, entry.cr4());
    r.set(RegisterName.CR3, entry.cr3());
    r.set(RegisterName.CR0, entry.cr0());
    r.set(RegisterName.GDTR_BASE, entry.gdtBase());
    r.set(RegisterName.GDTR_LIMIT, entry.gdtLimit());
    r.setSegment(SegmentName.CS, hidden(entry.code()));
    for (SegmentName name : DATA_SEGMENTS) {
      r.setSegment(name, hidden(entry.data()));
    }
    r.setSegment(SegmentName.TR, hidden(entry.task()));
    r.set(RegisterName.RAX, entry.registers().rax());
    r.set(RegisterName.RBX, entry.registers().rbx());
    r.set(RegisterName.RSI, entry.registers().rsi());
    r.set(RegisterName.RDI, entry.registers().rdi());
    r.set(RegisterName.RSP, entry.registers().rsp());
    r.set(RegisterName.RFLAGS, 2);
    r.set(RegisterName.RIP, entry.rip());
  }

  private static SegmentState hidden(memvisor.boot.SegmentState state) {
    return new SegmentState(state.selector(), state.base(), state.limit(), state.attributes());
  }

  // ---- running -------------------------------------------------------------------------------

  /**
   * Runs until the guest ends, somebody stops it, or {@code maxInstructions} more have retired.
   *
   * @param maxNanos wall time to run at most
   */
  @Override
  public RunOutcome run(long maxInstructions, long maxNanos) {
    vcpu.setLibrary(memory.common(CodeLibrary.class, configuration.jit()::newLibrary));
    return loop.run(maxInstructions, maxNanos);
  }

  /** Lets timers act, runs the vCPU to the next deadline, and handles why it came back. */
  private void slice(long budget, long lastNanos) {
    if (!advanceDevices()) {
      return;
    }
    if (retrying) {
      retry();
    }
    vcpu.setInterruptLine(board.interrupts().interruptPending());
    RunExit exit = vcpu.run(Math.min(budget, loop.sliceLength(board.timed().nextDeadlineNanos())));
    switch (exit) {
      case BUDGET, STOPPED -> {}
      case HALTED -> halted(lastNanos);
      case SHUTDOWN -> {
        exits.count(ExitReason.TRIPLE_FAULT, instructions(), 0);
        outcome = new RunOutcome.Died("triple fault: an exception could not be delivered");
      }
      case FAILED -> failed();
    }
  }

  private void failed() {
    Starvation.Advice advice =
        memory.isStarved()
            ? starvation.advice(instructions(), System.nanoTime())
            : Starvation.Advice.END;
    if (advice == Starvation.Advice.END) {
      outcome = new RunOutcome.Died(memory.failure().orElseGet(() -> "" + vcpu.failure()));
      return;
    }
    if (advice == Starvation.Advice.WAIT) {
      loop.starve(Starvation.PAUSE_NANOS);
    }
    retrying = true;
  }

  /** Memory has been looked after since: there may be a frame now. */
  private void retry() {
    retrying = false;
    memory.forgetStarvation();
    vcpu.recover();
  }

  private boolean advanceDevices() {
    try {
      board.timed().advance(clock.nanos());
      return true;
    } catch (HostMemoryException e) {
      // A device's page is lost, or it waited for a frame until there was no hope, or a stop.
      if (!loop.isStopping()) {
        outcome = new RunOutcome.Died(String.valueOf(e.getMessage()));
      }
      return false;
    }
  }

  private void halted(long lastNanos) {
    exits.count(ExitReason.HLT, instructions(), 0);
    long deadline = board.timed().nextDeadlineNanos();
    boolean waitsForever = deadline == Long.MAX_VALUE;
    if (waitsForever && !vcpu.interruptsEnabled()) {
      outcome = new RunOutcome.Died("halted with interrupts disabled: nothing can wake it");
      return;
    }
    loop.idle(deadline, lastNanos);
  }

  private void wake() {
    loop.wake();
  }

  /** Makes {@link #run} return {@link RunOutcome.Stopped}; from any thread. */
  @Override
  public void stop() {
    loop.stop();
  }

  /**
   * Has {@code action} performed at a block boundary, where the machine can be inspected and
   * changed, and returns its value; from any thread. A running machine performs it between two
   * slices, an idle or paused one wakes for it; one that nobody runs is kept from starting while
   * the calling thread performs it.
   *
   * @see RunLoop#atBoundary
   */
  @Override
  public <T> T atBoundary(Supplier<T> action) {
    return loop.atBoundary(action);
  }

  /** Holds the guest, and its clock, at the next block boundary; {@link #run} goes on waiting. */
  @Override
  public void pause() {
    loop.pause();
  }

  /** Lets a paused guest go on. */
  @Override
  public void resume() {
    loop.resume();
  }

  /** Whether the guest is held by {@link #pause}. */
  @Override
  public boolean isPaused() {
    return loop.isPaused();
  }

  /** Sends bytes to the guest's COM1; from any thread. */
  @Override
  public void sendSerial(byte[] bytes) {
    board.serial().receive(bytes);
  }

  /**
   * Sends bytes to the guest's virtio console; from any thread.
   *
   * @throws IllegalStateException if there is none
   */
  public void sendConsole(byte[] bytes) {
    board
        .virtio()
        .find(ConsoleDevice.class)
        .orElseThrow(() -> new IllegalStateException("the machine has no virtio console"))
        .receive(bytes);
  }

  /** Presses the ACPI power button; while the machine is not running. */
  public void pressPowerButton() {
    board.pressPowerButton();
  }

  // ---- inspecting ----------------------------------------------------------------------------

  /**
   * Switches measured running on or off (see {@link Vcpu#setMeasured}); on the running thread only.
   */
  @Override
  public void setMeasured(boolean on) {
    vcpu.setMeasured(on);
  }

  /** Instructions retired so far. */
  @Override
  public long instructions() {
    return vcpu.instructions();
  }

  /** The machine's clock. */
  @Override
  public MachineClock clock() {
    return clock;
  }

  /** Where the time of the running thread went; on that thread, or at a block boundary. */
  public RunLoop.Times times() {
    return loop.times();
  }

  /** Exits so far. */
  @Override
  public ExitStatistics exits() {
    return exits;
  }

  @Override
  public TranslationStatistics translation() {
    return TranslationStatistics.of(translator, vcpu);
  }

  /** What the translator has done; all zero where it is off. */
  public JitCounters translations() {
    return translator.counters();
  }

  /** The memory-management unit, with its counters. */
  @Override
  public TranslationUnit unit() {
    return unit;
  }

  @Override
  public TechniqueStatistics statistics() {
    return technique.statistics();
  }

  @Override
  public TechniqueKind kind() {
    return configuration.technique();
  }

  @Override
  public long memoryBytes() {
    return configuration.memoryBytes();
  }

  /** The technique. */
  @Override
  public Technique technique() {
    return technique;
  }

  /** The technique's side of the vCPU. */
  @Override
  public VcpuMmu mmu() {
    return mmu;
  }

  /** Guest memory. */
  @Override
  public VmMemory memory() {
    return memory;
  }

  /** What it was built from. */
  public PcConfiguration configuration() {
    return configuration;
  }

  /** The guest's paging registers. */
  @Override
  public PagingState paging() {
    return guest;
  }

  /** The vCPU's registers. */
  @Override
  public RegisterFile registers() {
    return vcpu.registers();
  }

  @Override
  public Optional<HotCode> codeAt(long hpa) {
    return vcpu.codeAt(hpa);
  }

  /** The balloon, if the machine has one. */
  public Optional<PcBalloon> balloon() {
    return board
        .virtio()
        .find(BalloonDevice.class)
        .map(
            device ->
                new PcBalloon(this, device, board.virtio().transport(device), memory.balloon()));
  }

  /** Has {@code action} performed at a block boundary soon, without waiting for it. */
  void post(Runnable action) {
    loop.post(action);
  }

  /** The ledger of the machine memory that the guest's frames come from. */
  @Override
  public Ledger ledger() {
    return host.ledger();
  }

  /** The ports that devices claim, in ascending order. */
  @Override
  public List<BusRange> portRanges() {
    return board.ports().ranges();
  }

  /** The windows of devices in the guest-physical address space, in ascending order. */
  @Override
  public List<BusRange> deviceWindows() {
    return board.mmio().ranges();
  }

  /** Gives every frame back; waits for actions of other threads that are under way. */
  @Override
  public void close() {
    loop.close();
    memory.close();
  }

  private final class Slices implements RunLoop.Slices {
    @Override
    public long instructions() {
      return vcpu.instructions();
    }

    @Override
    public @Nullable RunOutcome outcome() {
      return outcome;
    }

    @Override
    public void housekeep() {
      memory.housekeep(clock.nanos());
    }

    @Override
    public void slice(long budget, long lastNanos) {
      PcMachine.this.slice(budget, lastNanos);
    }

    @Override
    public void kick() {
      vcpu.kick();
    }

    @Override
    public boolean shouldWake() {
      return board.interrupts().interruptPending();
    }
  }

  private final class Power implements PowerEvents {
    @Override
    public void powerOff() {
      end(new RunOutcome.PoweredOff());
    }

    @Override
    public void reset() {
      end(new RunOutcome.Reset());
    }

    @Override
    public void debugExit(int value) {
      end(new RunOutcome.DebugExit(value));
    }

    private void end(RunOutcome how) {
      outcome = how;
      boundary.endSlice();
    }
  }

  private final class Signals implements ProcessorEvents {
    @Override
    public void interruptRequested() {
      boundary.endSlice();
    }

    @Override
    public void nmi() {
      boundary.endSlice();
    }

    @Override
    public void init() {
      outcome = new RunOutcome.Reset();
      boundary.endSlice();
    }

    @Override
    public void startUp(int vector) {
      // The bootstrap processor never waits for SIPI.
    }
  }

  private final class Boundary implements PcMonitor.Processor {
    @Override
    public long instructions() {
      return vcpu.instructions();
    }

    @Override
    public void endSlice() {
      vcpu.kick();
    }
  }
}
