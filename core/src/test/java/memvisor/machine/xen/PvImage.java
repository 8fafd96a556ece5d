package memvisor.machine.xen;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.TreeMap;

/**
 * An ELF image of a PV kernel out of one segment of code and its notes.
 *
 * @param virtBase VIRT_BASE
 * @param paddrOffset PADDR_OFFSET
 * @param codeGpa p_paddr of the segment
 * @param code what it holds
 * @param memoryBytes p_memsz
 * @param notes further notes with a number, by type
 */
record PvImage(
    long virtBase,
    long paddrOffset,
    long codeGpa,
    byte[] code,
    long memoryBytes,
    TreeMap<Integer, Long> notes) {
  static final int NOTE_ENTRY = 1;
  static final int NOTE_HYPERCALL_PAGE = 2;
  static final int NOTE_VIRT_BASE = 3;
  static final int NOTE_PADDR_OFFSET = 4;
  static final int NOTE_XEN_VERSION = 5;
  static final int NOTE_LOADER = 8;
  static final int NOTE_INIT_P2M = 15;
  static final int NOTE_MOD_START_PFN = 16;

  private static final int PROGRAM_OFFSET = 4096;

  /** Code for 1 MiB above VIRT_BASE. */
  static PvImage of(byte[] code) {
    return new PvImage(
        PvGuest.VIRT_BASE, 0, PvGuest.CODE_GPA, code, code.length + 4095 & -4096, new TreeMap<>());
  }

  /** The same with one note more. */
  PvImage withNote(int type, long value) {
    TreeMap<Integer, Long> more = new TreeMap<>(notes);
    more.put(type, value);
    return new PvImage(virtBase, paddrOffset, codeGpa, code, memoryBytes, more);
  }

  /** The same at other addresses. */
  PvImage at(long newVirtBase, long newPaddrOffset, long newCodeGpa) {
    return new PvImage(newVirtBase, newPaddrOffset, newCodeGpa, code, memoryBytes, notes);
  }

  /** The same with room after the code. */
  PvImage withMemory(long bytes) {
    return new PvImage(virtBase, paddrOffset, codeGpa, code, bytes, notes);
  }

  private long entry() {
    return virtBase - paddrOffset + codeGpa;
  }

  byte[] bytes() {
    byte[] notes = noteBytes();
    ByteBuffer file =
        ByteBuffer.allocate(PROGRAM_OFFSET + code.length + notes.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    file.put(new byte[] {0x7F, 'E', 'L', 'F', 2, 1, 1}).position(16);
    file.putShort((short) 2).putShort((short) 62).putInt(1);
    file.putLong(entry()).putLong(64).putLong(0);
    file.putInt(0).putShort((short) 64).putShort((short) 56).putShort((short) 2);
    file.position(64);
    header(file, 1, PROGRAM_OFFSET, code.length, memoryBytes, 4096);
    header(file, 4, PROGRAM_OFFSET + code.length, notes.length, notes.length, 4);
    file.position(PROGRAM_OFFSET).put(code).put(notes);
    return file.array();
  }

  private void header(
      ByteBuffer file, int type, long offset, long fileBytes, long memory, long alignment) {
    file.putInt(type).putInt(7).putLong(offset).putLong(entry()).putLong(codeGpa);
    file.putLong(fileBytes).putLong(memory).putLong(alignment);
  }

  private byte[] noteBytes() {
    ByteBuffer bytes = ByteBuffer.allocate(1024).order(ByteOrder.LITTLE_ENDIAN);
    number(bytes, NOTE_ENTRY, entry());
    number(bytes, NOTE_VIRT_BASE, virtBase);
    number(bytes, NOTE_PADDR_OFFSET, paddrOffset);
    note(bytes, NOTE_XEN_VERSION, "xen-3.0\0".getBytes(StandardCharsets.US_ASCII));
    note(bytes, NOTE_LOADER, "generic\0".getBytes(StandardCharsets.US_ASCII));
    notes.forEach((type, value) -> number(bytes, type, value));
    byte[] exact = new byte[bytes.position()];
    bytes.flip().get(exact);
    return exact;
  }

  private static void number(ByteBuffer bytes, int type, long value) {
    note(bytes, type, ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array());
  }

  private static void note(ByteBuffer bytes, int type, byte[] descriptor) {
    bytes.putInt(4).putInt(descriptor.length).putInt(type);
    bytes.put("Xen\0".getBytes(StandardCharsets.US_ASCII)).put(descriptor);
  }
}
