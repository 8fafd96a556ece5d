package memvisor.boot;

import memvisor.memory.GuestMemory;

/** Puts a guest into memory and says how its first vCPU starts. */
public final class BootLoader {
  private BootLoader() {}

  /**
   * The protocol an image asks for: a bzImage Linux's, an ELF with a PVH note PVH, a file with a
   * multiboot header multiboot, any other ELF64 the plain entry.
   *
   * @throws ImageFormatException if it is none of these
   */
  public static BootProtocol protocolOf(byte[] image) {
    if (BzImage.isBzImage(image)) {
      return BzImage.parse(image).has64BitEntry() ? BootProtocol.LINUX64 : BootProtocol.LINUX32;
    }
    if (ElfImage.isElf(image) && ElfImage.parse(image).pvhEntry().isPresent()) {
      return BootProtocol.PVH;
    }
    if (MultibootLoader.isMultiboot(image)) {
      return BootProtocol.MULTIBOOT;
    }
    if (ElfImage.isElf(image) && ElfImage.parse(image).is64()) {
      return BootProtocol.ELF64;
    }
    throw new ImageFormatException(
        image.length == 0
            ? "the kernel file is empty"
            : "the kernel file is no bzImage, no ELF64, and has neither a PVH note nor a multiboot"
                + " header");
  }

  /**
   * Loads by the protocol the image asks for.
   *
   * @throws BootException if the image is damaged or does not fit; the message is for the user
   */
  public static EntryState load(BootRequest request, GuestMemory memory) {
    return load(protocolOf(request.image()), request, memory);
  }

  /**
   * Loads by a given protocol.
   *
   * @throws BootException if the image is damaged, does not speak that protocol or does not fit;
   *     the message is for the user
   */
  public static EntryState load(BootProtocol protocol, BootRequest request, GuestMemory memory) {
    GuestSpace space = new GuestSpace(memory);
    byte[] image = request.image();
    return switch (protocol) {
      case LINUX64 ->
          ElfImage.isElf(image)
              ? LinuxLoader.loadVmlinux(elf64(image), request, space)
              : LinuxLoader.loadBzImage(bzImage64(image), request, space);
      case LINUX32 -> LinuxLoader.loadBzImage32(BzImage.parse(image), request, space);
      case PVH -> PvhLoader.loadPvh(ElfImage.parse(image), request, space);
      case MULTIBOOT -> MultibootLoader.load(request, space);
      case ELF64 -> PvhLoader.loadElf64(elf64(image), request, space);
    };
  }

  private static BzImage bzImage64(byte[] image) {
    BzImage kernel = BzImage.parse(image);
    if (!kernel.has64BitEntry()) {
      throw new ImageFormatException("the bzImage has no 64-bit entry; it is a 32-bit kernel");
    }
    return kernel;
  }

  private static ElfImage elf64(byte[] image) {
    ElfImage elf = ElfImage.parse(image);
    if (!elf.is64()) {
      throw new ImageFormatException("the ELF image is a 32-bit one; this protocol needs an ELF64");
    }
    return elf;
  }
}
