package memvisor.boot;

import java.util.List;

/**
 * Starts Linux by its 64-bit or 32-bit boot protocol (Documentation/x86/boot.rst; struct
 * boot_params in arch/x86/include/uapi/asm/bootparam.h).
 */
final class LinuxLoader {
  /** The 64-bit entry of a bzImage lies this far behind its load address. */
  private static final int ENTRY_64 = 0x200;

  // A vmlinux carries no setup header. These are what any 64-bit Linux accepts.
  private static final long VMLINUX_INITRD_MAXIMUM = 0x7FFFFFFF;
  private static final long VMLINUX_COMMAND_LINE_BYTES = 2047;

  private static final int E820_MAXIMUM = 128;
  private static final int E820_ENTRY_BYTES = 20;

  private LinuxLoader() {}

  /** Loads a bzImage at the address it prefers; it unpacks itself. */
  static EntryState loadBzImage(BzImage image, BootRequest request, GuestSpace space) {
    long gpa = image.preferredAddress();
    space.claim(gpa, Math.max(image.initSizeBytes(), image.protectedModeBytes()), "the kernel");
    space.write(gpa, image.bytes(), image.protectedModeOffset(), image.protectedModeBytes());
    return start(
        gpa + ENTRY_64,
        image.bootParamsHeader(),
        request,
        space,
        image.initrdAddressMaximum(),
        image.commandLineBytes());
  }

  /**
   * Loads a bzImage for its 32-bit entry: protected mode without paging ("32-bit Boot Protocol").
   */
  static EntryState loadBzImage32(BzImage image, BootRequest request, GuestSpace space) {
    long gpa = image.preferredAddress();
    space.claim(gpa, Math.max(image.initSizeBytes(), image.protectedModeBytes()), "the kernel");
    space.write(gpa, image.bytes(), image.protectedModeOffset(), image.protectedModeBytes());
    space.placeGdt(GuestGdt.BOOT_CODE_32);
    GeneralRegisters registers =
        placeParameters(
            image.bootParamsHeader(),
            request,
            space,
            image.initrdAddressMaximum(),
            image.commandLineBytes());
    return new EntryState.FlatProtected(gpa, registers, GuestSpace.GDT, GuestGdt.BOOT_CODE_32);
  }

  /** Loads an unpacked vmlinux at its physical addresses. */
  static EntryState loadVmlinux(ElfImage image, BootRequest request, GuestSpace space) {
    image.load(space);
    byte[] bootParams = new byte[4096];
    LittleEndian.put(bootParams, 0x1FE, 2, 0xAA55);
    LittleEndian.put(bootParams, 0x202, 4, 0x53726448); // "HdrS"
    LittleEndian.put(bootParams, 0x206, 2, 0x20F);
    return start(
        image.requireLoaded(image.entry()),
        bootParams,
        request,
        space,
        VMLINUX_INITRD_MAXIMUM,
        VMLINUX_COMMAND_LINE_BYTES);
  }

  private static EntryState start(
      long entry,
      byte[] bootParams,
      BootRequest request,
      GuestSpace space,
      long initrdMaximum,
      long commandLineMaximum) {
    space.placeGdt();
    long cr3 = space.placeIdentityMap();
    GeneralRegisters registers =
        placeParameters(bootParams, request, space, initrdMaximum, commandLineMaximum);
    return new EntryState.LongMode(entry, registers, GuestSpace.GDT, cr3);
  }

  /** Puts command line, initrd and boot_params into place; the registers that point to them. */
  private static GeneralRegisters placeParameters(
      byte[] bootParams,
      BootRequest request,
      GuestSpace space,
      long initrdMaximum,
      long commandLineMaximum) {
    space.placeCommandLine(request.commandLine(), commandLineMaximum);
    LittleEndian.put(bootParams, 0x070, 8, request.rsdpGpa()); // acpi_rsdp_addr
    LittleEndian.put(bootParams, 0x1FA, 2, 0xFFFF); // vid_mode: normal
    LittleEndian.put(bootParams, 0x210, 1, 0xFF); // type_of_loader: undefined
    bootParams[0x211] |= 1; // loadflags: LOADED_HIGH
    LittleEndian.put(bootParams, 0x228, 4, GuestSpace.COMMAND_LINE);
    if (request.initrd().length > 0) {
      long initrd = space.placeInitrd(request.initrd(), initrdMaximum + 1);
      LittleEndian.put(bootParams, 0x218, 4, initrd);
      LittleEndian.put(bootParams, 0x21C, 4, request.initrd().length);
    }
    putE820(bootParams, space.e820());
    space.place(GuestSpace.INFORMATION, bootParams, "boot_params");
    return new GeneralRegisters(0, 0, GuestSpace.INFORMATION, 0, GuestSpace.STACK_TOP);
  }

  private static void putE820(byte[] bootParams, List<E820Entry> entries) {
    if (entries.size() > E820_MAXIMUM) {
      throw new BootException(
          "the guest's memory has %d ranges, and boot_params holds at most %d"
              .formatted(entries.size(), E820_MAXIMUM));
    }
    LittleEndian.put(bootParams, 0x1E8, 1, entries.size());
    int at = 0x2D0;
    for (E820Entry entry : entries) {
      LittleEndian.put(bootParams, at, 8, entry.gpa());
      LittleEndian.put(bootParams, at + 8, 8, entry.sizeBytes());
      LittleEndian.put(bootParams, at + 16, 4, entry.type().number());
      at += E820_ENTRY_BYTES;
    }
  }
}
