package memvisor.app.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import memvisor.lab.Workload;
import memvisor.lab.guest.BuiltinGuest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files and places that cannot be used: status 2, one line that says which and why. */
final class BadInputTest {
  private static final int PT_LOAD = 1;
  private static final int PT_INTERP = 3;
  private static final int ELF64_FIRST_PROGRAM_HEADER = 64;

  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void makeFiles() throws IOException {
    byte[] kernel = BuiltinGuest.image(Workload.MAP_CHURN, Workload.MAP_CHURN.defaults());
    Files.write(folder.resolve("kernel"), kernel);
    Files.write(folder.resolve("truncated"), Arrays.copyOf(kernel, kernel.length / 2));
    Files.write(folder.resolve("program"), program(kernel));
    Files.write(folder.resolve("empty"), new byte[0]);
    Files.writeString(folder.resolve("text"), "not a kernel\n".repeat(1000));
    try (RandomAccessFile big = new RandomAccessFile(folder.resolve("big").toFile(), "rw")) {
      big.setLength(100L << 20);
    }
  }

  /** The kernel with its first segment's type changed to what the linker gives programs. */
  private static byte[] program(byte[] kernel) {
    byte[] program = kernel.clone();
    ByteBuffer header = ByteBuffer.wrap(program).order(ByteOrder.LITTLE_ENDIAN);
    assertThat(header.getInt(ELF64_FIRST_PROGRAM_HEADER)).isEqualTo(PT_LOAD);
    header.putInt(ELF64_FIRST_PROGRAM_HEADER, PT_INTERP);
    return program;
  }

  static Stream<Arguments> cases() {
    List<Arguments> cases = new ArrayList<>();
    for (String command : List.of("run", "compare")) {
      cases.add(Arguments.of(command + " --kernel DIR/absent", "there is no file"));
      cases.add(Arguments.of(command + " --kernel DIR", "is a directory"));
      cases.add(Arguments.of(command + " --kernel DIR/empty", "is empty"));
      cases.add(Arguments.of(command + " --kernel DIR/truncated", "truncated"));
      cases.add(Arguments.of(command + " --kernel DIR/text", "kernel"));
      cases.add(Arguments.of(command + " --kernel DIR/program", "not a kernel"));
      cases.add(
          Arguments.of(
              command + " --kernel DIR/kernel --initrd DIR/big --memory 64M", "more memory"));
      cases.add(Arguments.of(command + " --kernel DIR/kernel --initrd DIR/absent", "no file"));
    }
    cases.add(Arguments.of("run --stats DIR/absent/s.json", "there is no directory"));
    cases.add(Arguments.of("run --stats DIR", "is a directory"));
    cases.add(Arguments.of("run --disk DIR/absent", "there is no file"));
    cases.add(Arguments.of("run --disk DIR,ro", "there is no file"));
    cases.add(Arguments.of("run --device net", "--device is rng or balloon"));
    cases.add(Arguments.of("run --device balloon,foo", "--device is rng or balloon"));
    cases.add(
        Arguments.of("run --device rng --mmu direct --kernel DIR/kernel", "has no virtio devices"));
    cases.add(Arguments.of("run --device balloon --mmu partition", "under partition"));
    cases.add(Arguments.of("run --monitor unix:DIR/absent/socket", "name another path"));
    cases.add(Arguments.of("run --monitor unix:DIR/text", "name another path"));
    cases.add(Arguments.of("compare --html DIR/absent/r.html", "there is no directory"));
    cases.add(Arguments.of("compare --json DIR", "is a directory"));
    cases.add(Arguments.of("demo --html DIR/absent/r.html", "there is no directory"));
    cases.add(Arguments.of("demo --json DIR", "is a directory"));
    return cases.stream();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void itIsStatus2AndOneLineAndNothingIsLeft(String line, String sentence) throws IOException {
    List<Path> before = files();
    int status =
        Main.commandLine()
            .setOut(new PrintWriter(out, true))
            .setErr(new PrintWriter(err, true))
            .execute(line.replace("DIR", folder.toString()).split(" "));
    assertThat(err.toString()).startsWith("memvisor: ").contains(sentence);
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(status).isEqualTo(2);
    assertThat(out.toString()).isEmpty();
    assertThat(files()).isEqualTo(before);
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.sorted().toList();
    }
  }
}
