package memvisor.cpu.x86;

import java.io.ByteArrayOutputStream;
import java.util.HexFormat;

/** A program put together from machine code in hexadecimal. */
final class HexProgram {
  private final ByteArrayOutputStream code = new ByteArrayOutputStream();

  HexProgram put(String hex) {
    code.writeBytes(HexFormat.of().parseHex(hex));
    return this;
  }

  /** A 32-bit constant. */
  HexProgram put32(int value) {
    return put("%08X".formatted(Integer.reverseBytes(value)));
  }

  /** Where the next byte goes. */
  int here() {
    return code.size();
  }

  /** JNZ to {@code target}, which is less than 127 bytes back. */
  HexProgram jumpIfNotZero(int target) {
    return put("75" + HexFormat.of().toHexDigits((byte) (target - here() - 2)));
  }

  byte[] bytes() {
    return code.toByteArray();
  }
}
