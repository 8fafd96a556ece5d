package memvisor;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Holds the import table of ARCHITECTURE.md against the class files. */
final class ImportTableTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("memvisor");

  /** One row of the table: a package and the packages it may import besides itself and the JDK. */
  record Row(String name, Set<String> mayImport) {
    @Override
    public String toString() {
      return name + " imports only " + mayImport;
    }
  }

  private static final List<Row> TABLE =
      List.of(
          new Row("address", Set.of()),
          new Row("memory", Set.of("address")),
          new Row("paging", Set.of("address", "memory")),
          new Row("tlb", Set.of("address", "memory", "paging")),
          new Row("mmu", Set.of("address", "memory", "paging", "tlb")),
          new Row("iommu", Set.of("address", "memory", "paging", "tlb")),
          new Row("host", Set.of("address", "memory")),
          new Row("cpu", Set.of("address", "memory", "paging", "tlb")),
          new Row("device", Set.of("address", "memory")),
          new Row("boot", Set.of("address", "memory")),
          new Row(
              "machine",
              Set.of(
                  "address", "memory", "paging", "tlb", "mmu", "iommu", "host", "cpu", "device",
                  "boot")),
          new Row(
              "lab",
              Set.of(
                  "address", "memory", "paging", "tlb", "mmu", "iommu", "host", "cpu", "device",
                  "boot", "machine")));

  static Stream<Row> rows() {
    return TABLE.stream();
  }

  @ParameterizedTest
  @MethodSource("rows")
  void aPackageImportsOnlyWhatTheMapAllows(Row row) {
    String[] forbidden =
        TABLE.stream()
            .map(Row::name)
            .filter(name -> !name.equals(row.name) && !row.mayImport.contains(name))
            .map(name -> "memvisor." + name + "..")
            .toArray(String[]::new);
    noClasses()
        .that()
        .resideInAPackage("memvisor." + row.name + "..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(forbidden)
        .allowEmptyShould(true)
        .check(CLASSES);
  }

  /** The one class with raw addresses uses {@code sun.misc.Unsafe}. */
  private static final String RAW_MEMORY = "memvisor.memory.Hva";

  @ParameterizedTest
  @MethodSource("rows")
  void aPackageUsesNoThirdPartyLibrary(Row row) {
    noClasses()
        .that()
        .resideInAPackage("memvisor." + row.name + "..")
        .and()
        .doNotHaveFullyQualifiedName(RAW_MEMORY)
        .should()
        .dependOnClassesThat()
        .resideOutsideOfPackages("memvisor..", "java..", "jdk.jfr..", "org.jspecify..", "")
        .allowEmptyShould(true)
        .check(CLASSES);
  }

  /** The packages within {@code host}, from the lowest up. */
  private static final List<Row> HOST =
      List.of(
          new Row("compress", Set.of("dedup")),
          new Row("dedup", Set.of()),
          new Row("swap", Set.of()),
          new Row("policy", Set.of()),
          new Row("frames", Set.of()),
          new Row("page", Set.of("frames")),
          new Row("reclaim", Set.of("compress", "dedup", "swap", "policy", "frames", "page")));

  static Stream<Row> hostRows() {
    return HOST.stream();
  }

  @ParameterizedTest
  @MethodSource("hostRows")
  void aPackageOfHostImportsOnlyThoseBelow(Row row) {
    Stream<String> beside =
        HOST.stream()
            .map(Row::name)
            .filter(name -> !name.equals(row.name) && !row.mayImport.contains(name))
            .map(name -> "memvisor.host." + name);
    noClasses()
        .that()
        .resideInAPackage("memvisor.host." + row.name)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            Stream.concat(Stream.of("memvisor.host"), beside).toArray(String[]::new))
        .check(CLASSES);
  }

  @org.junit.jupiter.api.Test
  void theTableNamesEveryPackage() {
    Set<String> named = new TreeSet<>(TABLE.stream().map(Row::name).toList());
    List<String> unnamed = new ArrayList<>();
    CLASSES.stream()
        .map(type -> type.getPackageName())
        .filter(name -> name.startsWith("memvisor."))
        .map(name -> name.split("\\.")[1])
        .distinct()
        .filter(name -> !named.contains(name))
        .forEach(unnamed::add);
    assertThat(CLASSES).isNotEmpty();
    assertThat(unnamed).isEmpty();
  }
}
