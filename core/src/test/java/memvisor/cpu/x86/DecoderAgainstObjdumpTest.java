package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Decodes real programs and compares instruction boundaries with an independent disassembler. Set
 * the system property {@code memvisor.test.elf} to try another file, such as a kernel.
 */
class DecoderAgainstObjdumpTest {
  /** Address, bytes, mnemonic with prefixes and operands. */
  private static final Pattern LINE =
      Pattern.compile("\\s*([0-9a-f]+):\\t((?:[0-9a-f]{2} )+)\\s*\\t(.*)");

  /** What this processor does not have: AVX, BMI, newer extensions, and bytes that are no code. */
  private static final Pattern UNSUPPORTED =
      Pattern.compile(
          "(?:.* )?(?:v\\w+|\\(bad\\)|ud[012]|k\\w+|endbr32|andn|bextr|bls\\w+|mulx|pdep|pext|rorx"
              + "|sarx|shlx|shrx|bzhi|adcx|adox|aes\\w+|pclmul\\w+|sha\\w+|rdseed|rdpid|x\\w+"
              + "|prefetchwt1|wrpkru|rdpkru|clwb|clflushopt|monitor\\w*|mwait\\w*|getsec|rsm"
              + "|cldemote|movdir\\w+|enqcmd\\w*|serialize|tpause|umonitor|umwait|clzero|rdpru"
              + "|encls|enclu|enclv|invept|invvpid|skinit|stgi|clgi|inc?ssp\\w|rdssp\\w|gf2p8\\w+"
              + "|pconfig|lwpval|data16|rex\\S*|f\\w+)(?: .*)?");

  private final Instruction instruction = new Instruction();
  private final TreeMap<String, Integer> undefined = new TreeMap<>();
  private int compared;

  @ParameterizedTest
  @ValueSource(strings = {"/bin/ls", "/bin/bash", "/lib/x86_64-linux-gnu/libm.so.6"})
  void boundariesAgree(String defaultFile) throws IOException {
    Path file = Path.of(System.getProperty("memvisor.test.elf", defaultFile));
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/objdump")), "objdump is not installed");
    assumeTrue(Files.exists(file), "no such program: " + file);
    CodeMode.describe(CodeMode.LONG | CodeMode.PROTECTED, instruction);
    Process objdump =
        new ProcessBuilder("objdump", "-d", "-M", "intel", "--insn-width=15", file.toString())
            .start();
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(objdump.getInputStream(), StandardCharsets.UTF_8))) {
      lines.lines().forEach(this::compare);
    }
    assertThat(compared).isGreaterThan(1000);
    assertThat(undefined).as("known to objdump, #UD here").isEmpty();
  }

  private void compare(String line) {
    var match = LINE.matcher(line);
    if (!match.matches()) {
      return;
    }
    String[] bytes = match.group(2).trim().split(" ");
    String text = match.group(3).split("#")[0].trim();
    for (int n = 0; n < 15; n++) {
      instruction.bytes[n] = n < bytes.length ? (byte) Integer.parseInt(bytes[n], 16) : (byte) 0x90;
    }
    instruction.offset = 0;
    instruction.available = 15;
    boolean combined = bytes[0].equals("9b"); // FWAIT is an instruction of its own
    boolean supported = !combined && !UNSUPPORTED.matcher(text).matches();
    MicroOp op = Decoder.decode(instruction);
    if (op instanceof Decoder.Raise || op == null) {
      if (supported) {
        undefined.merge(text.split(" ")[0] + " " + match.group(2), 1, Integer::sum);
      }
      return;
    }
    compared++;
    if (supported) {
      assertThat((int) op.length)
          .as("length of %s (%s)", text, match.group(2))
          .isEqualTo(bytes.length);
    }
  }
}
