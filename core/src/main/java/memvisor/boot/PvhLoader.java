package memvisor.boot;

import java.util.List;

/**
 * Starts an ELF image with {@code struct hvm_start_info} version 1 (Xen,
 * public/arch-x86/hvm/start_info.h): by the PVH protocol in 32-bit mode, or at a plain ELF64 entry
 * in 64-bit mode.
 */
final class PvhLoader {
  private static final int MAGIC = 0x336EC578;
  private static final int START_INFO_BYTES = 56;
  private static final int MODULE_BYTES = 32;
  private static final int MEMORY_MAP_ENTRY_BYTES = 24;

  // Linux keeps the initrd's address in 32 bits, and its early map reaches no higher.
  private static final long INITRD_LIMIT = 1L << 31;

  private PvhLoader() {}

  /** PVH: 32-bit protected mode, EBX points at the start info. */
  static EntryState loadPvh(ElfImage image, BootRequest request, GuestSpace space) {
    long entry =
        image
            .pvhEntry()
            .orElseThrow(
                () -> new ImageFormatException("the ELF image has no PVH entry note (type 18)"));
    image.load(space);
    image.requireLoaded(entry);
    long info = placeStartInfo(request, space);
    GeneralRegisters registers = new GeneralRegisters(0, info, 0, 0, 0);
    return new EntryState.FlatProtected(entry, registers, GuestSpace.GDT, GuestGdt.CODE_32);
  }

  /**
   * A plain ELF64 image: 64-bit mode, identity map, RDI points at the start info and RSP at 64 KiB
   * of stack.
   */
  static EntryState loadElf64(ElfImage image, BootRequest request, GuestSpace space) {
    image.load(space);
    long entry = image.requireLoaded(image.entry());
    long cr3 = space.placeIdentityMap();
    space.claimStack();
    long info = placeStartInfo(request, space);
    GeneralRegisters registers = new GeneralRegisters(0, 0, 0, info, GuestSpace.STACK_TOP);
    return new EntryState.LongMode(entry, registers, GuestSpace.GDT, cr3);
  }

  private static long placeStartInfo(BootRequest request, GuestSpace space) {
    space.placeGdt();
    space.placeCommandLine(request.commandLine(), GuestSpace.COMMAND_LINE_BYTES);
    final List<E820Entry> map = space.e820();
    final int modules = START_INFO_BYTES;
    final int memoryMap = modules + MODULE_BYTES;
    byte[] info = new byte[memoryMap + map.size() * MEMORY_MAP_ENTRY_BYTES];
    LittleEndian.put(info, 0, 4, MAGIC);
    LittleEndian.put(info, 4, 4, 1); // version
    if (request.initrd().length > 0) {
      LittleEndian.put(info, 12, 4, 1); // nr_modules
      LittleEndian.put(info, 16, 8, GuestSpace.INFORMATION + modules);
      LittleEndian.put(info, modules, 8, space.placeInitrd(request.initrd(), INITRD_LIMIT));
      LittleEndian.put(info, modules + 8, 8, request.initrd().length);
    }
    LittleEndian.put(info, 24, 8, GuestSpace.COMMAND_LINE);
    LittleEndian.put(info, 32, 8, request.rsdpGpa());
    LittleEndian.put(info, 40, 8, GuestSpace.INFORMATION + memoryMap);
    LittleEndian.put(info, 48, 4, map.size());
    int at = memoryMap;
    for (E820Entry entry : map) {
      LittleEndian.put(info, at, 8, entry.gpa());
      LittleEndian.put(info, at + 8, 8, entry.sizeBytes());
      LittleEndian.put(info, at + 16, 4, entry.type().number());
      at += MEMORY_MAP_ENTRY_BYTES;
    }
    space.place(GuestSpace.INFORMATION, info, "hvm_start_info");
    return GuestSpace.INFORMATION;
  }
}
