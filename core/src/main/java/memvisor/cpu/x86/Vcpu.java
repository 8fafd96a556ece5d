package memvisor.cpu.x86;

import memvisor.address.Access;
import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;
import memvisor.paging.PagingState;
import memvisor.tlb.TranslationListener;
import memvisor.tlb.TranslationResult;
import memvisor.tlb.TranslationUnit;

/**
 * One virtual processor: architectural state, and access to memory through the translation cache.
 *
 * <p>Confined to one thread while it runs. Loads and stores report a fault by leaving {@link
 * #fault} non-zero; every operation tests it after the access and returns {@link MicroOp#FAULT}.
 */
public final class Vcpu implements TranslationListener {
  /** Pseudo-register that always reads zero. */
  static final int ZERO = 16;

  /** Pseudo-register that holds the linear start of the running block. */
  static final int BLOCK = 17;

  static final int RAX = 0;
  static final int RCX = 1;
  static final int RDX = 2;
  static final int RBX = 3;
  static final int RSP = 4;
  static final int RBP = 5;
  static final int RSI = 6;
  static final int RDI = 7;

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
  final PagingState paging = new PagingState();

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

  /** Instructions retired since reset; exact at block boundaries. */
  long instructions;

  final Monitor monitor;
  final TranslationUnit unit;
  final MachineMemory machine;

  final Msrs msrs = new Msrs(this);
  final ControlRegisters controls = new ControlRegisters(this);
  final ExceptionDelivery exceptions = new ExceptionDelivery(this);
  final StackCursor stack = new StackCursor(this);

  private final TranslationCache userCache = new TranslationCache();
  private final TranslationCache supervisorCache = new TranslationCache();
  private final TranslationCache supervisorAcCache = new TranslationCache();
  private final TranslationResult result = new TranslationResult();

  /** The cache for the current CPL and AC; its arrays are copied to the fields below. */
  private TranslationCache cache = supervisorCache;

  private long[] readTag = cache.readTag;
  private long[] readAddend = cache.readAddend;
  private long[] writeTag = cache.writeTag;
  private long[] writeAddend = cache.writeAddend;

  /** USER and AC bits for accesses at the current privilege. */
  private int accessMode;

  /** A processor in the state after RESET, with memory reached through {@code unit}. */
  public Vcpu(MachineMemory machine, TranslationUnit unit, Monitor monitor) {
    this.machine = machine;
    this.unit = unit;
    this.monitor = monitor;
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
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (readTag[i] == (gva & -4096L)) {
      return Hva.readByte(gva + readAddend[i]);
    }
    return slowLoad(gva, 1, accessMode);
  }

  long load16(long gva) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (readTag[i] == (gva + 1 & -4096L)) {
      return Hva.readShort(gva + readAddend[i]);
    }
    return slowLoad(gva, 2, accessMode);
  }

  long load32(long gva) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (readTag[i] == (gva + 3 & -4096L)) {
      return Hva.readInt(gva + readAddend[i]) & 0xFFFF_FFFFL;
    }
    return slowLoad(gva, 4, accessMode);
  }

  long load64(long gva) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (readTag[i] == (gva + 7 & -4096L)) {
      return Hva.readLong(gva + readAddend[i]);
    }
    return slowLoad(gva, 8, accessMode);
  }

  void store8(long gva, long value) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (writeTag[i] == (gva & -4096L)) {
      Hva.writeByte(gva + writeAddend[i], (int) value);
    } else {
      slowStore(gva, 1, value, accessMode);
    }
  }

  void store16(long gva, long value) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (writeTag[i] == (gva + 1 & -4096L)) {
      Hva.writeShort(gva + writeAddend[i], (int) value);
    } else {
      slowStore(gva, 2, value, accessMode);
    }
  }

  void store32(long gva, long value) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (writeTag[i] == (gva + 3 & -4096L)) {
      Hva.writeInt(gva + writeAddend[i], (int) value);
    } else {
      slowStore(gva, 4, value, accessMode);
    }
  }

  void store64(long gva, long value) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (writeTag[i] == (gva + 7 & -4096L)) {
      Hva.writeLong(gva + writeAddend[i], value);
    } else {
      slowStore(gva, 8, value, accessMode);
    }
  }

  /** Reads for a read-modify-write: a missing write permission faults now, as a write. */
  long loadForWrite(long gva, int sizeBytes) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (writeTag[i] == (gva + sizeBytes - 1 & -4096L)) {
      return readHva(gva + writeAddend[i], sizeBytes);
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

  /**
   * Reads from a descriptor table or TSS: a supervisor access whatever the CPL, without AC (Intel
   * SDM vol. 3A, 4.6.1).
   */
  long loadSystem(long gva, int sizeBytes) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (supervisorCache.readTag[i] == (gva + sizeBytes - 1 & -4096L)) {
      return readHva(gva + supervisorCache.readAddend[i], sizeBytes);
    }
    return slowLoad(gva, sizeBytes, Access.IMPLICIT);
  }

  /** Writes to a descriptor table or TSS; see {@link #loadSystem}. */
  void storeSystem(long gva, int sizeBytes, long value) {
    int i = (int) (gva >>> 12) & TranslationCache.MASK;
    if (supervisorCache.writeTag[i] == (gva + sizeBytes - 1 & -4096L)) {
      writeHva(gva + supervisorCache.writeAddend[i], sizeBytes, value);
    } else {
      slowStore(gva, sizeBytes, value, Access.IMPLICIT);
    }
  }

  /** TODO(CPU): see the brief: page-crossing, devices, tracked and code pages, faults. */
  private long slowLoad(long gva, int sizeBytes, int access) {
    throw new UnsupportedOperationException("gva=" + gva + sizeBytes + access + result + cache);
  }

  private void slowStore(long gva, int sizeBytes, long value, int access) {
    throw new UnsupportedOperationException("gva=" + gva + sizeBytes + access + value);
  }

  // ---- faults ------------------------------------------------------------------------------

  /** Leaves an exception pending; returns {@link MicroOp#FAULT} for the operation to return. */
  int raise(int vector, int errorCode) {
    fault = vector + 1;
    faultErrorCode = errorCode;
    return MicroOp.FAULT;
  }

  // ---- translations ------------------------------------------------------------------------

  @Override
  public void translationsInvalidated() {
    userCache.flush();
    supervisorCache.flush();
    supervisorAcCache.flush();
  }

  @Override
  public void pageInvalidated(long gva) {
    userCache.flushPage(gva);
    supervisorCache.flushPage(gva);
    supervisorAcCache.flushPage(gva);
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
    readTag = cache.readTag;
    readAddend = cache.readAddend;
    writeTag = cache.writeTag;
    writeAddend = cache.writeAddend;
  }
}
