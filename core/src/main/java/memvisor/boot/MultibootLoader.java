package memvisor.boot;

import java.util.List;

/**
 * Starts an image by the Multiboot Specification 0.6.96: an ELF32 file, or any file whose header
 * gives its addresses.
 */
final class MultibootLoader {
  private static final long HEADER_MAGIC = 0x1BADB002L;
  private static final long ENTRY_MAGIC = 0x2BADB002L;
  private static final int SEARCH_BYTES = 8192;
  private static final int HEADER_BYTES = 12;

  // Header flags (3.1.2). Bits 0-15 must be understood; video modes (2) may be left unset.
  private static final long UNDERSTOOD = 0x7;
  private static final long HAS_ADDRESSES = 1 << 16;

  // Information flags (3.3).
  private static final long INFO_MEMORY = 1;
  private static final long INFO_COMMAND_LINE = 1 << 2;
  private static final long INFO_MODULES = 1 << 3;
  private static final long INFO_MEMORY_MAP = 1 << 6;

  private static final int INFORMATION_BYTES = 120;
  private static final int MODULE_BYTES = 16;
  private static final int MEMORY_MAP_ENTRY_BYTES = 24;
  private static final long MODULE_LIMIT = 1L << 32;

  private final ImageBytes file;
  private final long header;

  private MultibootLoader(ImageBytes file, long header) {
    this.file = file;
    this.header = header;
  }

  /** Whether the first 8 KiB hold a multiboot header. */
  static boolean isMultiboot(byte[] bytes) {
    return headerOffset(new ImageBytes("multiboot image", bytes)) >= 0;
  }

  private static long headerOffset(ImageBytes file) {
    long last = Math.min(SEARCH_BYTES, file.sizeBytes()) - HEADER_BYTES;
    for (long at = 0; at <= last; at += 4) {
      if (file.u32(at, "magic") == HEADER_MAGIC) {
        long flags = file.u32(at + 4, "flags");
        long checksum = file.u32(at + 8, "checksum");
        if ((int) (HEADER_MAGIC + flags + checksum) == 0) {
          return at;
        }
      }
    }
    return -1;
  }

  static EntryState load(BootRequest request, GuestSpace space) {
    ImageBytes file = new ImageBytes("multiboot image", request.image());
    long header = headerOffset(file);
    if (header < 0) {
      throw file.error("has no multiboot header in its first 8 KiB");
    }
    MultibootLoader loader = new MultibootLoader(file, header);
    long entry = loader.loadImage(space);
    GeneralRegisters registers =
        new GeneralRegisters(ENTRY_MAGIC, placeInformation(request, space), 0, 0, 0);
    return new EntryState.FlatProtected(entry, registers, GuestSpace.GDT, GuestGdt.CODE_32);
  }

  private long loadImage(GuestSpace space) {
    long flags = file.u32(header + 4, "flags");
    if ((flags & 0xFFFF & ~UNDERSTOOD) != 0) {
      throw file.error("asks for something unknown: header flags are 0x%x".formatted(flags));
    }
    if ((flags & HAS_ADDRESSES) != 0) {
      return loadFlat(space);
    }
    ElfImage elf = ElfImage.parse(file.array());
    if (elf.is64()) {
      throw file.error("is an ELF64 file without load addresses in its header; it needs an ELF32");
    }
    elf.load(space);
    return elf.requireLoaded(elf.entry());
  }

  // 3.1.3: the address fields of the header. Zero ends mean the end of the file, and no bss.
  private long loadFlat(GuestSpace space) {
    long headerAddress = file.u32(header + 12, "header_addr");
    long loadAddress = file.u32(header + 16, "load_addr");
    long loadEnd = file.u32(header + 20, "load_end_addr");
    long bssEnd = file.u32(header + 24, "bss_end_addr");
    final long entry = file.u32(header + 28, "entry_addr");
    long offset = header - (headerAddress - loadAddress);
    if (loadAddress > headerAddress || offset < 0) {
      throw file.error(
          "has a header that does not lie in what it loads: header_addr=0x%x load_addr=0x%x"
              .formatted(headerAddress, loadAddress));
    }
    long fileBytes = loadEnd == 0 ? file.sizeBytes() - offset : loadEnd - loadAddress;
    long memoryBytes = bssEnd == 0 ? fileBytes : bssEnd - loadAddress;
    if (fileBytes < 0 || memoryBytes < fileBytes) {
      throw file.error(
          "has addresses in disorder: load_addr=0x%x load_end_addr=0x%x bss_end_addr=0x%x"
              .formatted(loadAddress, loadEnd, bssEnd));
    }
    file.require(offset, fileBytes, "text and data");
    if (entry < loadAddress || entry >= loadAddress + memoryBytes) {
      throw file.error("has its entry outside what it loads: entry_addr=0x%x".formatted(entry));
    }
    space.claim(loadAddress, memoryBytes, "the kernel");
    space.write(loadAddress, file.array(), offset, fileBytes);
    space.zero(loadAddress + fileBytes, memoryBytes - fileBytes);
    return entry;
  }

  private static long placeInformation(BootRequest request, GuestSpace space) {
    space.placeGdt();
    // 3.3: the command line begins with the image's name, as boot loaders pass it.
    space.placeCommandLine("kernel " + request.commandLine(), GuestSpace.COMMAND_LINE_BYTES);
    final List<E820Entry> map = space.e820();
    final int module = INFORMATION_BYTES;
    final int memoryMap = module + MODULE_BYTES;
    byte[] info = new byte[memoryMap + map.size() * MEMORY_MAP_ENTRY_BYTES];
    long flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP;
    LittleEndian.put(info, 4, 4, kibibytesFrom(map, 0));
    LittleEndian.put(info, 8, 4, kibibytesFrom(map, 1 << 20));
    LittleEndian.put(info, 16, 4, GuestSpace.COMMAND_LINE);
    if (request.initrd().length > 0) {
      flags |= INFO_MODULES;
      long start = space.placeInitrd(request.initrd(), MODULE_LIMIT);
      LittleEndian.put(info, 20, 4, 1); // mods_count
      LittleEndian.put(info, 24, 4, GuestSpace.INFORMATION + module);
      LittleEndian.put(info, module, 4, start);
      LittleEndian.put(info, module + 4, 4, start + request.initrd().length);
      LittleEndian.put(info, module + 8, 4, GuestSpace.COMMAND_LINE);
    }
    LittleEndian.put(info, 44, 4, (long) map.size() * MEMORY_MAP_ENTRY_BYTES);
    LittleEndian.put(info, 48, 4, GuestSpace.INFORMATION + memoryMap);
    LittleEndian.put(info, 0, 4, flags);
    int at = memoryMap;
    for (E820Entry entry : map) {
      // `size` does not count itself.
      LittleEndian.put(info, at, 4, MEMORY_MAP_ENTRY_BYTES - 4);
      LittleEndian.put(info, at + 4, 8, entry.gpa());
      LittleEndian.put(info, at + 12, 8, entry.sizeBytes());
      LittleEndian.put(info, at + 20, 4, entry.type().number());
      at += MEMORY_MAP_ENTRY_BYTES;
    }
    space.place(GuestSpace.INFORMATION, info, "the multiboot information");
    return GuestSpace.INFORMATION;
  }

  private static long kibibytesFrom(List<E820Entry> map, long gpa) {
    return map.stream()
        .filter(entry -> entry.gpa() == gpa && entry.type() == E820Entry.Type.RAM)
        .mapToLong(entry -> entry.sizeBytes() >>> 10)
        .findFirst()
        .orElse(0);
  }
}
