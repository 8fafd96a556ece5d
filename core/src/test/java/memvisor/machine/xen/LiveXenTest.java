package memvisor.machine.xen;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Asks Xen itself, which runs the kernels of {@link PvProbe} as its first domain in QEMU.
 *
 * <p>MEMVISOR_XEN names the hypervisor's ELF image; bench/against-xen gets one. With
 * MEMVISOR_XEN_RECORD the answers go to that file as well.
 */
final class LiveXenTest {
  private static final String XEN =
      "console=com1 com1=115200,8n1 dom0=pv dom0_mem=64M loglvl=warning guest_loglvl=warning";
  private static final int SECONDS = 120;

  @TempDir static Path directory = Path.of("");

  @BeforeAll
  static void needsXen() {
    assumeTrue(System.getenv("MEMVISOR_XEN") != null, "MEMVISOR_XEN names no hypervisor");
  }

  @Test
  void xenAnswersWhatIsRecorded() throws Exception {
    Map<String, String> answers = new LinkedHashMap<>();
    for (List<PvProbe> suite : PvProbe.suites()) {
      Map<String, String> some = PvAnswers.parse(run(PvProbe.image(suite, 1)));
      assertThat(some).as("the kernel came to its end").containsKey("end");
      answers.putAll(some);
    }
    answers.remove("end");
    record(answers);
    Map<String, String> recorded = PvAnswers.recorded();
    for (PvProbe probe : PvProbe.all()) {
      assertThat(answers.get(probe.name())).as(probe.name()).isEqualTo(recorded.get(probe.name()));
    }
  }

  private static void record(Map<String, String> answers) throws IOException {
    String file = System.getenv("MEMVISOR_XEN_RECORD");
    if (file != null) {
      StringBuilder text =
          new StringBuilder(
              "# What Xen 4.17.7 of Debian 12 answered as to its first domain, asked by"
                  + " bench/against-xen.\n");
      answers.forEach((name, values) -> text.append((name + " " + values).strip()).append('\n'));
      Files.writeString(Path.of(file), text);
    }
  }

  private static String run(byte[] image) throws Exception {
    Path kernel = directory.resolve("kernel.elf");
    Path serial = directory.resolve("serial.log");
    Files.write(kernel, image);
    Process qemu =
        new ProcessBuilder(
                List.of(
                    "qemu-system-x86_64",
                    "-accel",
                    "tcg,thread=single",
                    "-cpu",
                    "Nehalem,+arat",
                    "-m",
                    "256",
                    "-display",
                    "none",
                    "-monitor",
                    "none",
                    "-no-reboot",
                    "-serial",
                    "file:" + serial,
                    "-kernel",
                    System.getenv("MEMVISOR_XEN"),
                    "-append",
                    XEN,
                    "-initrd",
                    kernel + " a line"))
            .inheritIO()
            .start();
    try {
      assertThat(qemu.waitFor(SECONDS, TimeUnit.SECONDS)).as("QEMU ended").isTrue();
    } finally {
      qemu.destroyForcibly();
    }
    return Files.readString(serial, StandardCharsets.ISO_8859_1);
  }
}
