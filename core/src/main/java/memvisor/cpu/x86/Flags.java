package memvisor.cpu.x86;

/** RFLAGS: the arithmetic flags kept lazily as operation and operands, the rest as bits. */
final class Flags {
  static final int CF = 1;
  static final int PF = 1 << 2;
  static final int AF = 1 << 4;
  static final int ZF = 1 << 6;
  static final int SF = 1 << 7;
  static final int TF = 1 << 8;
  static final int IF = 1 << 9;
  static final int DF = 1 << 10;
  static final int OF = 1 << 11;
  static final int IOPL = 3 << 12;
  static final int NT = 1 << 14;
  static final int RF = 1 << 16;
  static final int VM = 1 << 17;
  static final int AC = 1 << 18;
  static final int VIF = 1 << 19;
  static final int VIP = 1 << 20;
  static final int ID = 1 << 21;

  /** CF, PF, AF, ZF, SF and OF. */
  static final int STATUS = CF | PF | AF | ZF | SF | OF;

  /** All bits but the status flags. */
  long system = 2;

  /** The status flags; lazily computed in time. */
  private int status;

  long value() {
    return system | status;
  }

  /** Sets every flag from an RFLAGS image. */
  void setValue(long rflags) {
    system = rflags & ~STATUS | 2;
    status = (int) rflags & STATUS;
  }

  /** Sets the six status flags from an image. */
  void setStatus(int image) {
    status = image & STATUS;
  }

  boolean ac() {
    return (system & AC) != 0;
  }
}
