package memvisor.machine.xen;

import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Supplier;
import memvisor.boot.BootRequest;
import memvisor.cpu.jit.JitMode;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.CodeLibrary;
import memvisor.cpu.x86.CpuModel;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.RegisterFile;
import memvisor.cpu.x86.RegisterName;
import memvisor.cpu.x86.RunExit;
import memvisor.cpu.x86.SegmentName;
import memvisor.cpu.x86.SegmentState;
import memvisor.cpu.x86.Vcpu;
import memvisor.device.BusRange;
import memvisor.device.ByteSink;
import memvisor.device.TimedDevice;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.frames.Ledger;
import memvisor.host.page.Placement;
import memvisor.machine.ExitReason;
import memvisor.machine.ExitStatistics;
import memvisor.machine.MachineClock;
import memvisor.machine.RunLoop;
import memvisor.machine.RunOutcome;
import memvisor.machine.TechniqueKind;
import memvisor.machine.TranslationStatistics;
import memvisor.machine.VirtualMachine;
import memvisor.memory.GuestMemoryMap;
import memvisor.memory.MemoryRegion;
import memvisor.mmu.TechniqueStatistics;
import memvisor.mmu.direct.DirectTechnique;
import memvisor.mmu.direct.DirectVcpu;
import memvisor.mmu.direct.FrameType;
import memvisor.mmu.direct.MonitorSlots;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationUnit;
import org.jspecify.annotations.Nullable;

/**
 * One paravirtual domain with one vCPU, on a share of a {@link HostMemory}.
 *
 * <p>Build it, {@link #boot} an unpacked PV kernel, then {@link #run} until the outcome. As with a
 * PC, everything happens on the thread that calls {@code run}; other threads may type, stop and
 * pause.
 */
public final class XenMachine implements VirtualMachine {
  private static final long CR0 = 0x8005_003BL; // PG, WP, NE, ET, TS, MP, PE
  private static final long CR4 = 0x6E0; // OSXMMEXCPT, OSFXSR, PGE, MCE, PAE
  private static final long EFER = 0xD01; // NXE, LMA, LME, SCE
  private static final int GDT_LIMIT = 0xEFFF;
  private static final int[] NOT_POLLING = {};

  private final XenConfiguration configuration;
  private final HostMemory host;
  private final ByteSink output;
  private final ByteSink debugOutput;
  private final VmMemory memory;
  private final PagingState guest = new PagingState();
  private final TranslationUnit unit;
  private final DirectTechnique technique;
  private final DirectVcpu mmu;
  private final ExitStatistics exits = new ExitStatistics();
  private final MachineClock clock;
  private final RunLoop loop;
  private final Vcpu vcpu;
  private final JitTranslator translator;
  private final Parts domain;
  private final EventChannels events;
  private final PvTimers timers;
  private final PvCpu cpu;
  private final Hypercalls hypercalls;
  private @Nullable PvConsole console;
  private @Nullable RunOutcome outcome;
  private boolean blocked;
  private int[] polled = NOT_POLLING;
  private long pollDeadlineNanos = TimedDevice.NEVER;

  /** A domain whose debug console nobody listens to. */
  public XenMachine(XenConfiguration configuration, HostMemory host, ByteSink output) {
    this(configuration, host, output, value -> {});
  }

