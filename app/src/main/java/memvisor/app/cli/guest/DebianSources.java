package memvisor.app.cli.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The parts of apt's sources that are Debian's own archive or a mirror of it (sources.list(5)). */
final class DebianSources {
  /** The archive's path ends in /debian or /debian-security on every mirror, dated or not. */
  private static final Pattern DEBIAN_URI =
      Pattern.compile("\\S+:/\\S*/debian(-security)?(/\\S*)?(\\s|$)", Pattern.MULTILINE);

  private static final Pattern STANZA_END = Pattern.compile("\\n\\s*\\n");

  private DebianSources() {}

  /** The source files of an apt configuration directory that can be read. */
  static List<Path> files(Path configuration) throws IOException {
    List<Path> files = new ArrayList<>();
    Path main = configuration.resolve("sources.list");
    if (Files.isReadable(main)) {
      files.add(main);
    }
    Path folder = configuration.resolve("sources.list.d");
    if (Files.isDirectory(folder)) {
      try (Stream<Path> parts = Files.list(folder)) {
        parts
            .filter(Files::isReadable)
            .filter(file -> file.toString().endsWith(".list") || isStanzas(file))
            .sorted()
            .forEach(files::add);
      }
    }
    return files;
  }

  /** A source file's text without the entries of other archives. */
  static String debianOnly(Path file) throws IOException {
    String text = Files.readString(file);
    Stream<String> entries = isStanzas(file) ? STANZA_END.splitAsStream(text) : text.lines();
    return entries
        .map(DebianSources::withoutComments)
        .filter(entry -> DEBIAN_URI.matcher(entry).find())
        .map(entry -> entry + "\n")
        .collect(Collectors.joining("\n"));
  }

  private static boolean isStanzas(Path file) {
    return file.toString().endsWith(".sources");
  }

  private static String withoutComments(String entry) {
    return entry
        .lines()
        .filter(line -> !line.startsWith("#"))
        .collect(Collectors.joining("\n"))
        .strip();
  }
}
