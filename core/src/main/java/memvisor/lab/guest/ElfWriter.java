package memvisor.lab.guest;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Writes an ELF64 executable of one loaded segment and notes of owner "Xen" (System V ABI, chapter
 * 4 and 5; public/elfnote.h; Xen's PVH boot protocol, docs/misc/pvh.pandoc).
 */
final class ElfWriter {
  private static final int HEADER_BYTES = 64;
  private static final int PROGRAM_HEADER_BYTES = 56;
  private static final int NOTE_OFFSET = HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;

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
  private static final int XEN_ELFNOTE_ENTRY = 1;
  private static final int XEN_ELFNOTE_VIRT_BASE = 3;
  private static final int XEN_ELFNOTE_PADDR_OFFSET = 4;
  private static final int XEN_ELFNOTE_XEN_VERSION = 5;
  private static final int XEN_ELFNOTE_LOADER = 8;
  private static final int XEN_ELFNOTE_PHYS32_ENTRY = 18;

  private ElfWriter() {}

  /** An executable with an entry for long mode, and one for PVH. */
  static byte[] of(long gpa, byte[] content, long longModeEntry, long pvhEntry) {
    ByteBuffer notes = notes();
    note(notes, XEN_ELFNOTE_PHYS32_ENTRY, number(4, pvhEntry));
    return write(gpa, content, content.length, longModeEntry, notes.flip());
  }

  /**
   * A paravirtual kernel that is mapped at its guest-physical addresses.
   *
   * @param memoryBytes size of the segment in memory: what is past the content is zero
   */
  static byte[] paravirtual(long gpa, byte[] content, long memoryBytes, long entry) {
    ByteBuffer notes = notes();
    note(notes, XEN_ELFNOTE_ENTRY, number(8, entry));
    note(notes, XEN_ELFNOTE_VIRT_BASE, number(8, 0));
    note(notes, XEN_ELFNOTE_PADDR_OFFSET, number(8, 0));
    note(notes, XEN_ELFNOTE_XEN_VERSION, text("xen-3.0"));
    note(notes, XEN_ELFNOTE_LOADER, text("generic"));
    return write(gpa, content, memoryBytes, entry, notes.flip());
  }

  private static byte[] write(
      long gpa, byte[] content, long memoryBytes, long entry, ByteBuffer notes) {
    ByteBuffer file =
        ByteBuffer.allocate(SEGMENT_OFFSET + content.length).order(ByteOrder.LITTLE_ENDIAN);
    header(file, entry);
    programHeader(
        file, PT_LOAD, READ_WRITE_EXECUTE, SEGMENT_OFFSET, gpa, content.length, memoryBytes, 4096);
    long length = notes.remaining();
    programHeader(file, PT_NOTE, READ, NOTE_OFFSET, 0, length, length, 4);
    file.put(notes);
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
      ByteBuffer file,
      int type,
      int flags,
      long offset,
      long address,
      long fileBytes,
      long memoryBytes,
      long alignment) {
    file.putInt(type).putInt(flags).putLong(offset).putLong(address).putLong(address);
    file.putLong(fileBytes).putLong(memoryBytes).putLong(alignment);
  }

  // ---- notes ---------------------------------------------------------------------------------

  private static ByteBuffer notes() {
    return ByteBuffer.allocate(SEGMENT_OFFSET - NOTE_OFFSET).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The descriptor is a multiple of 4 bytes long. */
  private static void note(ByteBuffer notes, int type, byte[] descriptor) {
    notes.putInt(4).putInt(descriptor.length).putInt(type);
    notes.put("Xen\0".getBytes(StandardCharsets.US_ASCII)).put(descriptor);
  }

  private static byte[] number(int bytes, long value) {
    byte[] little = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    return Arrays.copyOf(little, bytes);
  }

  private static byte[] text(String value) {
    return (value + "\0").getBytes(StandardCharsets.US_ASCII);
  }
}
