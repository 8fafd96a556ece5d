package memvisor.boot;

import java.util.Arrays;

/**
 * A Linux bzImage: the setup header and where things lie (Documentation/x86/boot.rst).
 *
 * <p>Accepted from protocol 2.10 (Linux 2.6.31) on, which says how much memory a kernel needs; a
 * 64-bit kernel is entered in 64-bit mode where it can be (2.12, XLF_KERNEL_64).
 */
public final class BzImage {
  /** How the payload, the real kernel, is packed. */
  public enum Compression {
    /** An ELF file as it is. */
    NONE,
    /** gzip. */
    GZIP,
    /** bzip2. */
    BZIP2,
    /** The old .lzma container. */
    LZMA,
    /** xz, with the x86 BCJ filter. */
    XZ,
    /** lzop. */
    LZO,
    /** LZ4, legacy frames. */
    LZ4,
    /** Zstandard. */
    ZSTD,
    /** Something else. */
    UNKNOWN
  }

  private static final int SETUP_HEADER = 0x1F1;
  private static final int SETUP_HEADER_LIMIT = 0x290;
  private static final int VERSION_2_10 = 0x20A;
  private static final int VERSION_2_12 = 0x20C;
  private static final int XLF_KERNEL_64 = 1;
  private static final int SECTOR_BYTES = 512;

  private final ImageBytes file;
  private final long protectedModeOffset;
  private final long protectedModeBytes;

  private BzImage(ImageBytes file) {
    this.file = file;
    requireHeader();
    int setupSectors = file.u8(SETUP_HEADER, "setup_sects");
    // boot.rst: for backwards compatibility 0 means 4.
    protectedModeOffset = ((setupSectors == 0 ? 4 : setupSectors) + 1L) * SECTOR_BYTES;
    protectedModeBytes = file.u32(0x1F4, "syssize") * 16;
    if (protectedModeBytes == 0) {
      throw file.error("has no protected-mode part: syssize is 0");
    }
    file.require(protectedModeOffset, protectedModeBytes, "protected-mode part");
    if (payloadBytes() < 0 || payloadBytes() > protectedModeBytes - payloadStart()) {
      throw file.error(
          "is damaged: payload_offset=0x%x payload_length=0x%x do not fit into 0x%x bytes"
              .formatted(payloadStart(), payloadBytes(), protectedModeBytes));
    }
    if (Long.bitCount(kernelAlignment()) != 1 || initSizeBytes() == 0) {
      throw file.error(
          "is damaged: kernel_alignment=0x%x init_size=0x%x"
              .formatted(kernelAlignment(), initSizeBytes()));
    }
  }

  private void requireHeader() {
    if (!isBzImage(file.array())) {
      throw file.error("has no Linux setup header (no \"HdrS\" at offset 0x202)");
    }
    if (version() < VERSION_2_10) {
      throw file.error(
          "speaks boot protocol %d.%02d, which is too old; use Linux 2.6.31 or later"
              .formatted(version() >>> 8, version() & 0xFF));
    }
    file.require(0, headerEnd(), "setup header");
  }

  /** Whether these bytes begin as a bzImage does. */
  public static boolean isBzImage(byte[] bytes) {
    ImageBytes file = new ImageBytes("bzImage", bytes);
    return file.startsWith(0x1FE, "\u0055\u00aa") && file.startsWith(0x202, "HdrS");
  }

  /**
   * Reads an image.
   *
   * @throws ImageFormatException if it is truncated, damaged or too old
   */
  public static BzImage parse(byte[] bytes) {
    return new BzImage(new ImageBytes("bzImage", bytes));
  }

  private int version() {
    return file.u16(0x206, "version");
  }

  /** Whether it can be entered in 64-bit mode. */
  public boolean has64BitEntry() {
    return version() >= VERSION_2_12 && (file.u16(0x236, "xloadflags") & XLF_KERNEL_64) != 0;
  }

  byte[] bytes() {
    return file.array();
  }

  /** First offset past the setup header that a loader copies into boot_params. */
  private int headerEnd() {
    // boot.rst, 64-bit protocol: the byte at 0x201 is the displacement of the jump over the header.
    return Math.min(SETUP_HEADER_LIMIT, 0x202 + file.u8(0x201, "header length"));
  }

  /** The setup header alone, at its offset in boot_params: zeroes before and after. */
  byte[] bootParamsHeader() {
    byte[] page = Arrays.copyOf(Arrays.copyOf(file.array(), headerEnd()), 4096);
    Arrays.fill(page, 0, SETUP_HEADER, (byte) 0);
    return page;
  }

  /** File offset of the protected-mode part. */
  public long protectedModeOffset() {
    return protectedModeOffset;
  }

  /** Size of the protected-mode part. */
  public long protectedModeBytes() {
    return protectedModeBytes;
  }

  /** Memory that the kernel needs from its load address on until it has found its own map. */
  public long initSizeBytes() {
    return file.u32(0x260, "init_size");
  }

  /** Where the kernel would like to be loaded. */
  public long preferredAddress() {
    return file.u64(0x258, "pref_address");
  }

  /** Alignment of the load address of a relocatable kernel. */
  public long kernelAlignment() {
    return file.u32(0x230, "kernel_alignment");
  }

  /** Highest address that the last byte of an initrd may have. */
  public long initrdAddressMaximum() {
    return file.u32(0x22C, "initrd_addr_max");
  }

  /** Longest command line, without its NUL. */
  public long commandLineBytes() {
    return file.u32(0x238, "cmdline_size");
  }

  private long payloadStart() {
    return file.u32(0x248, "payload_offset");
  }

  /** File offset of the payload, the packed vmlinux. */
  public long payloadOffset() {
    return protectedModeOffset + payloadStart();
  }

  /**
   * Size of the payload. For all formats but gzip its last four bytes are not part of the packed
   * stream: they hold the unpacked size.
   */
  public long payloadBytes() {
    return file.u32(0x24C, "payload_length");
  }

  /** How the payload is packed, by its magic number. */
  public Compression compression() {
    long at = payloadOffset();
    if (file.startsWith(at, "\u007fELF")) {
      return Compression.NONE;
    } else if (file.startsWith(at, "\u001f\u008b")) {
      return Compression.GZIP;
    } else if (file.startsWith(at, "BZh")) {
      return Compression.BZIP2;
    } else if (file.startsWith(at, "\u005d\0\0")) {
      return Compression.LZMA;
    } else if (file.startsWith(at, "\u00fd7zXZ\0")) {
      return Compression.XZ;
    } else if (file.startsWith(at, "\u0089LZO")) {
      return Compression.LZO;
    } else if (file.startsWith(at, "\u0002\u0021\u004c\u0018")) {
      return Compression.LZ4;
    } else if (file.startsWith(at, "\u0028\u00b5\u002f\u00fd")) {
      return Compression.ZSTD;
    }
    return Compression.UNKNOWN;
  }
}
