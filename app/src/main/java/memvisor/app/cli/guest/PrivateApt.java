package memvisor.app.cli.guest;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import memvisor.app.cli.CommandFailure;
import memvisor.app.cli.Progress;

/**
 * apt with a configuration, package lists and a cache of its own below one directory, so that it
 * needs no root and neither reads nor writes the system's package state. From the system it takes
 * the Debian sources, the keys they are signed with, and how to reach the network (apt.conf(5),
 * sources.list(5)).
 */
final class PrivateApt {
  private static final Path SYSTEM = Path.of("/etc/apt");
  private static final String ELSEWHERE =
      ": on other systems bring a bzImage to memvisor run --kernel and pack an initial RAM disk with"
          + " memvisor guest initrd --busybox.";

  /** {@code 'http://host/pool/name.deb' name_version_amd64.deb 26000000 SHA256:...}. */
  private static final Pattern URI_LINE =
      Pattern.compile("'(\\S+)' (\\S+\\.deb) (\\d+) \\S+", Pattern.MULTILINE);

  private final Path root;

  private PrivateApt(Path root) {
    this.root = root;
  }

  /** Makes the private configuration below {@code root}. */
  static PrivateApt create(Path root) throws IOException {
    PrivateApt apt = new PrivateApt(root);
    if (!Tool.exists("apt-get")) {
      throw new CommandFailure("guest fetch needs Debian's apt, which is not here" + ELSEWHERE);
    }
    for (String folder :
        List.of(
            "etc/apt/sources.list.d",
            "etc/apt/trusted.gpg.d",
            "etc/apt/preferences.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "downloads")) {
      Files.createDirectories(root.resolve(folder));
    }
    apt.copySources();
    apt.copyKeys();
    apt.writeConfiguration();
    return apt;
  }

  /** Refreshes the private package lists. */
  void update() {
    Tool.Output output = run("apt-get", "update");
    if (!output.succeeded()) {
      throw failure("reading the package lists failed", output);
    }
  }

  /** The names that a package's Depends lines name. */
  List<String> dependencies(String packageName) {
    Tool.Output output = run("apt-cache", "depends", "--important", packageName);
    return output
        .text()
        .lines()
        .map(String::strip)
        .filter(line -> line.startsWith("Depends: "))
        .map(line -> line.substring("Depends: ".length()))
        .toList();
  }

  /** Downloads and verifies a package; a verified one that is there is kept. */
  Path download(String packageName, Progress progress) throws IOException {
    Tool.Output uris = run("apt-get", "--print-uris", "download", packageName);
    Matcher line = URI_LINE.matcher(uris.text());
    if (!uris.succeeded() || !line.find()) {
      throw failure("apt cannot find the package " + packageName, uris);
    }
    long sizeBytes = Long.parseLong(line.group(3));
    progress.step("Downloading %s (%.1f MB) ...".formatted(line.group(2), sizeBytes / 1_000_000.0));
    Path folder = root.resolve("downloads");
    Path target = folder.resolve(line.group(2));
    Tool.Output output =
        Tool.run(
            List.of("apt-get", "download", packageName),
            folder,
            configurationFile(),
            () -> progress.share("  " + packageName, sizeOf(folder, packageName), sizeBytes));
    progress.endLine();
    if (!output.succeeded() || !Files.exists(target)) {
      throw failure("downloading " + packageName + " failed", output);
    }
    return target;
  }

  /** Deletes the private state, which is large and of no further use. */
  void discard() throws IOException {
    List<Path> paths;
    try (Stream<Path> all = Files.walk(root)) {
      paths = all.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : paths) {
      Files.delete(path);
    }
  }

  private void copySources() throws IOException {
    List<String> kept = new ArrayList<>();
    for (Path file : DebianSources.files(SYSTEM)) {
      String debian = DebianSources.debianOnly(file);
      if (!debian.isBlank()) {
        Path target = root.resolve("etc/apt/sources.list.d").resolve(file.getFileName().toString());
        Files.writeString(target, debian);
        kept.add(target.toString());
      }
    }
    if (kept.isEmpty()) {
      throw new CommandFailure(
          "guest fetch needs Debian's archive, but /etc/apt names none" + ELSEWHERE);
    }
  }

  private void copyKeys() throws IOException {
    Path keys = SYSTEM.resolve("trusted.gpg.d");
    if (!Files.isDirectory(keys)) {
      return;
    }
    try (Stream<Path> files = Files.list(keys)) {
      for (Path key : files.filter(Files::isReadable).toList()) {
        Path target = root.resolve("etc/apt/trusted.gpg.d").resolve(key.getFileName().toString());
        Files.write(target, Files.readAllBytes(key));
      }
    }
  }

  /**
   * Only the system's Acquire settings (proxies, retries) are taken over: its hooks would run on
   * its own state.
   */
  private void writeConfiguration() throws IOException {
    StringBuilder text = new StringBuilder();
    Tool.run(List.of("apt-config", "dump"), root, Path.of("/dev/null"), () -> {})
        .text()
        .lines()
        .filter(line -> line.startsWith("Acquire::") && line.endsWith(";"))
        .forEach(line -> text.append(line).append('\n'));
    Files.writeString(root.resolve("dpkg-status"), "");
    text.append("Dir \"" + root + "/\";\n")
        .append("Dir::State \"var/lib/apt/\";\n")
        .append("Dir::State::status \"" + root + "/dpkg-status\";\n")
        .append("Dir::Cache \"var/cache/apt/\";\n")
        .append("Dir::Etc \"etc/apt/\";\n")
        .append("Dir::Log \"var/log/apt/\";\n")
        .append("APT::Architecture \"amd64\";\n")
        .append("APT::Architectures { \"amd64\"; };\n")
        .append("APT::Sandbox::User \"root\";\n")
        .append("APT::Update::Error-Mode \"any\";\n")
        .append("Acquire::Languages \"none\";\n")
        .append("Acquire::PDiffs \"false\";\n");
    Files.writeString(configurationFile(), text.toString());
  }

  private Path configurationFile() {
    return root.resolve("apt.conf");
  }

  private Tool.Output run(String... command) {
    return Tool.run(List.of(command), root, configurationFile(), () -> {});
  }

  private static long sizeOf(Path folder, String packageName) {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith(packageName + "_"))
          .mapToLong(file -> file.toFile().length())
          .sum();
    } catch (IOException failure) {
      throw new UncheckedIOException(failure);
    }
  }

  private static CommandFailure failure(String what, Tool.Output output) {
    String reason =
        output
            .text()
            .lines()
            .filter(line -> line.startsWith("E: ") || line.startsWith("Err:"))
            .findFirst()
            .orElse("apt gave no reason");
    return new CommandFailure(
        what + " (" + reason + "): check the network and the sources in /etc/apt, then try again.");
  }
}
