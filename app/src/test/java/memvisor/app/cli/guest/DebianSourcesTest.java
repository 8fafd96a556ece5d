package memvisor.app.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class DebianSourcesTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({
    "deb http://deb.debian.org/debian bookworm main, true",
    "deb [signed-by=/k.gpg] https://mirror.example/pub/debian/ bookworm main, true",
    "deb http://security.debian.org/debian-security bookworm-security main, true",
    "deb http://snapshot.debian.org/archive/debian/20250520T000000Z bookworm main, true",
    "# deb http://deb.debian.org/debian bookworm main, false",
    "deb https://packages.cloud.google.com/apt cloud-sdk-bookworm main, false",
    "deb https://download.docker.com/linux/debian-docker bookworm stable, false",
    "deb http://archive.ubuntu.com/ubuntu noble main, false",
  })
  void onlyDebiansArchiveIsKept(String line, boolean kept) throws IOException {
    Path file = Files.writeString(folder.resolve("a.list"), line + "\n");
    assertThat(DebianSources.debianOnly(file).strip()).isEqualTo(kept ? line : "");
  }

  @Test
  void stanzasAreKeptOrDroppedWhole() throws IOException {
    String debian =
        "Types: deb\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nComponents: main";
    String other = "Types: deb\nURIs: https://deb.nodesource.com/node_20.x\nSuites: nodistro";
    Path file =
        Files.writeString(folder.resolve("a.sources"), "# note\n" + debian + "\n\n" + other + "\n");
    assertThat(DebianSources.debianOnly(file).strip()).isEqualTo(debian);
  }

  @Test
  void bothKindsOfFilesAreFound() throws IOException {
    Files.createDirectories(folder.resolve("sources.list.d"));
    for (String name :
        new String[] {"sources.list", "sources.list.d/b.list", "sources.list.d/a.sources"}) {
      Files.writeString(folder.resolve(name), "");
    }
    Files.writeString(folder.resolve("sources.list.d/c.bak"), "");
    assertThat(DebianSources.files(folder))
        .extracting(path -> path.getFileName().toString())
        .containsExactly("sources.list", "a.sources", "b.list");
  }
}
