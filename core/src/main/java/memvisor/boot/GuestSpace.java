package memvisor.boot;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import memvisor.memory.GuestMemory;
import memvisor.memory.MemoryRegion;

/**
 * Guest memory under construction: what a loader puts where, so that nothing overwrites anything.
 */
final class GuestSpace {
  /** The GDT; see {@link GuestGdt}. */
  static final long GDT = 0x1000;

  /** boot_params, hvm_start_info or multiboot information, with what hangs on them. */
  static final long INFORMATION = 0x2000;

  /** Bytes for the above. */
  static final long INFORMATION_BYTES = 0x4000;

  /** The identity map: PML4, PDPT and four page directories. */
  static final long PAGE_TABLES = 0x8000;

  /** The command line. */
  static final long COMMAND_LINE = 0x20000;

  /** Longest command line, its NUL included. */
  static final int COMMAND_LINE_BYTES = 0x10000;

  /** Where the first stack ends; it grows down over {@link #STACK_BYTES}. */
  static final long STACK_TOP = 0x80000;

  /** Size of the first stack. */
  static final long STACK_BYTES = 0x10000;

  private static final int PAGE_BYTES = 4096;
  private static final int CHUNK_BYTES = 1 << 16;

  private record Claim(long gpa, long end, String what) {}

  private final GuestMemory memory;
  private final List<Claim> claims = new ArrayList<>();

  GuestSpace(GuestMemory memory) {
    this.memory = memory;
  }

  List<E820Entry> e820() {
    return E820Entry.of(memory.map());
  }

  /** Sets {@code [gpa, gpa + sizeBytes)} aside; fails where it is not RAM or taken. */
  void claim(long gpa, long sizeBytes, String what) {
    if (sizeBytes < 0 || !isRam(gpa, sizeBytes)) {
      throw new BootException(
          "%s needs %s bytes at 0x%x, which is not all guest memory; give the guest more memory"
              .formatted(what, Long.toUnsignedString(sizeBytes), gpa));
    }
    for (Claim claim : claims) {
      if (gpa < claim.end && claim.gpa < gpa + sizeBytes) {
        throw new BootException(
            "%s at 0x%x-0x%x overlaps %s at 0x%x-0x%x"
                .formatted(what, gpa, gpa + sizeBytes, claim.what, claim.gpa, claim.end));
      }
    }
    claims.add(new Claim(gpa, gpa + sizeBytes, what));
  }

  private boolean isRam(long gpa, long sizeBytes) {
    return memory.map().regions().stream()
        .filter(region -> region.kind() == MemoryRegion.Kind.RAM)
        .anyMatch(
            region ->
                gpa >= region.gpa() && gpa <= region.end() && sizeBytes <= region.end() - gpa);
  }

  /** Sets the highest free, page-aligned range below {@code limit} aside; its address. */
  long claimHighest(long sizeBytes, long limit, String what) {
    long best = -1;
    for (MemoryRegion region : memory.map().regions()) {
      if (region.kind() == MemoryRegion.Kind.RAM && region.gpa() >= 1 << 20) {
        best = Math.max(best, highestIn(region, sizeBytes, Math.min(limit, region.end())));
      }
    }
    if (best < 0) {
      throw new BootException(
          "%s of %d bytes does not fit into guest memory below 0x%x; give the guest more memory"
              .formatted(what, sizeBytes, limit));
    }
    claim(best, sizeBytes, what);
    return best;
  }

  private long highestIn(MemoryRegion region, long sizeBytes, long limit) {
    long gpa = limit - sizeBytes & -PAGE_BYTES;
    boolean moved = true;
    while (moved && gpa >= region.gpa()) {
      moved = false;
      for (Claim claim : claims) {
        if (gpa < claim.end && claim.gpa < gpa + sizeBytes) {
          gpa = claim.gpa - sizeBytes & -PAGE_BYTES;
          moved = true;
        }
      }
    }
    return gpa >= region.gpa() ? gpa : -1;
  }

  /** Sets a range aside and copies {@code bytes} there. */
  void place(long gpa, byte[] bytes, String what) {
    claim(gpa, bytes.length, what);
    memory.load(gpa, bytes, 0, bytes.length);
  }

  /** Puts the initial RAM disk as high as it may lie below {@code limit}; its address. */
  long placeInitrd(byte[] initrd, long limit) {
    long gpa = claimHighest(initrd.length, limit, "the initrd");
    memory.load(gpa, initrd, 0, initrd.length);
    return gpa;
  }

  /** Copies into a range that was set aside. */
  void write(long gpa, byte[] source, long offset, long lengthBytes) {
    memory.load(gpa, source, (int) offset, (int) lengthBytes);
  }

  /**
   * Zeroes a range that was set aside; pages that read as zero already are left alone, so that they
   * take no frame.
   */
  void zero(long gpa, long lengthBytes) {
    byte[] zeroes = new byte[CHUNK_BYTES];
    byte[] present = new byte[CHUNK_BYTES];
    for (long done = 0; done < lengthBytes; done += CHUNK_BYTES) {
      int chunk = (int) Math.min(CHUNK_BYTES, lengthBytes - done);
      memory.read(gpa + done, present, 0, chunk);
      if (!Arrays.equals(present, 0, chunk, zeroes, 0, chunk)) {
        memory.write(gpa + done, zeroes, 0, chunk);
      }
    }
  }

  /** Writes the GDT. */
  void placeGdt() {
    placeGdt(GuestGdt.CODE_64);
  }

  /** Writes the GDT with {@code bootCode} at selector 10h. */
  void placeGdt(SegmentState bootCode) {
    place(GDT, GuestGdt.bytes(bootCode), "the GDT");
  }

  /** Sets the first stack aside. */
  void claimStack() {
    claim(STACK_TOP - STACK_BYTES, STACK_BYTES, "the stack");
  }

  /** Writes the identity map of the first 4 GiB in 2 MiB pages; the PML4's address. */
  long placeIdentityMap() {
    final int tableBytes = 4096;
    final long presentWritable = 3;
    final long largePage = 1 << 7;
    byte[] tables = new byte[6 * tableBytes];
    LittleEndian.put(tables, 0, 8, PAGE_TABLES + tableBytes | presentWritable);
    for (int directory = 0; directory < 4; directory++) {
      long table = PAGE_TABLES + (2L + directory) * tableBytes;
      LittleEndian.put(tables, tableBytes + 8 * directory, 8, table | presentWritable);
    }
    for (int page = 0; page < 4 * 512; page++) {
      long entry = (long) page << 21 | largePage | presentWritable;
      LittleEndian.put(tables, 2 * tableBytes + 8 * page, 8, entry);
    }
    place(PAGE_TABLES, tables, "the identity map");
    return PAGE_TABLES;
  }

  /** Writes the command line with its NUL; fails beyond {@code maximumBytes} without the NUL. */
  void placeCommandLine(String commandLine, long maximumBytes) {
    byte[] text = commandLine.getBytes(StandardCharsets.UTF_8);
    long limit = Math.min(maximumBytes, COMMAND_LINE_BYTES - 1);
    if (text.length > limit) {
      throw new BootException(
          "the kernel command line has %d bytes, and this kernel takes at most %d"
              .formatted(text.length, limit));
    }
    if (commandLine.indexOf('\0') >= 0) {
      throw new BootException("the kernel command line contains a NUL character");
    }
    place(COMMAND_LINE, Arrays.copyOf(text, text.length + 1), "the command line");
  }
}
