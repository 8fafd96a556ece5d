package memvisor.cpu.x86;

import java.util.Optional;
import memvisor.address.Access;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationListener;
import memvisor.tlb.TranslationUnit;
import org.jspecify.annotations.Nullable;

/**
 * One virtual processor: architectural state, and access to memory through the translation cache.
 *
 * <p>Confined to one thread while it runs. Loads and stores report a fault by leaving {@link
 * #fault} non-zero; every operation tests it after the access and returns {@link MicroOp#FAULT}.
 */
public final class Vcpu implements TranslationListener {
  /** Pseudo-register that always reads zero. */
  static final int ZERO = 16;

  /** Pseudo-register that holds the RIP of the first instruction of the running block. */
  static final int BLOCK = 17;

  static final int RAX = 0;
  static final int RCX = 1;
  static final int RDX = 2;
  static final int RBX = 3;
  static final int RSP = 4;
  static final int RBP = 5;
  static final int RSI = 6;
  static final int RDI = 7;

  /** Value of {@link #fault} when no exception is pending but the processor cannot go on. */
  static final int FAILED = -1;

  static final int ES = 0;
  static final int CS = 1;
  static final int SS = 2;
  static final int DS = 3;
  static final int FS = 4;
  static final int GS = 5;
  static final int TR = 6;
  static final int LDTR = 7;

  /**
   * RAX … R15, then {@link #ZERO} and {@link #BLOCK}. 8-bit high registers are decoded separately.
   */
  final long[] gpr = new long[18];

  /** RIP of the instruction to execute next; inside a block it is stale until the block ends. */
  long rip;

  /** Arithmetic flags, computed lazily; and the other bits of RFLAGS. */
  final Flags flags = new Flags();

  /** Segment bases by register number; long mode leaves ES, CS, SS and DS at 0. */
  final long[] segmentBase = new long[8];

  final int[] segmentSelector = new int[8];

  /** Limits in bytes, granularity applied, as unsigned 32-bit values. */
  final int[] segmentLimit = new int[8];

  /**
   * Descriptor bits 40–55 in place 0–15: type, S, DPL, P, (limit), AVL, L, D/B, G; 0 is unusable.
   */
  final int[] segmentAttributes = new int[8];

  /**
   * Bases of ES, CS, SS and DS as their descriptors gave them: 64-bit code runs with {@link
   * #segmentBase} 0, and compatibility code gets these back.
   */
  final long[] descriptorBase = new long[4];

  long gdtBase;
  int gdtLimit;
  long idtBase;
  int idtLimit;

  /** CR0, CR3, CR4, EFER. */
  final PagingState paging;

  long cr2;

  /** Current privilege level, 0 to 3. */
  int cpl;

  /**
   * 64-bit code runs: EFER.LMA and CS.L. Kept by the loads of CS and the control registers; part of
   * the decoder's key.
   */
  boolean longMode;

  /**
   * CS.D outside 64-bit code. Kept by the loads of CS and the control registers; part of the
   * decoder's key.
   */
  boolean default32;

  /** CR0.PE. Kept by the loads of CS and the control registers; part of the decoder's key. */
  boolean protectedMode;

  /** DR0–DR7; breakpoints are stored, never hit. */
  final long[] debugRegisters = new long[8];

  /** XCR0. */
  long xcr0 = 1;

  /** State of the generator behind RDRAND. */
  long randomState;

  /** HLT was executed: nothing runs until an interrupt is delivered. */
  boolean halted;

  /** A triple fault happened: nothing runs until reset. */
  boolean shutdown;

  /**
   * STI or a load of SS was the last instruction: no interrupt is delivered before the next one has
   * ended. The run loop clears it after that.
   */
  boolean interruptShadow;

  /** The pending exception: 0 for none, else vector + 1. */
  int fault;

  /** Error code of the pending exception, for vectors that have one. */
  int faultErrorCode;

  /** XMM0–XMM15 as pairs of longs, low half first. */
  final long[] xmm = new long[32];

  /** x87 registers and MXCSR. */
  final FpuState fpu = new FpuState();

  /** Instructions retired before the running block; see {@link #instructions()}. */
  long instructions;

  /** Instructions of the running block that have retired. */
  int position;

