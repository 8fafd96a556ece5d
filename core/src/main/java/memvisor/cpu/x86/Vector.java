package memvisor.cpu.x86;

/** Exception vectors (Intel SDM vol. 3A, table 6-1). */
final class Vector {
  static final int DE = 0;
  static final int DB = 1;
  static final int NMI = 2;
  static final int BP = 3;
  static final int OF = 4;
  static final int UD = 6;
  static final int NM = 7;
  static final int DF = 8;
  static final int TS = 10;
  static final int NP = 11;
  static final int SS = 12;
  static final int GP = 13;
  static final int PF = 14;
  static final int MF = 16;
  static final int AC = 17;
  static final int MC = 18;
  static final int XM = 19;
  static final int CP = 21;

  /** Vectors that push an error code. */
  private static final int WITH_ERROR_CODE =
      1 << DF | 1 << TS | 1 << NP | 1 << SS | 1 << GP | 1 << PF | 1 << AC | 1 << CP;

  /** Vectors reported before the instruction, whose saved RFLAGS has RF set (6.8.3). */
  private static final int NOT_FAULTS = 1 << DB | 1 << NMI | 1 << BP | 1 << OF | 1 << DF | 1 << MC;

  /** Contributory exceptions (table 6-4). */
  private static final int CONTRIBUTORY = 1 << DE | 1 << TS | 1 << NP | 1 << SS | 1 << GP | 1 << CP;

  private Vector() {}

  static boolean hasErrorCode(int vector) {
    return vector < 32 && (WITH_ERROR_CODE >>> vector & 1) != 0;
  }

  static boolean isFault(int vector) {
    return vector < 32 && (NOT_FAULTS >>> vector & 1) == 0;
  }

  /** Whether {@code second}, raised while {@code first} is delivered, is a double fault (6-5). */
  static boolean isDoubleFault(int first, int second) {
    boolean secondContributory = (CONTRIBUTORY >>> second & 1) != 0;
    if (first == PF) {
      return second == PF || secondContributory;
    }
    return first < 32 && (CONTRIBUTORY >>> first & 1) != 0 && secondContributory;
  }
}
