package memvisor.machine.pc;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import memvisor.boot.BootRequest;

/**
 * Adds kernel modules to the fetched guest's initial RAM disk: Linux unpacks several cpio archives
 * one after the other, and the guest's init loads what is in {@code /lib/modules} by name.
 */
public final class GuestModules {
  private static final int REGULAR_FILE = 0100644;
  private static final int PROGRAM = 0100755;

  private GuestModules() {}

  /** The request with the virtio core and these modules, which are loaded in this order. */
  static BootRequest with(BootRequest request, String... modules) {
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    archive.writeBytes(request.initrd());
    appendModules(archive, modules);
    return ended(request, archive);
  }

  /** The same, and {@code init} is the guest's first program instead of the one it had. */
  public static BootRequest with(BootRequest request, byte[] init, String... modules) {
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    archive.writeBytes(request.initrd());
    append(archive, "init", PROGRAM, init);
    appendModules(archive, modules);
    return ended(request, archive);
  }

  private static BootRequest ended(BootRequest request, ByteArrayOutputStream archive) {
    append(archive, "TRAILER!!!", REGULAR_FILE, new byte[0]);
    return request.withInitrd(archive.toByteArray());
  }

  private static void appendModules(ByteArrayOutputStream archive, String... modules) {
    List<String> names = new java.util.ArrayList<>(List.of("virtio_ring", "virtio", "virtio_mmio"));
    names.addAll(List.of(modules));
    try {
      Path directory = LinuxGuest.directory().resolve("modules");
      for (int i = 0; i < names.size(); i++) {
        byte[] module = Files.readAllBytes(directory.resolve(names.get(i) + ".ko"));
        String path = "lib/modules/%02d-%s.ko".formatted(i, names.get(i));
        append(archive, path, REGULAR_FILE, module);
      }
    } catch (IOException e) {
      throw new IllegalStateException("the guest's modules cannot be read", e);
    }
  }

  /** One file in the "newc" format: a header of hexadecimal numbers, the name, the bytes. */
  private static void append(ByteArrayOutputStream archive, String name, int mode, byte[] bytes) {
    pad(archive);
    StringBuilder header = new StringBuilder("070701");
    int[] fields = {0, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length() + 1, 0};
    for (int field : fields) {
      header.append("%08X".formatted(field));
    }
    archive.writeBytes(
        header.append(name).append('\0').toString().getBytes(StandardCharsets.US_ASCII));
    pad(archive);
    archive.writeBytes(bytes);
    pad(archive);
  }

  private static void pad(ByteArrayOutputStream archive) {
    while (archive.size() % 4 != 0) {
      archive.write(0);
    }
  }
}