  /** The interrupt controller requests an interrupt. */
  private boolean interruptLine;

  private @Nullable String failure;

  /** The run loop has something to see to before the next block; set by any thread. */
  volatile boolean attention;

  private volatile boolean kicked;
  private volatile boolean stopRequested;

  final Monitor monitor;
  final TranslationUnit unit;
  final MachineMemory machine;

  /** Stands in for ring 0; null where the guest's own descriptor tables do. */
  @Nullable SupervisorPort supervisor;

  final Msrs msrs = new Msrs(this);
  final ControlRegisters controls;
  final ExceptionDelivery exceptions = new ExceptionDelivery(this);
  final StackCursor stack = new StackCursor(this);

  private final TranslationCache userCache = new TranslationCache();
  private final TranslationCache supervisorCache = new TranslationCache();
  private final TranslationCache supervisorAcCache = new TranslationCache();
  final JumpCache jumps = new JumpCache();
  final Interpreter interpreter = new Interpreter(this, jumps);
  final MemoryPath path = new MemoryPath(this);
  final CodeCache code;
  private CodeLibrary library = new CodeLibrary();

  /** The cache for the current CPL and AC. */
  private TranslationCache cache = supervisorCache;

  /** Where its entries are. */
  long table = cache.table;

  /** The translation that runs, or ran last. */
  CompiledCode translation = CompiledCode.NOTHING;

  /** Translated code enters no block with which it would have retired more than this. */
  int translatedLimit;

  /** USER and AC bits for accesses at the current privilege. */
  private int accessMode;

  /** A processor in the state after RESET, with memory reached through {@code unit}. */
  public Vcpu(MachineMemory machine, TranslationUnit unit, Monitor monitor) {
    paging = unit.guest();
    controls = new ControlRegisters(this);
    this.machine = machine;
    this.unit = unit;
    this.monitor = monitor;
    this.code = new CodeCache(machine);
    reset();
  }

  // ---- model -------------------------------------------------------------------------------

  private CpuModel model = CpuModel.atom();
  private long features = model.featureBits();

  /** What the processor says of itself and obeys. */
  public CpuModel model() {
    return model;
  }

  /** Chooses the model; before the processor runs. */
  public void setModel(CpuModel newModel) {
    model = newModel;
    features = newModel.featureBits();
    paging.setPhysicalAddressBits(newModel.physicalAddressBits());
  }

  /** Has blocks that are executed often translated; before the processor runs. */
  public void setTranslator(Translator translator) {
    interpreter.setTranslator(translator);
  }

  /**
   * Shares decoded and translated code with whoever has the same library; while the processor does
   * not run. What it has decoded before stays.
   */
  public void setLibrary(CodeLibrary shared) {
    library = shared;
  }

  /** Bounds the operations that are kept decoded; all are dropped beyond it. */
  public void setMaxDecodedOperations(long limit) {
    code.setMaxOperations(limit);
  }

  /** How often that happened. */
  public long codeFlushes() {
    return code.flushes();
  }

  CodeLibrary library() {
    return library;
  }

  /**
   * The code with an instruction at a host physical address: as it is executed, or if it is not, as
   * it would be in the current mode. Empty where that instruction goes on in another page. Changes
   * nothing; not while the processor runs.
   */
  public Optional<HotCode> codeAt(long hpa) {
    return interpreter.codeAt(hpa);
  }

  /** Instructions that translated code has retired. */
  public long translatedInstructions() {
    return interpreter.warmInstructions() + interpreter.hotInstructions();
  }

  /** Those of them that translations retired which replaced others that had run for long. */
  public long hotInstructions() {
    return interpreter.hotInstructions();
  }

  /** Sends exceptions and system calls to the monitor; before the processor runs. */
  public void setSupervisor(SupervisorPort port) {
    supervisor = port;
  }

  /** Puts the processor into the state after RESET; the model stays. */
  public void reset() {
    ResetState.apply(this);
    fpu.reset();
    updateAttention();
  }

  /** The registers, for set-up and inspection while the processor does not run. */
  public RegisterFile registers() {
    return new RegisterFile(this);
  }

  /** Whether a feature is advertised, and hence enabled. */
  boolean has(CpuFeature feature) {
    return (features >>> feature.ordinal() & 1) != 0;
  }

