package memvisor.app.cli.guest;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveOutputStream;
import org.apache.commons.compress.archivers.cpio.CpioConstants;

/**
 * An initial RAM file system for Linux: a cpio archive in the "newc" format, not compressed (the
 * kernel's Documentation/driver-api/early-userspace/buffer-format.rst). The same content gives the
 * same bytes.
 */
public final class Initramfs {
  private static final int EXECUTABLE = 0755;
  private static final int FOLDER = 0755;

  private sealed interface Node {}

  private record Folder() implements Node {}

  private record Content(byte[] bytes, int permissions) implements Node {}

  private record Link(String target) implements Node {}

  private record Device(int major, int minor) implements Node {}

  /** By path without the leading slash; the order puts a folder before what it holds. */
  private final SortedMap<String, Node> nodes = new TreeMap<>();

  /** A file system of {@code busybox}, the standard init and the devices it needs. */
  public Initramfs(Path busybox) throws IOException {
    put("bin/busybox", new Content(Files.readAllBytes(busybox), EXECUTABLE));
    put("bin/sh", new Link("busybox"));
    for (String folder : List.of("proc", "sys", "tmp", "root", "etc", "sbin", "lib/modules")) {
      put(folder, new Folder());
    }
    put("dev/console", new Device(5, 1));
    put("dev/null", new Device(1, 3));
    put("dev/ttyS0", new Device(4, 64));
    init(standardInit());
  }

  /** Replaces {@code /init}, which must be a script or a static program. */
  public void init(byte[] program) {
    put("init", new Content(program, EXECUTABLE));
  }

  /**
   * Adds a file, or a directory and all below it.
   *
   * @param target an absolute path in the guest
   */
  public void add(Path source, String target) throws IOException {
    if (!Files.exists(source)) {
      throw new NoSuchFileException(source.toString());
    }
    String base = target.replaceAll("/+", "/").replaceAll("^/|/$", "");
    List<Path> paths;
    try (Stream<Path> all = Files.walk(source)) {
      paths = all.toList();
    }
    for (Path path : paths) {
      String below = source.relativize(path).toString();
      put(below.isEmpty() ? base : base + "/" + below, nodeOf(path, path.equals(source)));
    }
  }

  /** Writes the archive; an existing file is replaced only by a whole one. */
  public void write(Path target) throws IOException {
    Path partial = target.resolveSibling(target.getFileName() + ".part");
    try {
      try (OutputStream file = new BufferedOutputStream(Files.newOutputStream(partial));
          CpioArchiveOutputStream archive =
              new CpioArchiveOutputStream(file, CpioConstants.FORMAT_NEW)) {
        for (var node : nodes.entrySet()) {
          writeNode(archive, node.getKey(), node.getValue());
        }
      }
      Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(partial);
    }
  }

  private static Node nodeOf(Path path, boolean followLink) throws IOException {
    if (!followLink && Files.isSymbolicLink(path)) {
      return new Link(Files.readSymbolicLink(path).toString());
    }
    if (Files.isDirectory(path)) {
      return new Folder();
    }
    return new Content(Files.readAllBytes(path), Files.isExecutable(path) ? EXECUTABLE : 0644);
  }

  private void put(String path, Node node) {
    for (int slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      nodes.putIfAbsent(path.substring(0, slash), new Folder());
    }
    nodes.put(path, node);
  }

  private static void writeNode(CpioArchiveOutputStream archive, String path, Node node)
      throws IOException {
    CpioArchiveEntry entry = new CpioArchiveEntry(CpioConstants.FORMAT_NEW, path);
    entry.setTime(0);
    byte[] data = {};
    switch (node) {
      case Folder folder -> {
        entry.setMode(CpioConstants.C_ISDIR | FOLDER);
        entry.setNumberOfLinks(2);
      }
      case Content content -> {
        entry.setMode(CpioConstants.C_ISREG | content.permissions());
        data = content.bytes();
      }
      case Link link -> {
        entry.setMode(CpioConstants.C_ISLNK | 0777);
        data = link.target().getBytes(StandardCharsets.UTF_8);
      }
      case Device device -> {
        entry.setMode(CpioConstants.C_ISCHR | 0600);
        entry.setRemoteDeviceMaj(device.major());
        entry.setRemoteDeviceMin(device.minor());
      }
    }
    entry.setSize(data.length);
    archive.putArchiveEntry(entry);
    archive.write(data);
    archive.closeArchiveEntry();
  }

  private static byte[] standardInit() throws IOException {
    try (InputStream script = Initramfs.class.getResourceAsStream("init.sh")) {
      if (script == null) {
        throw new IllegalStateException("init.sh is missing from the program");
      }
      return script.readAllBytes();
    }
  }
}
