package memvisor.machine.xen;

import memvisor.cpu.x86.CpuModel;
import memvisor.cpu.x86.RegisterFile;
import memvisor.machine.ExitReason;
import memvisor.mmu.direct.DirectTechnique;
import memvisor.mmu.direct.DirectVcpu;

/** What the parts of a domain know of one another. */
interface Domain {
  RegisterFile registers();

  DirectVcpu mmu();

  DirectTechnique technique();

  GuestPointers memory();

  SharedInfo shared();

  CpuModel model();

  /** The machine's clock. */
  long nanos();

  /** Counts one exit. */
  void count(ExitReason reason, long detail);

  /** Ends the domain for something that its guest did. */
  void crash(String reason);

  /** Ends the domain as the guest asked (public/sched.h): 0 off, 1 reboot, 3 crash. */
  void shutDown(int reason);

  boolean hasEnded();

  /** Lets the vCPU sleep until an event is deliverable. */
  void block();

  /** Lets the vCPU sleep until a port is pending, an event is deliverable, or a time is reached. */
  void poll(int[] ports, long deadlineNanos);

  /** A byte that somebody typed, or -1. */
  int typed();

  /** Has the exit loop look at deadlines and events. */
  void endSlice();

  /** Takes a byte that the guest wrote to the hypervisor's console. */
  void print(int value);

  /** Takes a byte that the guest wrote to the debug console's port. */
  void debug(int value);
}
