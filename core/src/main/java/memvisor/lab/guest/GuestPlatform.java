package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.AL;

import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Register;
import memvisor.lab.Workload;

/**
 * What the kernel and its workloads ask of whatever is beneath them, a processor or a monitor: to
 * start, to change page tables, to take page faults, to print and to end.
 *
 * <p>Each method emits code where it is called, or the routines that such code calls. Addresses of
 * tables are guest-physical, and equal to their virtual ones. Unless a method says what it keeps,
 * what it emits changes the registers that a routine may change.
 */
abstract sealed class GuestPlatform permits PcPlatform, DomainPlatform {
  final KernelRuntime kernel;
  final Assembler a;

  GuestPlatform(KernelRuntime kernel) {
    this.kernel = kernel;
    this.a = kernel.a;
  }

  /** The executable around the code that was assembled. */
  abstract byte[] image(byte[] content, long memoryBytes);

  /** From the entry to where a workload may begin: stack, exceptions, tables, console. */
  abstract void emitEntry(Workload workload);

  /** The routines {@code puts} and {@code putHex}, and whatever the other code calls. */
  abstract void emitRoutines();

  /** Data, and tables that the processor or the monitor reads. */
  abstract void emitData();

  /** Ends the run. */
  abstract void end(boolean success);

  /** Marks the begin or end of the measured section; changes RAX only. */
  final void mark(int value) {
    a.mov(AL, value);
    a.out(BuiltinGuest.MARKER_PORT, AL);
  }

  // ---- tables --------------------------------------------------------------------------------

  /** The page at RAX, zeroed, is about to become a table; keeps RAX, RDI and R9. */
  abstract void becomesTable();

  /** The page at RAX becomes a root; keeps RAX. */
  abstract void becomesRoot();

  /** Lets the entry at R9 lead to the table at RAX and leaves the entry in R8; keeps RDI, R9. */
  abstract void linkTable();

  /** {@code to} = what an entry holds for the frame at guest-physical {@code to}. */
  abstract void machineAddress(Register to, Register scratch);

  /** {@code to} = address of the table that the entry {@code to} leads to. */
  abstract void tableAddress(Register to, Register scratch);

  /** {@code to} = number of the guest frame that the entry {@code to} leads to. */
  abstract void frameOf(Register to, Register scratch);

  /**
   * Stores {@code value} in the leaf entry at RAX; nothing may rely on it before {@link
   * #flushEntries}. Keeps RDI.
   */
  abstract void storeEntry(Register value);

  /** Lets stored entries take effect; translations that were cached may stay. */
  abstract void flushEntries();

  /** Loads a root; keeps RAX. */
  abstract void loadRoot(Register root);

  /**
   * Maps the page at RDI by the entry RDX, which stands at R13 + 8 RCX, and drops what was cached
   * of it. Keeps RDI, and RCX for {@link #unmapPage}.
   */
  abstract void mapPage();

  /** Unmaps it; a page that nobody uses any more may stay until the next is mapped. */
  abstract void unmapPage();

  /** Unmaps what was left. */
  abstract void finishUnmapping();

  // ---- exceptions ----------------------------------------------------------------------------

  /** At the start of a handler: the stack becomes what a processor's would be. */
  abstract void enterHandler();

  /** {@code to} = the address that faulted. */
  abstract void faultAddress(Register to);

  /**
   * In the handler of a page fault: the page at RDI, whose entry is at RAX, gets the entry {@code
   * value}, and nothing cached of it remains. Keeps RDI.
   */
  abstract void repairPage(Register value);

  /** Drops the error code and returns, with every register as it is. */
  abstract void returnFromHandler();
}
