package memvisor.device;

/** A device with registers in the I/O port space; ports are absolute, 0 to 0xFFFF. */
public interface PortDevice {
  /**
   * The widest access the device decodes, in bytes (1, 2 or 4); the bus splits wider ones into
   * bytes, lowest port first, as an 8-bit bus would.
   */
  default int widthBytes() {
    return 1;
  }

  /** Reads {@code sizeBytes} at {@code port}; the bits above are zero. */
  int readPort(int port, int sizeBytes);

  /**
   * Writes {@code sizeBytes} at {@code port}; the bits of {@code value} above are to be ignored.
   */
  void writePort(int port, int sizeBytes, int value);
}