  /**
   * Whether an address is canonical for the bases that registers hold: the width that the processor
   * supports, whatever CR4.LA57 says (Intel SDM vol. 3A, 4.5.2).
   */
  boolean isCanonicalForRegisters(long address) {
    int unused = has(CpuFeature.LA57) ? 7 : 16;
    return address << unused >> unused == address;
  }

  // ---- memory ------------------------------------------------------------------------------

  long load8(long gva) {
    if (TranslationCache.isReadable(table, gva, 0)) {
      return Hva.readByte(TranslationCache.readableHva(table, gva));
    }
    return slowLoad(gva, 1, accessMode);
  }

  long load16(long gva) {
    if (TranslationCache.isReadable(table, gva, 1)) {
      return Hva.readShort(TranslationCache.readableHva(table, gva));
    }
    return slowLoad(gva, 2, accessMode);
  }

  long load32(long gva) {
    if (TranslationCache.isReadable(table, gva, 3)) {
      return Hva.readInt(TranslationCache.readableHva(table, gva)) & 0xFFFF_FFFFL;
    }
    return slowLoad(gva, 4, accessMode);
  }

  long load64(long gva) {
    if (TranslationCache.isReadable(table, gva, 7)) {
      return Hva.readLong(TranslationCache.readableHva(table, gva));
    }
    return slowLoad(gva, 8, accessMode);
  }

  void store8(long gva, long value) {
    if (TranslationCache.isWritable(table, gva, 0)) {
      Hva.writeByte(TranslationCache.writableHva(table, gva), (int) value);
    } else {
      slowStore(gva, 1, value, accessMode);
    }
  }

  void store16(long gva, long value) {
    if (TranslationCache.isWritable(table, gva, 1)) {
      Hva.writeShort(TranslationCache.writableHva(table, gva), (int) value);
    } else {
      slowStore(gva, 2, value, accessMode);
    }
  }

  void store32(long gva, long value) {
    if (TranslationCache.isWritable(table, gva, 3)) {
      Hva.writeInt(TranslationCache.writableHva(table, gva), (int) value);
    } else {
      slowStore(gva, 4, value, accessMode);
    }
  }

  void store64(long gva, long value) {
    if (TranslationCache.isWritable(table, gva, 7)) {
      Hva.writeLong(TranslationCache.writableHva(table, gva), value);
    } else {
      slowStore(gva, 8, value, accessMode);
    }
  }

  /** Reads for a read-modify-write: a missing write permission faults now, as a write. */
  long loadForWrite(long gva, int sizeBytes) {
    if (TranslationCache.isWritable(table, gva, sizeBytes - 1)) {
      return readHva(TranslationCache.writableHva(table, gva), sizeBytes);
    }
    return slowLoad(gva, sizeBytes, accessMode | Access.WRITE);
  }

  static long readHva(long hva, int sizeBytes) {
    return switch (sizeBytes) {
      case 1 -> Hva.readByte(hva);
      case 2 -> Hva.readShort(hva);
      case 4 -> Hva.readInt(hva) & 0xFFFF_FFFFL;
      default -> Hva.readLong(hva);
    };
  }

  static void writeHva(long hva, int sizeBytes, long value) {
    switch (sizeBytes) {
      case 1 -> Hva.writeByte(hva, (int) value);
      case 2 -> Hva.writeShort(hva, (int) value);
      case 4 -> Hva.writeInt(hva, (int) value);
      default -> Hva.writeLong(hva, value);
    }
  }

  private long slowLoad(long gva, int sizeBytes, int access) {
    return path.load(gva, sizeBytes, access, cache);
  }

  private void slowStore(long gva, int sizeBytes, long value, int access) {
    path.store(gva, sizeBytes, value, access, cache);
  }

  /** Loads 1, 2, 4 or 8 bytes, zero-extended. */
  long load(long gva, int sizeBytes) {
    return switch (sizeBytes) {
      case 1 -> load8(gva);
      case 2 -> load16(gva);
      case 4 -> load32(gva);
      default -> load64(gva);
    };
  }

  /** Stores the low 1, 2, 4 or 8 bytes of {@code value}. */
  void store(long gva, int sizeBytes, long value) {
    switch (sizeBytes) {
      case 1 -> store8(gva, value);
      case 2 -> store16(gva, value);
      case 4 -> store32(gva, value);
      default -> store64(gva, value);
    }
  }

