package memvisor.machine.pc;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import memvisor.cpu.x86.asm.Assembler;

/** A few instructions of 32-bit code as a multiboot image: the smallest guest there is. */
public final class TinyGuest {
  static final long LOAD_GPA = 0x10_0000;

  private static final int HEADER_BYTES = 32;
  private static final int MAGIC = 0x1BADB002;
  private static final int HAS_ADDRESSES = 1 << 16;

  private TinyGuest() {}

  /** An image whose entry is the code that {@code code} assembles. */
  public static byte[] of(Consumer<Assembler> code) {
    Assembler assembler = new Assembler(LOAD_GPA + HEADER_BYTES);
    assembler.code32();
    code.accept(assembler);
    byte[] text = assembler.assemble();
    int end = (int) LOAD_GPA + HEADER_BYTES + text.length;
    return ByteBuffer.allocate(HEADER_BYTES + text.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(MAGIC)
        .putInt(HAS_ADDRESSES)
        .putInt(-(MAGIC + HAS_ADDRESSES))
        .putInt((int) LOAD_GPA)
        .putInt((int) LOAD_GPA)
        .putInt(end)
        .putInt(end)
        .putInt((int) LOAD_GPA + HEADER_BYTES)
        .put(text)
        .array();
  }
}
