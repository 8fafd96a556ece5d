package memvisor.device.interrupt;

/** What a local APIC does to its processor other than raising maskable interrupts. */
public interface ProcessorEvents {
  /** {@link InterruptController#interruptPending} has become true: a waiting vCPU must look. */
  void interruptRequested();

  /** A non-maskable interrupt. */
  void nmi();

  /** INIT: reset the processor and, unless it is the bootstrap one, wait for SIPI. */
  void init();

  /** SIPI: start in real mode at {@code vector << 12}, if waiting for it. */
  void startUp(int vector);
}
