package memvisor.app.cli.guest;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.function.Function;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.ar.ArArchiveEntry;
import org.apache.commons.compress.archivers.ar.ArArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.tukaani.xz.XZInputStream;

/**
 * Reads Debian packages: an ar archive whose member {@code data.tar.*} holds the files (deb(5)).
 */
final class DebPackage {
  private DebPackage() {}

  /**
   * Copies regular files out of a package.
   *
   * @param placement the target of a file, given its path without a leading {@code ./}; empty to
   *     leave it
   */
  static void unpack(Path deb, Function<String, Optional<Path>> placement) throws IOException {
    try (ArArchiveInputStream members =
        new ArArchiveInputStream(new BufferedInputStream(Files.newInputStream(deb)))) {
      for (ArArchiveEntry member = members.getNextEntry();
          member != null;
          member = members.getNextEntry()) {
        if (member.getName().startsWith("data.tar")) {
          unpackFiles(decompressed(member.getName(), members), placement);
          return;
        }
      }
    }
    throw new IOException(deb + " is not a Debian package: it has no data.tar");
  }

  private static InputStream decompressed(String name, InputStream data) throws IOException {
    return switch (GuestModules.fileName(name).substring("data.tar".length())) {
      case "" -> data;
      case ".gz" -> new GZIPInputStream(data);
      case ".xz" -> new XZInputStream(data);
      default -> throw new IOException("cannot decompress " + name);
    };
  }

  private static void unpackFiles(InputStream data, Function<String, Optional<Path>> placement)
      throws IOException {
    TarArchiveInputStream files = new TarArchiveInputStream(data);
    for (TarArchiveEntry file = files.getNextEntry(); file != null; file = files.getNextEntry()) {
      if (!file.isFile()) {
        continue;
      }
      Optional<Path> target = placement.apply(file.getName().replaceFirst("^\\./", ""));
      if (target.isPresent()) {
        copy(files, target.get());
      }
    }
  }

  /** Writes beside the target first, so that an interrupted copy leaves no half file. */
  private static void copy(InputStream source, Path target) throws IOException {
    Path partial = target.resolveSibling(target.getFileName() + ".part");
    Files.copy(source, partial, StandardCopyOption.REPLACE_EXISTING);
    Files.move(partial, target, StandardCopyOption.REPLACE_EXISTING);
  }
}
