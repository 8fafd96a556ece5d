package memvisor.app.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class InitramfsTest {
  @TempDir private Path folder;
  private Path busybox;

  /** What the kernel's buffer-format document calls a member, read as that document says. */
  record Member(int mode, int deviceMajor, int deviceMinor, String content) {}

  @BeforeEach
  void makeBusybox() throws IOException {
    busybox = Files.writeString(folder.resolve("busybox"), "program");
  }

  @Test
  void itHoldsBusyboxAnInitAndTheConsole() throws IOException {
    Map<String, Member> members = pack(new Initramfs(busybox));
    assertThat(members.get("bin/busybox")).isEqualTo(new Member(0100755, 0, 0, "program"));
    assertThat(members.get("bin/sh")).isEqualTo(new Member(0120777, 0, 0, "busybox"));
    assertThat(members.get("dev/console")).isEqualTo(new Member(0020600, 5, 1, ""));
    assertThat(members.get("init").mode()).isEqualTo(0100755);
    assertThat(members.get("init").content()).startsWith("#!/bin/sh\n").contains("poweroff -f");
  }

  @Test
  void aFolderComesBeforeWhatItHolds() throws IOException {
    Initramfs archive = new Initramfs(busybox);
    Files.createDirectories(folder.resolve("tree/b"));
    Files.writeString(folder.resolve("tree/b/file"), "text");
    archive.add(folder.resolve("tree"), "/opt/a//");
    Map<String, Member> members = pack(archive);
    assertThat(members.keySet()).containsSubsequence("opt", "opt/a", "opt/a/b", "opt/a/b/file");
    assertThat(members.get("opt/a").mode()).isEqualTo(0040755);
    assertThat(members.get("opt/a/b/file").content()).isEqualTo("text");
  }

  @Test
  void theSameContentGivesTheSameBytes() throws IOException {
    Path first = folder.resolve("1");
    Path second = folder.resolve("2");
    new Initramfs(busybox).write(first);
    new Initramfs(busybox).write(second);
    assertThat(second).hasSameBinaryContentAs(first);
  }

  @Test
  void anotherInitReplacesTheStandardOne() throws IOException {
    Initramfs archive = new Initramfs(busybox);
    archive.init("mine".getBytes(StandardCharsets.UTF_8));
    assertThat(pack(archive).get("init").content()).isEqualTo("mine");
  }

  @Test
  void aMissingFileIsAnErrorAndNothingIsWritten() throws IOException {
    Initramfs archive = new Initramfs(busybox);
    assertThatThrownBy(() -> archive.add(folder.resolve("absent"), "/x"))
        .isInstanceOf(NoSuchFileException.class);
    assertThatThrownBy(() -> archive.write(folder.resolve("absent/out")))
        .isInstanceOf(IOException.class);
    assertThat(folder).isDirectoryNotContaining(path -> !path.equals(busybox));
  }

  private Map<String, Member> pack(Initramfs archive) throws IOException {
    Path file = folder.resolve("initrd");
    archive.write(file);
    return parse(new ByteArrayInputStream(Files.readAllBytes(file)));
  }

  private static Map<String, Member> parse(ByteArrayInputStream archive) throws IOException {
    Map<String, Member> members = new LinkedHashMap<>();
    while (true) {
      String header = new String(archive.readNBytes(110), StandardCharsets.US_ASCII);
      assertThat(header).startsWith("070701");
      int nameSize = field(header, 11);
      String name = new String(archive.readNBytes(nameSize - 1), StandardCharsets.UTF_8);
      archive.skipNBytes(1 + (4 - (110 + nameSize) % 4) % 4);
      if (name.equals("TRAILER!!!")) {
        return members;
      }
      int size = field(header, 6);
      String content = new String(archive.readNBytes(size), StandardCharsets.UTF_8);
      archive.skipNBytes((4 - size % 4) % 4);
      members.put(name, new Member(field(header, 1), field(header, 9), field(header, 10), content));
    }
  }

  /** The n-th of the 13 fields of 8 hexadecimal digits. */
  private static int field(String header, int index) {
    return Integer.parseUnsignedInt(header.substring(6 + 8 * index, 14 + 8 * index), 16);
  }
}
