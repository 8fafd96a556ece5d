package memvisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import memvisor.machine.VirtualMachine;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What the compiled classes must be, whatever the sources look like. */
final class ClassFilesTest {
  /**
   * HotSpot interprets methods of more than 8,000 bytes for ever, twenty times as slow; a dispatch
   * loop that grows over it is found here first.
   */
  private static final int LARGEST_METHOD = 7_500;

  /** Packages that are no supported API of the JDK. */
  private static final List<String> INTERNAL = List.of("sun/", "jdk/internal/", "com/sun/");

  private static final List<ClassModel> CLASSES = new ArrayList<>();

  @BeforeAll
  static void parse() throws IOException, URISyntaxException {
    Path root =
        Path.of(VirtualMachine.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    try (Stream<Path> files = Files.walk(root)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".class")).toList()) {
        CLASSES.add(ClassFile.of().parse(file));
      }
    }
    assertThat(CLASSES).hasSizeGreaterThan(500);
  }

  @Test
  void hotSpotCompilesEveryMethod() {
    int largest = 0;
    for (ClassModel type : CLASSES) {
      for (MethodModel method : type.methods()) {
        int length = method.findAttribute(Attributes.code()).map(c -> c.codeLength()).orElse(0);
        boolean initializer = method.methodName().equalsString("<clinit>");
        assertThat(initializer ? 0 : length)
            .as("bytecodes of %s.%s", type.thisClass().asInternalName(), method.methodName())
            .isLessThan(LARGEST_METHOD);
        largest = Math.max(largest, length);
      }
    }
    assertThat(largest).as("lengths were read").isGreaterThan(500);
  }

  @Test
  void onlySupportedInterfacesOfTheJdkAreUsed() {
    for (ClassModel type : CLASSES) {
      for (PoolEntry entry : type.constantPool()) {
        if (entry instanceof ClassEntry used && !isMeasured(type, used)) {
          String name = used.asInternalName();
          assertThat(INTERNAL)
              .as("%s uses %s", type.thisClass().asInternalName(), name)
              .noneMatch(name::startsWith);
        }
      }
    }
  }

  /** Raw memory accesses: docs/decisions/0009. */
  private static boolean isMeasured(ClassModel type, ClassEntry used) {
    return type.thisClass().asInternalName().equals("memvisor/memory/Hva")
        && used.asInternalName().equals("sun/misc/Unsafe");
  }
}
