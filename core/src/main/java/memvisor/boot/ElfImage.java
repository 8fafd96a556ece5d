package memvisor.boot;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A little-endian ELF executable for x86, 32 or 64 bits (System V ABI, chapters 4 and 5), as a boot
 * loader sees it: loadable segments at their physical addresses, notes, entry.
 */
public final class ElfImage {
  /** Note type 18 of owner "Xen": the 32-bit entry of the PVH protocol. */
  private static final int XEN_ELFNOTE_PHYS32_ENTRY = 18;

  private static final int PT_LOAD = 1;
  private static final int PT_INTERP = 3;
  private static final int PT_NOTE = 4;
  private static final int EM_386 = 3;
  private static final int EM_X86_64 = 62;

  /**
   * A PT_LOAD segment.
   *
   * @param offset offset in the file
   * @param fileBytes bytes in the file
   * @param gpa p_paddr
   * @param memoryBytes bytes in memory; those beyond the file's are zero
   */
  record Segment(long offset, long fileBytes, long gpa, long memoryBytes) {}

  private final ImageBytes file;
  private final boolean is64;
  private final List<Segment> segments = new ArrayList<>();
  private final Map<Integer, Note> xenNotes = new HashMap<>();
  private OptionalLong pvhEntry = OptionalLong.empty();

  /** Where the descriptor of a note lies in the file. */
  private record Note(long offset, long sizeBytes) {}

  private ElfImage(byte[] bytes) {
    file = new ImageBytes("ELF image", bytes);
    if (!isElf(bytes)) {
      throw file.error("does not begin with the ELF magic number");
    }
    int elfClass = file.u8(4, "e_ident");
    if (elfClass != 1 && elfClass != 2 || file.u8(5, "e_ident") != 1) {
      throw file.error("is not a little-endian 32- or 64-bit file");
    }
    is64 = elfClass == 2;
    int machine = file.u16(18, "e_machine");
    if (machine != EM_386 && machine != EM_X86_64) {
      throw file.error("is not for x86: e_machine is " + machine);
    }
    readProgramHeaders();
    if (segments.isEmpty()) {
      throw file.error("has nothing to load: no PT_LOAD segment");
    }
  }

  /** Whether these bytes begin as an ELF file does. */
  public static boolean isElf(byte[] bytes) {
    return new ImageBytes("ELF image", bytes).startsWith(0, "\u007fELF");
  }

  /**
   * Reads an image.
   *
   * @throws ImageFormatException if it is truncated, damaged or not for x86
   */
  public static ElfImage parse(byte[] bytes) {
    return new ElfImage(bytes);
  }

  private void readProgramHeaders() {
    long start = is64 ? file.u64(32, "e_phoff") : file.u32(28, "e_phoff");
    int entryBytes = file.u16(is64 ? 54 : 42, "e_phentsize");
    int count = file.u16(is64 ? 56 : 44, "e_phnum");
    int expectedBytes = is64 ? 56 : 32;
    if (entryBytes != expectedBytes && count != 0) {
      throw file.error(
          "has program headers of %d bytes, not %d".formatted(entryBytes, expectedBytes));
    }
    file.require(start, (long) count * entryBytes, "program header table");
    for (int i = 0; i < count; i++) {
      readProgramHeader(start + (long) i * entryBytes);
    }
  }

  private void readProgramHeader(long at) {
    long type = file.u32(at, "p_type");
    Segment segment =
        is64
            ? new Segment(
                file.u64(at + 8, "p_offset"),
                file.u64(at + 32, "p_filesz"),
                file.u64(at + 24, "p_paddr"),
                file.u64(at + 40, "p_memsz"))
            : new Segment(
                file.u32(at + 4, "p_offset"),
                file.u32(at + 16, "p_filesz"),
                file.u32(at + 12, "p_paddr"),
                file.u32(at + 20, "p_memsz"));
    if (type == PT_INTERP) {
      throw file.error("is a program for an operating system, not a kernel: it asks for a loader");
    }
    if (type == PT_LOAD && segment.memoryBytes != 0) {
      addSegment(segment);
    } else if (type == PT_NOTE) {
      file.require(segment.offset, segment.fileBytes, "note segment");
      readNotes(segment.offset, segment.offset + segment.fileBytes);
    }
  }