  /** Stores 16 bytes, or faults having stored none. */
  void store128(long gva, long low, long high) {
    if (TranslationCache.isWritable(table, gva, 15)) {
      Hva.writeLong(TranslationCache.writableHva(table, gva), low);
      Hva.writeLong(TranslationCache.writableHva(table, gva) + 8, high);
    } else if (checkWrite(gva, 16)) {
      store64(gva, low);
      store64(gva + 8, high);
    }
  }

  /** Whether a write of up to a page's size at {@code gva} would succeed; false leaves a fault. */
  boolean checkWrite(long gva, int sizeBytes) {
    return fault == 0
        && (TranslationCache.isWritable(table, gva, sizeBytes - 1)
            || path.probe(gva, sizeBytes, accessMode | Access.WRITE));
  }

  /** Whether a read of up to a page's size at {@code gva} would succeed; false leaves a fault. */
  boolean checkRead(long gva, int sizeBytes) {
    return fault == 0
        && (TranslationCache.isReadable(table, gva, sizeBytes - 1)
            || path.probe(gva, sizeBytes, accessMode));
  }

  /**
   * The host address of plain memory for a read inside one page, else 0; a fault may be pending.
   */
  long hvaForRead(long gva) {
    return TranslationCache.isReadable(table, gva, 0)
        ? TranslationCache.readableHva(table, gva)
        : path.hva(gva, accessMode, cache);
  }

  /** As {@link #hvaForRead} for reads and writes: no code, not tracked, no device. */
  long hvaForWrite(long gva) {
    return TranslationCache.isWritable(table, gva, 0)
        ? TranslationCache.writableHva(table, gva)
        : path.hva(gva, accessMode | Access.WRITE, cache);
  }

  // ---- implicit supervisor accesses: descriptor tables, TSS, stacks of a new privilege level ---

  /** Loads from a system table, as a supervisor whatever the CPL; zero-extended. */
  long loadSystem(long gva, int sizeBytes) {
    if (TranslationCache.isReadable(supervisorCache.table, gva, sizeBytes - 1)) {
      return readHva(TranslationCache.readableHva(supervisorCache.table, gva), sizeBytes);
    }
    return path.load(gva, sizeBytes, Access.IMPLICIT, supervisorCache);
  }

  long loadSystem64(long gva) {
    return loadSystem(gva, 8);
  }

  /** Stores into a system table or onto a more privileged stack, as a supervisor. */
  void storeSystem(long gva, int sizeBytes, long value) {
    if (TranslationCache.isWritable(supervisorCache.table, gva, sizeBytes - 1)) {
      writeHva(TranslationCache.writableHva(supervisorCache.table, gva), sizeBytes, value);
    } else {
      path.store(gva, sizeBytes, value, Access.IMPLICIT, supervisorCache);
    }
  }

  /** Whether a supervisor could write {@code [gva, gva + sizeBytes)}; false leaves a fault. */
  boolean checkSystemWrite(long gva, int sizeBytes) {
    return fault == 0 && path.probe(gva, sizeBytes, Access.IMPLICIT | Access.WRITE);
  }

  // ---- faults ------------------------------------------------------------------------------

  /** Leaves an exception pending; returns {@link MicroOp#FAULT} for the operation to return. */
  int raise(int vector, int errorCode) {
    fault = vector + 1;
    faultErrorCode = errorCode;
    return MicroOp.FAULT;
  }

  /** Stops the processor for good: the monitor or the machine cannot go on. */
  void fail(String reason) {
    failure = reason;
    attention = true;
    fault = FAILED;
  }

  /**
   * Goes on after a failure whose cause is gone: the instruction that failed, which changed
   * nothing, is executed again, and an event whose delivery failed is delivered.
   */
  public void recover() {
    failure = null;
    fault = 0;
    exceptions.redeliver();
    updateAttention();
  }

  /** Why {@link #run} ended with {@link RunExit#FAILED}; null otherwise. */
  public @Nullable String failure() {
    return failure;
  }

  // ---- running -----------------------------------------------------------------------------

