package memvisor.cpu.jit;

import memvisor.cpu.x86.HotCode;

/**
 * The fixed locals of a generated method: guest registers, the arrays that hold processor state,
 * RIP at entry, instructions retired, and where to leave to.
 */
final class Frame {
  private static final int REGISTERS = 16;

  private final Emitter e;
  private final int[] registers = new int[REGISTERS];
  private final RegisterUse use;
  private final int gpr;

  /** RIP of the entry block (long). */
  final int base;

  /** Instructions retired in blocks that have ended (int). */
  final int retired;

  /** RIP to leave with (long), and the exit's number (int). */
  final int target;

  final int exit;

  /** Scratch: a guest address (long). */
  final int address;

  Frame(Emitter e, HotCode code) {
    this.e = e;
    this.use = new RegisterUse(code);
    this.gpr = e.newReference();
    this.base = e.newLong();
    this.retired = e.newInt();
    this.target = e.newLong();
    this.exit = e.newInt();
    this.address = e.newLong();
    for (int r = 0; r < REGISTERS; r++) {
      registers[r] = use.isUsed(r) ? e.newLong() : -1;
    }
  }

  /** The local that holds a guest register. */
  int register(int number) {
    return registers[number];
  }

  void prologue() {
    e.pushArray("gpr");
    e.b.astore(gpr);
    e.pushLongField("rip");
    e.b.lstore(base);
    e.b.iconst_0().istore(retired);
    reload();
  }

  /** Loads the locals from the processor. */
  void reload() {
    reload(-1);
  }

  /** Loads the locals of those registers of a bit set that have one. */
  void reload(int registerSet) {
    for (int r = 0; r < REGISTERS; r++) {
      if (use.isUsed(r) && (registerSet >>> r & 1) != 0) {
        e.b.aload(gpr);
        e.constant(r);
        e.b.laload().lstore(registers[r]);
      }
    }
  }

  /** Stores those registers of a bit set that the code may have written. */
  void spill(int registerSet) {
    for (int r = 0; r < REGISTERS; r++) {
      if (use.isWritten(r) && (registerSet >>> r & 1) != 0) {
        store(r);
      }
    }
  }

  /** Stores the registers that the code may have written. */
  void spill() {
    spill(-1);
  }

  private void store(int r) {
    e.b.aload(gpr);
    e.constant(r);
    e.b.lload(registers[r]).lastore();
  }
}