  private void addSegment(Segment segment) {
    if (Long.compareUnsigned(segment.fileBytes, segment.memoryBytes) > 0) {
      throw file.error(
          "has a segment with more bytes in the file than in memory: filesz=0x%x memsz=0x%x"
              .formatted(segment.fileBytes, segment.memoryBytes));
    }
    file.require(segment.offset, segment.fileBytes, "segment");
    segments.add(segment);
  }

  // ABI: namesz, descsz, type; then name and descriptor, each padded to 4 bytes.
  private void readNotes(long start, long end) {
    for (long at = start; at + 12 <= end; ) {
      long nameBytes = file.u32(at, "note");
      long descriptorBytes = file.u32(at + 4, "note");
      long type = file.u32(at + 8, "note");
      long name = at + 12;
      long descriptor = name + (nameBytes + 3 & -4);
      if (descriptor + descriptorBytes > end) {
        throw file.error(
            "is damaged: a note at offset 0x%x ends outside its segment".formatted(at));
      }
      if (file.text(name, nameBytes, "note").equals("Xen")) {
        xenNotes.put((int) type, new Note(descriptor, descriptorBytes));
        if (type == XEN_ELFNOTE_PHYS32_ENTRY) {
          pvhEntry = OptionalLong.of(readPvhEntry(descriptor, descriptorBytes));
        }
      }
      at = descriptor + (descriptorBytes + 3 & -4);
    }
  }

  private long readPvhEntry(long at, long sizeBytes) {
    return switch ((int) Math.min(sizeBytes, Integer.MAX_VALUE)) {
      case 4 -> file.u32(at, "PVH note");
      case 8 -> file.u64(at, "PVH note");
      default -> throw file.error("has a PVH note of %d bytes, not 4 or 8".formatted(sizeBytes));
    };
  }

  /** Whether it is of class ELF64. */
  public boolean is64() {
    return is64;
  }

  /** e_entry. */
  public long entry() {
    return is64 ? file.u64(24, "e_entry") : file.u32(24, "e_entry");
  }

  /** The entry of the PVH protocol, if the image has one. */
  public OptionalLong pvhEntry() {
    return pvhEntry;
  }

  /** The segments to load. */
  List<Segment> segments() {
    return segments;
  }

  /** The file itself. */
  byte[] bytes() {
    return file.array();
  }

  /** Whether there is a note of owner "Xen" and this type. */
  boolean hasXenNote(int type) {
    return xenNotes.containsKey(type);
  }

  /** The number in a note of owner "Xen", which has 4 or 8 bytes. */
  OptionalLong xenNumber(int type) {
    Note note = xenNotes.get(type);
    if (note == null) {
      return OptionalLong.empty();
    }
    return switch ((int) Math.min(note.sizeBytes, Integer.MAX_VALUE)) {
      case 4 -> OptionalLong.of(file.u32(note.offset, "Xen note"));
      case 8 -> OptionalLong.of(file.u64(note.offset, "Xen note"));
      default ->
          throw file.error(
              "has a Xen note of type %d with %d bytes, not 4 or 8"
                  .formatted(type, note.sizeBytes));
    };
  }

  /** The text in a note of owner "Xen". */
  Optional<String> xenText(int type) {
    return Optional.ofNullable(xenNotes.get(type))
        .map(note -> file.text(note.offset, note.sizeBytes, "Xen note"));
  }

  /** Copies every segment to its physical address and zeroes the rest of it. */
  void load(GuestSpace space) {
    for (Segment segment : segments) {
      space.claim(segment.gpa, segment.memoryBytes, "a segment of the kernel");
    }
    for (Segment segment : segments) {
      space.write(segment.gpa, file.array(), segment.offset, segment.fileBytes);
      space.zero(segment.gpa + segment.fileBytes, segment.memoryBytes - segment.fileBytes);
    }
  }

  /** Returns {@code entry} if some segment holds it. */
  long requireLoaded(long entry) {
    for (Segment segment : segments) {
      if (entry >= segment.gpa && entry < segment.gpa + segment.memoryBytes) {
        return entry;
      }
    }
    throw file.error("has its entry outside what it loads: entry=0x%x".formatted(entry));
  }
}
