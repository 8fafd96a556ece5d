package memvisor.machine.xen;

import memvisor.memory.Hva;
import memvisor.memory.MachineMemory;

/**
 * The shared_info page and the vcpu_info of the one vCPU, which the guest may move elsewhere
 * (public/xen.h).
 */
final class SharedInfo {
  /** Event channels of the 2-level interface. */
  static final int PORTS = 4096;

  private static final int VCPU_INFO_BYTES = 64;
  private static final int VCPUS = 32;
  private static final int PENDING = 2048;
  private static final int MASK = 2560;
  private static final int WALL_CLOCK = 3072;
  private static final int UPCALL_MASK = 1;
  private static final int SELECTOR = 8;
  private static final int CR2 = 16;
  private static final int TIME = 32;

  private final MachineMemory machine;
  private final long pageHpa;
  private long vcpuHpa;

  SharedInfo(MachineMemory machine, long pageHpa) {
    this.machine = machine;
    this.pageHpa = pageHpa;
    vcpuHpa = pageHpa;
    for (int vcpu = 0; vcpu < VCPUS; vcpu++) {
      Hva.writeByte(machine.hva(pageHpa + vcpu * VCPU_INFO_BYTES + UPCALL_MASK), 1);
    }
  }

  /** Moves vcpu_info to where the guest wants it, as pending, so that nothing is lost. */
  void moveVcpuInfo(long hpa) {
    Hva.copy(machine.hva(vcpuHpa), machine.hva(hpa), VCPU_INFO_BYTES);
    vcpuHpa = hpa;
    Hva.writeLong(vcpu(SELECTOR), -1);
    setUpcallPending(true);
  }

  private long vcpu(int offset) {
    return machine.hva(vcpuHpa + offset);
  }

  boolean upcallPending() {
    return Hva.readByte(vcpu(0)) != 0;
  }

  void setUpcallPending(boolean on) {
    Hva.writeByte(vcpu(0), on ? 1 : 0);
  }

  boolean masked() {
    return Hva.readByte(vcpu(UPCALL_MASK)) != 0;
  }

  void setMasked(boolean on) {
    Hva.writeByte(vcpu(UPCALL_MASK), on ? 1 : 0);
  }

  void setCr2(long gva) {
    Hva.writeLong(vcpu(CR2), gva);
  }

  /** Whether the event callback is due. */
  boolean deliverable() {
    return upcallPending() && !masked();
  }

  private long word(int array, int port) {
    return machine.hva(pageHpa + array + (port >>> 6) * 8L);
  }

  private boolean bit(int array, int port) {
    return (Hva.readLong(word(array, port)) >>> port & 1) != 0;
  }

  boolean isPending(int port) {
    return bit(PENDING, port);
  }

  boolean isMasked(int port) {
    return bit(MASK, port);
  }

  private void set(int array, int port, boolean on) {
    long hva = word(array, port);
    long bit = 1L << port;
    Hva.writeLong(hva, on ? Hva.readLong(hva) | bit : Hva.readLong(hva) & ~bit);
  }

  void clearPending(int port) {
    set(PENDING, port, false);
  }

  void unmask(int port) {
    set(MASK, port, false);
    if (isPending(port)) {
      notifyVcpu(port);
    }
  }

  /** Marks a port pending and tells the vCPU unless the port is masked. */
  void raise(int port) {
    if (!isPending(port)) {
      set(PENDING, port, true);
      if (!isMasked(port)) {
        notifyVcpu(port);
      }
    }
  }

  private void notifyVcpu(int port) {
    long selector = vcpu(SELECTOR);
    Hva.writeLong(selector, Hva.readLong(selector) | 1L << (port >>> 6));
    setUpcallPending(true);
  }

  /** One TSC tick is one nanosecond since the start: set once, true for ever. */
  void writeTime(long epochSeconds) {
    Hva.writeLong(vcpu(TIME + 8), 0);
    Hva.writeLong(vcpu(TIME + 16), 0);
    Hva.writeInt(vcpu(TIME + 24), 0x8000_0000);
    Hva.writeByte(vcpu(TIME + 28), 1);
    Hva.writeByte(vcpu(TIME + 29), 0);
    Hva.writeInt(vcpu(TIME), 2);
    Hva.writeInt(machine.hva(pageHpa + WALL_CLOCK + 4), (int) epochSeconds);
    Hva.writeInt(machine.hva(pageHpa + WALL_CLOCK + 8), 0);
    Hva.writeInt(machine.hva(pageHpa + WALL_CLOCK + 12), (int) (epochSeconds >>> 32));
    Hva.writeInt(machine.hva(pageHpa + WALL_CLOCK), 2);
  }
}