  /**
   * Builds a domain and gives it memory.
   *
   * @param output takes what the guest writes to its console
   * @param debugOutput takes what the guest writes to the debug console, port E9h
   * @throws IllegalArgumentException if machine memory is too small
   */
  public XenMachine(
      XenConfiguration configuration, HostMemory host, ByteSink output, ByteSink debugOutput) {
    this.configuration = configuration;
    this.host = host;
    this.output = output;
    this.debugOutput = debugOutput;
    GuestMemoryMap map =
        GuestMemoryMap.EMPTY.with(
            new MemoryRegion(0, configuration.memoryBytes(), MemoryRegion.Kind.RAM));
    memory = host.createVm(map, Placement.SCATTERED);
    unit = new TranslationUnit(host.machine(), guest, configuration.tlb());
    technique = new DirectTechnique(memory);
    mmu = technique.attach(unit, guest);
    clock = new MachineClock(configuration.clock());
    domain = new Parts();
    vcpu = new Vcpu(host.machine(), unit, new XenMonitor(domain, mmu));
    domain.attach();
    clock.attach(vcpu::instructions);
    vcpu.setModel(configuration.cpu());
    vcpu.setMaxDecodedOperations(configuration.jit().maxOperations());
    vcpu.setIntercepts(technique.intercepts());
    unit.setListener(vcpu);
    translator = new JitTranslator(configuration.jit());
    if (configuration.jit().mode() != JitMode.OFF) {
      vcpu.setTranslator(translator);
    }
    memory.setMoveGate(
        action -> {
          throw new UnsupportedOperationException(
              "a guest under direct paging knows its machine frames: they cannot move");
        });
    loop = new RunLoop(new Slices(), clock);
    events = new EventChannels(domain.shared(), domain.memory());
    timers = new PvTimers(() -> events.raiseVirq(EventChannels.VIRQ_TIMER));
    cpu = new PvCpu(domain);
    hypercalls = new Hypercalls(domain, cpu, events, timers, configuration.batching());
    cpu.setHypercalls(hypercalls);
    vcpu.setSupervisor(cpu);
  }

  // ---- starting ------------------------------------------------------------------------------

  /**
   * Builds the domain around an unpacked kernel and sets the vCPU to its entry.
   *
   * @param request the ELF image, an initial RAM disk and the command line
   * @throws memvisor.boot.ImageFormatException if the image is damaged or no PV kernel
   * @throws memvisor.boot.BootException if it does not fit this domain
   */
  @Override
  public void boot(BootRequest request) {
    DomainBuilder.Start start =
        DomainBuilder.build(memory, technique, request, events.consolePort());
    enter(start);
    require(technique.types().pin(4, start.rootMfn()), "pinning the first page tables");
    require(mmu.start(start.rootMfn()), "loading the first page tables");
    require(technique.types().hold(start.consoleMfn(), FrameType.WRITABLE), "the console page");
    require(
        technique.types().hold(technique.sharedInfoMfn(), FrameType.WRITABLE), "the shared page");
    domain.shared().writeTime(configuration.epochSeconds());
    PvConsole ring = new PvConsole(output, host.machine(), start.consoleMfn());
    console = ring;
    events.setConsole(
        () -> {
          ring.drain();
          feedConsole(ring);
        });
  }

  private static void require(int error, String what) {
    if (error != 0) {
      throw new memvisor.boot.BootException(
          "the domain cannot be built: " + what + " failed with error " + -error);
    }
  }

