package memvisor.device.pc;

/** The configuration space behind mechanism 1: all functions of all devices of all buses. */
public interface PciConfigurationSpace {
  /** A machine without PCI: every read gives all-ones, as for an absent function. */
  PciConfigurationSpace EMPTY =
      new PciConfigurationSpace() {
        @Override
        public int read(int address, int sizeBytes) {
          return -1;
        }

        @Override
        public void write(int address, int sizeBytes, int value) {}
      };

  /**
   * Reads 1, 2 or 4 bytes.
   *
   * @param address bus in bits 23:16, device 15:11, function 10:8, register 7:0
   */
  int read(int address, int sizeBytes);

  /** Writes 1, 2 or 4 bytes. */
  void write(int address, int sizeBytes, int value);
}
