package memvisor.device.interrupt;

/** Offsets of the local APIC's registers; SDM volume 3, table 11-1. */
final class ApicRegister {
  static final int ID = 0x020;
  static final int VERSION = 0x030;
  static final int TASK_PRIORITY = 0x080;
  static final int ARBITRATION_PRIORITY = 0x090;
  static final int PROCESSOR_PRIORITY = 0x0A0;
  static final int EOI = 0x0B0;
  static final int LOGICAL_DESTINATION = 0x0D0;
  static final int DESTINATION_FORMAT = 0x0E0;
  static final int SPURIOUS = 0x0F0;
  static final int ISR = 0x100;
  static final int TMR = 0x180;
  static final int IRR = 0x200;
  static final int ERROR_STATUS = 0x280;
  static final int ICR_LOW = 0x300;
  static final int ICR_HIGH = 0x310;
  static final int LVT_TIMER = 0x320;
  static final int LVT_LINT0 = 0x350;
  static final int LVT_LINT1 = 0x360;
  static final int LVT_ERROR = 0x370;
  static final int INITIAL_COUNT = 0x380;
  static final int CURRENT_COUNT = 0x390;
  static final int DIVIDE = 0x3E0;

  private ApicRegister() {}

  /** The entry of {@link LocalVectorTable} that a register is, -1 if it is none. */
  static int lvtIndex(int register) {
    boolean isEntry = register >= LVT_TIMER && register <= LVT_ERROR;
    return isEntry ? register - LVT_TIMER >> 4 : -1;
  }

  static boolean writeOnly(int register) {
    return register == EOI;
  }

  static boolean readOnly(int register) {
    return register == VERSION
        || register == ARBITRATION_PRIORITY
        || register == PROCESSOR_PRIORITY
        || register == CURRENT_COUNT
        || register >= ISR && register < ERROR_STATUS;
  }
}
