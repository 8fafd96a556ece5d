package memvisor.boot;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Builds small image files, field by field, for the tests. */
final class Images {
  private Images() {}

  static byte[] pattern(int lengthBytes, int seed) {
    byte[] bytes = new byte[lengthBytes];
    for (int i = 0; i < lengthBytes; i++) {
      bytes[i] = (byte) (i * 31 + seed | 1);
    }
    return bytes;
  }

  static byte[] patched(byte[] image, int offset, int sizeBytes, long value) {
    byte[] copy = image.clone();
    ByteBuffer buffer = ByteBuffer.wrap(copy).order(ByteOrder.LITTLE_ENDIAN);
    switch (sizeBytes) {
      case 1 -> buffer.put(offset, (byte) value);
      case 2 -> buffer.putShort(offset, (short) value);
      case 4 -> buffer.putInt(offset, (int) value);
      default -> buffer.putLong(offset, value);
    }
    return copy;
  }

  /** A bzImage with one setup sector, 4 KiB of protected-mode part and an LZ4 payload at 0x100. */
  static byte[] bzImage() {
    ByteBuffer file = ByteBuffer.allocate(2 * 512 + 4096).order(ByteOrder.LITTLE_ENDIAN);
    file.put(0x1F1, (byte) 1);
    file.putInt(0x1F4, 4096 / 16);
    file.putShort(0x1FE, (short) 0xAA55);
    file.put(0x200, (byte) 0xEB).put(0x201, (byte) 0x6A);
    file.put(0x202, "HdrS".getBytes(StandardCharsets.ISO_8859_1));
    file.putShort(0x206, (short) 0x20F);
    file.putInt(0x22C, 0x7FFFFFFF);
    file.putInt(0x230, 0x200000);
    file.put(0x234, (byte) 1);
    file.putShort(0x236, (short) 0x7F);
    file.putInt(0x238, 2047);
    file.putInt(0x248, 0x100).putInt(0x24C, 0x200);
    file.putLong(0x258, 0x1000000);
    file.putInt(0x260, 0x300000);
    file.put(1024, pattern(4096, 1));
    file.putInt(1024 + 0x100, 0x184C2102);
    return file.array();
  }

  /** An ELF file being built. */
  static final class Elf {
    private record Header(int type, long gpa, byte[] content, long memoryBytes) {}

    private final boolean is64;
    private final List<Header> headers = new ArrayList<>();
    private long entry;

    Elf(boolean is64) {
      this.is64 = is64;
    }

    Elf entry(long newEntry) {
      entry = newEntry;
      return this;
    }

    Elf segment(long gpa, byte[] content, long memoryBytes) {
      headers.add(new Header(1, gpa, content, memoryBytes));
      return this;
    }

    Elf note(String owner, int type, byte[] descriptor) {
      byte[] name = Arrays.copyOf(owner.getBytes(StandardCharsets.ISO_8859_1), owner.length() + 1);
      int paddedName = (name.length + 3) / 4 * 4;
      int paddedDescriptor = (descriptor.length + 3) / 4 * 4;
      ByteBuffer note =
          ByteBuffer.allocate(12 + paddedName + paddedDescriptor).order(ByteOrder.LITTLE_ENDIAN);
      note.putInt(name.length).putInt(descriptor.length).putInt(type).put(name);
      note.put(12 + paddedName, descriptor);
      headers.add(new Header(4, 0, note.array(), 0));
      return this;
    }

    byte[] build() {
      int headerBytes = is64 ? 64 : 52;
      int entryBytes = is64 ? 56 : 32;
      int at = headerBytes + headers.size() * entryBytes;
      int total = at + headers.stream().mapToInt(header -> header.content.length).sum();
      ByteBuffer file = ByteBuffer.allocate(total).order(ByteOrder.LITTLE_ENDIAN);
      file.putInt(0, 0x464C457F).put(4, (byte) (is64 ? 2 : 1)).put(5, (byte) 1).put(6, (byte) 1);
      file.putShort(16, (short) 2).putShort(18, (short) (is64 ? 62 : 3)).putInt(20, 1);
      if (is64) {
        file.putLong(24, entry).putLong(32, 64).putShort(54, (short) 56);
        file.putShort(56, (short) headers.size());
      } else {
        file.putInt(24, (int) entry).putInt(28, 52).putShort(42, (short) 32);
        file.putShort(44, (short) headers.size());
      }
      for (int i = 0; i < headers.size(); i++) {
        Header header = headers.get(i);
        putHeader(file, headerBytes + i * entryBytes, at, header);
        file.put(at, header.content);
        at += header.content.length;
      }
      return file.array();
    }

    private void putHeader(ByteBuffer file, int at, int offset, Header header) {
      int fileBytes = header.content.length;
      file.putInt(at, header.type);
      if (is64) {
        file.putLong(at + 8, offset).putLong(at + 16, header.gpa).putLong(at + 24, header.gpa);
        file.putLong(at + 32, fileBytes).putLong(at + 40, header.memoryBytes);
      } else {
        file.putInt(at + 4, offset).putInt(at + 8, (int) header.gpa);
        file.putInt(at + 12, (int) header.gpa).putInt(at + 16, fileBytes);
        file.putInt(at + 20, (int) header.memoryBytes);
      }
    }
  }

  /** A multiboot header without address fields. */
  static byte[] multibootHeader(int flags) {
    ByteBuffer header = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
    header.putInt(0x1BADB002).putInt(flags).putInt(-(0x1BADB002 + flags));
    return header.array();
  }

  /** A flat multiboot file: 16 bytes, the header, text; addresses as given. */
  static byte[] flatMultiboot(int header, int load, int loadEnd, int bssEnd, int entry) {
    ByteBuffer file = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
    file.put(pattern(4096, 9));
    file.put(16, multibootHeader(1 << 16));
    file.putInt(28, header).putInt(32, load).putInt(36, loadEnd).putInt(40, bssEnd);
    file.putInt(44, entry);
    return file.array();
  }
}