  private void enter(DomainBuilder.Start start) {
    RegisterFile r = vcpu.registers();
    r.set(RegisterName.EFER, EFER);
    r.set(RegisterName.CR4, CR4);
    r.set(RegisterName.CR3, start.rootMfn() << 12);
    r.set(RegisterName.CR0, CR0 & ~8L);
    r.set(RegisterName.GDTR_BASE, MonitorSlots.GDT_GVA);
    r.set(RegisterName.GDTR_LIMIT, GDT_LIMIT);
    r.setSegment(SegmentName.CS, new SegmentState(PvCpu.KERNEL_CODE, 0, -1, 0xA0FB));
    r.setSegment(SegmentName.SS, new SegmentState(PvCpu.KERNEL_DATA, 0, -1, 0xC0F3));
    for (SegmentName name :
        List.of(SegmentName.ES, SegmentName.DS, SegmentName.FS, SegmentName.GS)) {
      r.setSegment(name, SegmentState.none());
    }
    r.setSegment(SegmentName.LDTR, SegmentState.none());
    // A TSS without an I/O map: every port is denied at CPL 3, and so exits.
    r.setSegment(SegmentName.TR, SegmentState.tss(0xE040, MonitorSlots.GDT_GVA, 0x67 - 1));
    r.initializeFloatingPoint();
    r.set(RegisterName.RSI, start.startInfo());
    r.set(RegisterName.RSP, start.stackTop());
    r.set(RegisterName.RFLAGS, PvCpu.FLAG_IF | 2);
    r.set(RegisterName.RIP, start.entry());
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

  private void feedConsole(PvConsole ring) {
    if (ring.hasInput() && ring.feed()) {
      events.raiseConsole();
    }
  }

  /** Lets timers act and events through, runs the vCPU, and handles why it came back. */
  private void slice(long budget, long lastNanos) {
    timers.advance(clock.nanos());
    PvConsole ring = console;
    if (ring != null) {
      feedConsole(ring);
    }
    if (!cpu.finishWork()) {
      return;
    }
    if (blocked) {
      if (!domain.shared().deliverable() && !isPollOver()) {
        loop.idle(Math.min(timers.nextDeadlineNanos(), pollDeadlineNanos), lastNanos);
        return;
      }
      blocked = false;
      polled = NOT_POLLING;
      pollDeadlineNanos = TimedDevice.NEVER;
      cpu.deliverEvents();
    } else if (cpu.deliverEvents()) {
      count(ExitReason.EXTERNAL_INTERRUPT, 0);
    }
    if (outcome != null) {
      return;
    }
    RunExit exit = vcpu.run(Math.min(budget, loop.sliceLength(timers.nextDeadlineNanos())));
    switch (exit) {
      case BUDGET, STOPPED -> {}
      case HALTED -> end(new RunOutcome.Died("the processor halted in ring 3"));
      case SHUTDOWN -> end(new RunOutcome.Died("the processor shut down"));
      case FAILED -> end(new RunOutcome.Died(String.valueOf(vcpu.failure())));
    }
  }

  private boolean isPollOver() {
    for (int port : polled) {
      if (domain.shared().isPending(port)) {
        return true;
      }
    }
    return clock.nanos() >= pollDeadlineNanos;
  }

  private void end(RunOutcome how) {
    if (outcome == null) {
      outcome = how;
    }
    vcpu.kick();
  }

  private void count(ExitReason reason, long detail) {
    exits.count(reason, vcpu.instructions(), detail);
  }

  /** Makes {@link #run} return {@link RunOutcome.Stopped}; from any thread. */
  @Override
  public void stop() {
    loop.stop();
  }

  /** Has {@code action} performed at a block boundary and returns its value; from any thread. */
  @Override
  public <T> T atBoundary(Supplier<T> action) {
    return loop.atBoundary(action);
  }

  /** Holds the guest, and its clock, at the next block boundary. */
  @Override
  public void pause() {
    loop.pause();
  }

  /** Lets a paused guest go on. */
  @Override
  public void resume() {
    loop.resume();
  }

  /** Sends bytes to the guest's console; from any thread. */
  @Override
  public void sendSerial(byte[] bytes) {
    PvConsole ring = console;
    if (ring != null) {
      ring.type(bytes);
      loop.wake();
    }
  }

  // ---- inspecting ----------------------------------------------------------------------------

  /** Switches measured running on or off (see {@link Vcpu#setMeasured}). */
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

  /** Exits so far. */
  @Override
  public ExitStatistics exits() {
    return exits;
  }

  /** The memory-management unit, with its counters. */
  @Override
  public TranslationUnit unit() {
    return unit;
  }

  /** Direct paging, with the page-type system. */
  @Override
  public DirectTechnique technique() {
    return technique;
  }

  /** The technique's side of the vCPU. */
  @Override
  public DirectVcpu mmu() {
    return mmu;
  }

  /** Guest memory. */
  @Override
  public VmMemory memory() {
    return memory;
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

  @Override
  public TechniqueKind kind() {
    return TechniqueKind.DIRECT;
  }

  @Override
  public long memoryBytes() {
    return configuration.memoryBytes();
  }

  @Override
  public boolean isPaused() {
    return loop.isPaused();
  }

  /** CR3 and the rest as the processor has them: CR3 is a machine address. */
  @Override
  public PagingState paging() {
    return guest;
  }

  @Override
  public Ledger ledger() {
    return host.ledger();
  }

  /** None: no port is a domain's. */
  @Override
  public List<BusRange> portRanges() {
    return List.of();
  }

  /** None: a domain has no device. */
  @Override
  public List<BusRange> deviceWindows() {
    return List.of();
  }

  /** As for any machine, and the last hypercalls that failed. */
  @Override
  public String postMortem() {
    StringBuilder text = new StringBuilder(VirtualMachine.super.postMortem());
    text.append("last hypercalls that failed:\n");
    failedHypercalls().forEach(call -> text.append("  ").append(call).append('\n'));
    return text.toString();
  }

  /** What it was built from. */
  public XenConfiguration configuration() {
    return configuration;
  }

  /** What the technique did, and the hypercalls that asked for it. */
  @Override
  public TranslationStatistics translation() {
    return TranslationStatistics.of(translator, vcpu);
  }

  @Override
  public TechniqueStatistics statistics() {
    TechniqueStatistics own = technique.statistics();
    TreeMap<String, Long> all = new TreeMap<>(own.counters());
    all.putAll(hypercalls.statistics());
    return new TechniqueStatistics(own.name(), own.tableFrames(), all);
  }

  /** The last hypercalls that failed, oldest first. */
  public List<String> failedHypercalls() {
    return hypercalls.failures();
  }

  /** Gives every frame back. */
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
    public void slice(long budget, long lastNanos) {
      XenMachine.this.slice(budget, lastNanos);
    }

    @Override
    public void kick() {
      vcpu.kick();
    }

    @Override
    public boolean shouldWake() {
      PvConsole ring = console;
      return ring != null && ring.hasInput();
    }
  }

  /** The machine as its parts see it. */
  private final class Parts implements Domain {
    private final SharedInfo shared =
        new SharedInfo(host.machine(), technique.sharedInfoMfn() << 12);
    private final GuestPointers pointers =
        new GuestPointers(unit, host.machine(), (hpa, length) -> vcpu().codeWritten(hpa, length));
    private @Nullable RegisterFile registers;

    private Vcpu vcpu() {
      return vcpu;
    }

    void attach() {
      registers = vcpu.registers();
    }

    @Override
    public RegisterFile registers() {
      return java.util.Objects.requireNonNull(registers);
    }

    @Override
    public DirectVcpu mmu() {
      return mmu;
    }

    @Override
    public DirectTechnique technique() {
      return technique;
    }

    @Override
    public GuestPointers memory() {
      return pointers;
    }

    @Override
    public SharedInfo shared() {
      return shared;
    }

    @Override
    public CpuModel model() {
      return configuration.cpu();
    }

    @Override
    public long nanos() {
      return clock.nanos();
    }

    @Override
    public void count(ExitReason reason, long detail) {
      XenMachine.this.count(reason, detail);
    }

    @Override
    public void crash(String reason) {
      end(new RunOutcome.Died("the domain crashed: " + reason));
    }

    @Override
    public void shutDown(int reason) {
      end(
          switch (reason) {
            case 0 -> new RunOutcome.PoweredOff();
            case 1 -> new RunOutcome.Reset();
            default -> new RunOutcome.Died("the guest reported a crash: reason=" + reason);
          });
    }

    @Override
    public boolean hasEnded() {
      return outcome != null;
    }

    @Override
    public void block() {
      blocked = true;
      vcpu.kick();
    }

    @Override
    public void poll(int[] ports, long deadlineNanos) {
      polled = ports;
      pollDeadlineNanos = deadlineNanos;
      block();
    }

    @Override
    public int typed() {
      PvConsole ring = console;
      return ring == null ? -1 : ring.next();
    }

    @Override
    public void endSlice() {
      vcpu.kick();
    }

    @Override
    public void print(int value) {
      output.accept(value);
    }

    @Override
    public void debug(int value) {
      debugOutput.accept(value);
    }
  }
}