  /** Runs until {@code maxInstructions} have retired or something else ends the run. */
  public RunExit run(long maxInstructions) {
    return interpreter.run(maxInstructions);
  }

  /** Instructions retired since reset, exact even while a device is being accessed. */
  public long instructions() {
    return instructions + position;
  }

  /** Raises or lowers the interrupt controller's request; called by the vCPU's own thread. */
  public void setInterruptLine(boolean raised) {
    interruptLine = raised;
    updateAttention();
  }

  /** Whether RFLAGS.IF lets interrupts through. */
  public boolean interruptsEnabled() {
    return (flags.system & Flags.IF) != 0;
  }

  /** Makes {@link #run} return BUDGET soon; may be called by any thread. */
  public void kick() {
    kicked = true;
    attention = true;
  }

  /** Makes {@link #run} return STOPPED soon; may be called by any thread. */
  public void requestStop() {
    stopRequested = true;
    attention = true;
  }

  /** Shut down or failed: nothing can be executed. */
  boolean hasEnded() {
    return shutdown || failure != null;
  }

  /** Whether the next instruction must be executed alone. */
  boolean stepwise() {
    return interruptShadow || (flags.system & Flags.TF) != 0;
  }

  boolean interruptDeliverable() {
    return interruptLine && !interruptShadow && (flags.system & Flags.IF) != 0;
  }

  /** Recomputes whether the run loop has anything to see to besides executing. */
  void updateAttention() {
    boolean wanted = halted || hasEnded() || interruptDeliverable();
    if (attention != wanted) {
      attention = wanted;
    }
    if (kicked || stopRequested) {
      attention = true;
    }
  }

  boolean takeStop() {
    boolean requested = stopRequested;
    stopRequested = false;
    return requested;
  }

  boolean takeKick() {
    boolean requested = kicked;
    kicked = false;
    return requested;
  }

  /** Chooses which events exit to the monitor. */
  public void setIntercepts(Intercepts intercepts) {
    path.setIntercepts(intercepts);
  }

  Intercepts intercepts() {
    return path.intercepts();
  }

  // ---- code --------------------------------------------------------------------------------

  /** Memory was written by somebody else (DMA, a loader): code decoded from it is dropped. */
  public void codeWritten(long hpa, long lengthBytes) {
    code.written(hpa, lengthBytes);
  }

  /** A frame is about to change owner: code decoded from it is dropped. */
  public void frameDiscarded(long hpa) {
    code.written(hpa & -4096L, 4096);
  }

  /** A frame holds decoded code from now on: stores to it must take the slow path. */
  void forbidCachedWrites(long hpa) {
    long hva = machine.hva(hpa & -4096L);
    userCache.flushWrites(hva);
    supervisorCache.flushWrites(hva);
    supervisorAcCache.flushWrites(hva);
  }

  // ---- translations ------------------------------------------------------------------------

  /**
   * Switches measured running on or off: no translation is kept outside the translation unit, which
   * then sees every access, in order, and counts it. Slower; the guest cannot tell.
   */
  public void setMeasured(boolean on) {
    path.setMeasured(on);
    translationsInvalidated();
  }

  @Override
  public void translationsInvalidated() {
    userCache.flush();
    supervisorCache.flush();
    supervisorAcCache.flush();
    jumps.flush();
  }

  @Override
  public void nonGlobalInvalidated() {
    userCache.flushNonGlobal();
    supervisorCache.flushNonGlobal();
    supervisorAcCache.flushNonGlobal();
    jumps.flushNonGlobal();
  }

  @Override
  public void pageInvalidated(long gva) {
    userCache.flushPage(gva);
    supervisorCache.flushPage(gva);
    supervisorAcCache.flushPage(gva);
    jumps.flushPage(gva);
  }

  /** Chooses the translation cache after CPL, AC or CR4.SMAP changed. */
  void privilegeChanged() {
    boolean ac = (paging.cr4() & PagingState.CR4_SMAP) != 0 && flags.ac();
    if (cpl == 3) {
      cache = userCache;
      accessMode = Access.USER;
    } else if (ac) {
      cache = supervisorAcCache;
      accessMode = Access.AC;
    } else {
      cache = supervisorCache;
      accessMode = 0;
    }
    table = cache.table;
  }
}
