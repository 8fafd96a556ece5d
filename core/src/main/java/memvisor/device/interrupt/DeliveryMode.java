package memvisor.device.interrupt;

/** Delivery modes as three bits encode them; SDM volume 3, 11.5.1 and 11.6.1. */
final class DeliveryMode {
  static final int FIXED = 0;
  static final int LOWEST_PRIORITY = 1;
  static final int SMI = 2;
  static final int NMI = 4;
  static final int INIT = 5;
  static final int START_UP = 6;
  static final int EXT_INT = 7;

  private DeliveryMode() {}
}
