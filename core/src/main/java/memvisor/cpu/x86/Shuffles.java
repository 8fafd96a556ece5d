package memvisor.cpu.x86;

/**
 * Operations on whole 16-byte operands that move lanes about: {@code a} is the target, {@code b}
 * the source; the result goes to {@code fpu.low} and {@code fpu.high}.
 */
final class Shuffles {
  private Shuffles() {}

  /** A function of two 16-byte operands and an immediate byte. */
  interface Wide {
    void apply(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int immediate);
  }

  private static void set(FpuState f, long low, long high) {
    f.low = low;
    f.high = high;
  }

  static long dword(long low, long high, int index) {
    return ((index & 2) == 0 ? low : high) >>> 32 * (index & 1) & 0xFFFF_FFFFL;
  }

  static long word(long low, long high, int index) {
    return ((index & 4) == 0 ? low : high) >>> 16 * (index & 3) & 0xFFFF;
  }

  static long byteAt(long low, long high, int index) {
    return ((index & 8) == 0 ? low : high) >>> 8 * (index & 7) & 0xFF;
  }

  // ---- moves ---------------------------------------------------------------------------------

  static void movhlps(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, bHigh, aHigh);
  }

  static void movlhps(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, aLow, bLow);
  }

  static void movsldup(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, (bLow & 0xFFFF_FFFFL) * 0x100000001L, (bHigh & 0xFFFF_FFFFL) * 0x100000001L);
  }

  static void movshdup(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, (bLow >>> 32) * 0x100000001L, (bHigh >>> 32) * 0x100000001L);
  }

  // ---- unpacking and packing -----------------------------------------------------------------

  /** Puts the lanes of two 32-bit halves in turn. */
  private static long interleave(long a, long b, int width) {
    long mask = -1L >>> 64 - width;
    long result = 0;
    for (int shift = 0; shift < 32; shift += width) {
      result |= (a >>> shift & mask) << 2 * shift | (b >>> shift & mask) << 2 * shift + width;
    }
    return result;
  }

  private static void unpack(FpuState f, long a, long b, int width) {
    set(f, interleave(a, b, width), interleave(a >>> 32, b >>> 32, width));
  }

  static void unpackLow8(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    unpack(f, aLow, bLow, 8);
  }

  static void unpackLow16(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    unpack(f, aLow, bLow, 16);
  }

  static void unpackLow32(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    unpack(f, aLow, bLow, 32);
  }

  static void unpackLow64(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, aLow, bLow);
  }

  static void unpackHigh8(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    unpack(f, aHigh, bHigh, 8);
  }

  static void unpackHigh16(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    unpack(f, aHigh, bHigh, 16);
  }

  static void unpackHigh32(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    unpack(f, aHigh, bHigh, 32);
  }

  static void unpackHigh64(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, aHigh, bHigh);
  }

  private static long narrow16(long low, long high, boolean signed) {
    long result = 0;
    for (int i = 0; i < 8; i++) {
      long value = (short) word(low, high, i);
      long narrow = signed ? Lanes.saturateS8(value) : Lanes.saturateU8(value);
      result |= (narrow & 0xFF) << 8 * i;
    }
    return result;
  }

  private static long narrow32(long low, long high, boolean signed) {
    long result = 0;
    for (int i = 0; i < 4; i++) {
      long value = (int) dword(low, high, i);
      long narrow = signed ? Lanes.saturateS16(value) : Lanes.saturateU16(value);
      result |= (narrow & 0xFFFF) << 16 * i;
    }
    return result;
  }

  static void packsswb(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, narrow16(aLow, aHigh, true), narrow16(bLow, bHigh, true));
  }

  static void packuswb(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, narrow16(aLow, aHigh, false), narrow16(bLow, bHigh, false));
  }

  static void packssdw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, narrow32(aLow, aHigh, true), narrow32(bLow, bHigh, true));
  }

  static void packusdw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, narrow32(aLow, aHigh, false), narrow32(bLow, bHigh, false));
  }

  // ---- shuffles ------------------------------------------------------------------------------

  static void pshufd(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(
        f,
        dword(bLow, bHigh, n) | dword(bLow, bHigh, n >> 2) << 32,
        dword(bLow, bHigh, n >> 4) | dword(bLow, bHigh, n >> 6) << 32);
  }

  static long shuffleWords(long a, int order) {
    long result = 0;
    for (int i = 0; i < 4; i++) {
      result |= (a >>> 16 * (order >> 2 * i & 3) & 0xFFFF) << 16 * i;
    }
    return result;
  }

  static void pshuflw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, shuffleWords(bLow, n), bHigh);
  }

  static void pshufhw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, bLow, shuffleWords(bHigh, n));
  }

  static void shufps(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(
        f,
        dword(aLow, aHigh, n) | dword(aLow, aHigh, n >> 2) << 32,
        dword(bLow, bHigh, n >> 4) | dword(bLow, bHigh, n >> 6) << 32);
  }

  static void shufpd(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, (n & 1) == 0 ? aLow : aHigh, (n & 2) == 0 ? bLow : bHigh);
  }

  private static long pick(long low, long high, long selectors) {
    long result = 0;
    for (int shift = 0; shift < 64; shift += 8) {
      int selector = (int) (selectors >>> shift);
      if ((selector & 0x80) == 0) {
        result |= byteAt(low, high, selector) << shift;
      }
    }
    return result;
  }

  static void pshufb(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, pick(aLow, aHigh, bLow), pick(aLow, aHigh, bHigh));
  }

  /** Eight bytes of {@code 0:w3:w2:w1:w0} from byte {@code n} on. */
  private static long bytesFrom(long w0, long w1, long w2, long w3, int n) {
    int shift = 8 * (n & 7);
    long first = quad(w0, w1, w2, w3, n >> 3);
    long second = quad(w0, w1, w2, w3, (n >> 3) + 1);
    return shift == 0 ? first : first >>> shift | second << 64 - shift;
  }

  private static long quad(long w0, long w1, long w2, long w3, int index) {
    return switch (index) {
      case 0 -> w0;
      case 1 -> w1;
      case 2 -> w2;
      case 3 -> w3;
      default -> 0;
    };
  }

  static void palignr(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, bytesFrom(bLow, bHigh, aLow, aHigh, n), bytesFrom(bLow, bHigh, aLow, aHigh, n + 8));
  }

  /** PSRLDQ: the immediate is in bytes. */
  static void psrldq(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, bytesFrom(aLow, aHigh, 0, 0, n), bytesFrom(aLow, aHigh, 0, 0, n + 8));
  }

  /** PSLLDQ. */
  static void pslldq(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    if (n == 0) {
      set(f, aLow, aHigh);
    } else if (n < 8) {
      set(f, aLow << 8 * n, aHigh << 8 * n | aLow >>> 64 - 8 * n);
    } else {
      set(f, 0, n < 16 ? aLow << 8 * n - 64 : 0);
    }
  }

  // ---- blends --------------------------------------------------------------------------------

  /** The source itself (MOVNTDQA). */
  static void source(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, bLow, bHigh);
  }

  private static long blend(long a, long b, int selectors, int width, int lanes) {
    long mask = 0;
    for (int i = 0; i < lanes; i++) {
      if ((selectors >> i & 1) != 0) {
        mask |= -1L >>> 64 - width << width * i;
      }
    }
    return a & ~mask | b & mask;
  }

  static void blendps(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, blend(aLow, bLow, n, 32, 2), blend(aHigh, bHigh, n >> 2, 32, 2));
  }

  static void blendpd(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, (n & 1) == 0 ? aLow : bLow, (n & 2) == 0 ? aHigh : bHigh);
  }

  static void pblendw(FpuState f, long aLow, long aHigh, long bLow, long bHigh, int n) {
    set(f, blend(aLow, bLow, n, 16, 4), blend(aHigh, bHigh, n >> 4, 16, 4));
  }
}
