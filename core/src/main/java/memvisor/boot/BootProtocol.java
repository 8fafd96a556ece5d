package memvisor.boot;

/** The ways to start an image. */
public enum BootProtocol {
  /** Linux, 64-bit boot protocol: a bzImage, or a vmlinux (ELF64). */
  LINUX64,
  /** Linux, 32-bit boot protocol: a bzImage of a 32-bit kernel. */
  LINUX32,
  /** PVH: an ELF with a Xen note of type 18. */
  PVH,
  /** Multiboot 1: an ELF32, or a flat file with addresses in its header. */
  MULTIBOOT,
  /** A plain ELF64, entered in 64-bit mode with an identity map; Memvisor's own guest. */
  ELF64
}
