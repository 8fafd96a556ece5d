package memvisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.MethodModel;
import java.lang.classfile.attribute.CodeAttribute;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * HotSpot does not compile a method of more than 8,000 bytecodes; an interpreter loop that grows
 * past that becomes some twenty times slower without any other sign.
 */
final class MethodSizeTest {
  private static final int LIMIT_BYTECODES = 7_500;

  @Test
  void everyMethodStaysBelowTheSizeThatHotSpotCompiles() throws IOException {
    List<String> tooLong = new ArrayList<>();
    int methods = 0;
    try (Stream<Path> files = Files.walk(Path.of("target/classes"))) {
      for (Path file : files.filter(path -> path.toString().endsWith(".class")).toList()) {
        for (MethodModel method : ClassFile.of().parse(file).methods()) {
          methods++;
          int length = method.code().map(code -> ((CodeAttribute) code).codeLength()).orElse(0);
          if (length > LIMIT_BYTECODES && !method.methodName().equalsString("<clinit>")) {
            tooLong.add(file + " " + method.methodName() + ": " + length);
          }
        }
      }
    }
    assertThat(methods).isPositive();
    assertThat(tooLong).isEmpty();
  }
}
