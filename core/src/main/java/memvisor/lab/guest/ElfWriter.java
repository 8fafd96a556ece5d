package memvisor.lab.guest;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Writes an ELF64 executable of one loaded segment and a note that names the PVH entry (System V
 * ABI, chapter 4 and 5; Xen's PVH boot protocol, docs/misc/pvh.pandoc).
 */
final class ElfWriter {
  private static final int HEADER_BYTES = 64;
  private static final int PROGRAM_HEADER_BYTES = 56;
  private static final int NOTE_OFFSET = HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;
  private static final int NOTE_BYTES = 12 + 4 + 4;

  /** The segment starts at a page of the file, so that its offset agrees with its address. */
  private static final int SEGMENT_OFFSET = 4096;

  private static final byte ELFCLASS64 = 2;
  private static final byte ELFDATA2LSB = 1;
  private static final short ET_EXEC = 2;
  private static final short EM_X86_64 = 62;
  private static final int PT_LOAD = 1;
  private static final int PT_NOTE = 4;
  private static final int READ_WRITE_EXECUTE = 7;
  private static final int READ = 4;
  private static final int XEN_ELFNOTE_PHYS32_ENTRY = 18;

  private ElfWriter() {}

  static byte[] of(long gpa, byte[] content, long longModeEntry, long pvhEntry) {
    ByteBuffer file =
        ByteBuffer.allocate(SEGMENT_OFFSET + content.length).order(ByteOrder.LITTLE_ENDIAN);
    header(file, longModeEntry);
    programHeader(file, PT_LOAD, READ_WRITE_EXECUTE, SEGMENT_OFFSET, gpa, content.length, 4096);
    programHeader(file, PT_NOTE, READ, NOTE_OFFSET, 0, NOTE_BYTES, 4);
    note(file, pvhEntry);
    file.position(SEGMENT_OFFSET).put(content);
    return file.array();
  }

  private static void header(ByteBuffer file, long entry) {
    file.put(new byte[] {0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1}).position(16);
    file.putShort(ET_EXEC).putShort(EM_X86_64).putInt(1);
    file.putLong(entry).putLong(HEADER_BYTES).putLong(0);
    file.putInt(0).putShort((short) HEADER_BYTES);
    file.putShort((short) PROGRAM_HEADER_BYTES).putShort((short) 2);
    file.putShort((short) 0).putShort((short) 0).putShort((short) 0);
  }

  private static void programHeader(
      ByteBuffer file, int type, int flags, long offset, long address, long size, long alignment) {
    file.putInt(type).putInt(flags).putLong(offset).putLong(address).putLong(address);
    file.putLong(size).putLong(size).putLong(alignment);
  }

  private static void note(ByteBuffer file, long pvhEntry) {
    file.putInt(4).putInt(4).putInt(XEN_ELFNOTE_PHYS32_ENTRY);
    file.put("Xen\0".getBytes(StandardCharsets.US_ASCII)).putInt((int) pvhEntry);
  }
}
