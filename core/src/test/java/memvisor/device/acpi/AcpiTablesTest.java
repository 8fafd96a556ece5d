package memvisor.device.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AcpiTablesTest {
  private static final int GPA = 0x30000;
  private static final List<VirtioWindow> VIRTIO =
      IntStream.range(0, 12)
          .mapToObj(i -> new VirtioWindow(0xD000_0000L + 0x200 * i, 0x200, 16 + i % 8))
          .toList();

  private static AcpiPlatform platform(boolean hardwareReduced) {
    return new AcpiPlatform(hardwareReduced, List.of(0, 1, 2), VIRTIO);
  }

  /** The tables that a kernel finds from the RSDP, by signature. */
  private static Map<String, ByteBuffer> parse(byte[] block) {
    ByteBuffer memory = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
    Map<String, ByteBuffer> tables = new TreeMap<>();
    ByteBuffer xsdt = table(memory, memory.getLong(24));
    ByteBuffer rsdt = table(memory, memory.getInt(16));
    for (int i = 0; i < (xsdt.limit() - 36) / 8; i++) {
      long address = xsdt.getLong(36 + 8 * i);
      assertThat(rsdt.getInt(36 + 4 * i)).isEqualTo((int) address);
      ByteBuffer table = table(memory, address);
      tables.put(signature(table), table);
    }
    ByteBuffer fadt = tables.get("FACP");
    assertThat(fadt.getLong(140)).isEqualTo(fadt.getInt(40));
    tables.put("DSDT", table(memory, fadt.getLong(140)));
    tables.put("XSDT", xsdt);
    tables.put("RSDT", rsdt);
    return tables;
  }

  private static ByteBuffer table(ByteBuffer memory, long gpa) {
    int start = (int) gpa - GPA;
    return memory.slice(start, memory.getInt(start + 4)).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static String signature(ByteBuffer table) {
    byte[] name = new byte[4];
    table.get(0, name);
    return new String(name, StandardCharsets.US_ASCII);
  }

  private static int sum(ByteBuffer bytes, int length) {
    return IntStream.range(0, length).map(bytes::get).sum() & 0xFF;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void everyTableSumsToZeroAndIsReachedFromTheRootPointer(boolean hardwareReduced) {
    byte[] block = AcpiTables.build(platform(hardwareReduced), GPA);
    ByteBuffer rsdp = ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN);
    assertThat(new String(block, 0, 8, StandardCharsets.US_ASCII)).isEqualTo("RSD PTR ");
    assertThat(sum(rsdp, 20)).isZero();
    assertThat(sum(rsdp, 36)).isZero();
    Map<String, ByteBuffer> tables = parse(block);
    assertThat(tables.keySet()).containsExactly("APIC", "DSDT", "FACP", "RSDT", "XSDT");
    tables.forEach((name, table) -> assertThat(sum(table, table.limit())).as(name).isZero());
  }

  @Test
  void fullPcOffersFixedHardwareAndNoKeyboardController() {
    ByteBuffer fadt = parse(AcpiTables.build(platform(false), GPA)).get("FACP");
    assertThat(fadt.limit()).isEqualTo(276);
    assertThat(fadt.getShort(46)).as("SCI").isEqualTo((short) 9);
    assertThat(fadt.getInt(48)).as("SMI command").isZero();
    assertThat(fadt.getInt(56)).as("PM1a event").isEqualTo(0x600);
    assertThat(fadt.getInt(64)).as("PM1a control").isEqualTo(0x604);
    assertThat(fadt.getInt(76)).as("PM timer").isEqualTo(0x608);
    assertThat(fadt.get(88)).as("PM1 event length").isEqualTo((byte) 4);
    assertThat(fadt.get(89)).as("PM1 control length").isEqualTo((byte) 2);
    assertThat(fadt.getShort(109) & 2).as("8042 present").isZero();
    assertThat(fadt.getShort(109) & 4).as("VGA absent").isEqualTo(4);
    assertThat(fadt.getInt(112) >> 20 & 1).as("hardware reduced").isZero();
    assertThat(fadt.getInt(112) >> 10 & 1).as("reset register").isEqualTo(1);
    assertThat(fadt.getLong(116 + 4)).as("reset port").isEqualTo(0xCF9);
    assertThat(fadt.get(128)).as("reset value").isEqualTo((byte) 6);
  }

  @Test
  void hardwareReducedPcOffersSleepRegistersOnly() {
    ByteBuffer fadt = parse(AcpiTables.build(platform(true), GPA)).get("FACP");
    assertThat(fadt.getInt(112) >> 20 & 1).as("hardware reduced").isEqualTo(1);
    assertThat(fadt.getInt(56)).as("PM1a event").isZero();
    assertThat(fadt.getLong(244 + 4)).as("sleep control").isEqualTo(0x610);
    assertThat(fadt.getLong(256 + 4)).as("sleep status").isEqualTo(0x611);
  }

  @Test
  void madtListsProcessorsAndControllersInOrder() {
    ByteBuffer madt = parse(AcpiTables.build(platform(false), GPA)).get("APIC");
    assertThat(madt.getInt(36)).as("local APIC address").isEqualTo(0xFEE0_0000);
    assertThat(madt.getInt(40)).as("PC-AT compatible").isEqualTo(1);
    StringBuilder types = new StringBuilder();
    for (int at = 44; at < madt.limit(); at += madt.get(at + 1)) {
      types.append(madt.get(at)).append(' ');
    }
    assertThat(types.toString()).isEqualTo("0 0 0 1 2 2 4 ");
  }

  @ParameterizedTest
  @ValueSource(longs = {0x30001, 0x30020, -64, 1L << 32})
  void refusesAnAddressItCannotPointTo(long gpa) {
    assertThatThrownBy(() -> AcpiTables.build(platform(false), gpa))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /** The independent oracle: ACPICA's disassembler, where it is installed. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void acpicaDisassemblesTheTablesWithoutComplaint(boolean hardwareReduced, @TempDir Path directory)
      throws IOException, InterruptedException {
    assumeTrue(onPath("iasl"), "iasl is not installed: the AML is not checked independently");
    Map<String, ByteBuffer> tables = parse(AcpiTables.build(platform(hardwareReduced), GPA));
    for (Map.Entry<String, ByteBuffer> entry : tables.entrySet()) {
      byte[] bytes = new byte[entry.getValue().limit()];
      entry.getValue().get(0, bytes);
      Path aml = Files.write(directory.resolve(entry.getKey() + ".aml"), bytes);
      Path log = directory.resolve("log");
      Process iasl =
          new ProcessBuilder("iasl", "-d", aml.toString())
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      assertThat(iasl.waitFor(60, TimeUnit.SECONDS)).isTrue();
      String said = Files.readString(log);
      assertThat(iasl.exitValue()).as(said).isZero();
      assertThat(said).doesNotContainIgnoringCase("error").doesNotContain("Warning");
    }
    String dsdt = Files.readString(directory.resolve("DSDT.dsl"));
    assertThat(dsdt)
        .contains("Name (_HID, EisaId (\"PNP0501\")", "IRQNoFlags ()", "Name (\\_S5")
        .contains("Name (_HID, \"LNRO0005\")", "0xD0001600,", "Device (VR0B)")
        .contains("Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive");
    assertThat(dsdt.lines().filter(line -> line.contains("Device (")).count()).isEqualTo(14);
    String fadt = Files.readString(directory.resolve("FACP.dsl"));
    assertThat(fadt)
        .containsPattern("Hardware Reduced \\(V5\\) : " + (hardwareReduced ? "1" : "0"))
        .doesNotContain("Invalid");
  }

  private static boolean onPath(String program) {
    return Arrays.stream(System.getenv("PATH").split(":"))
        .anyMatch(directory -> Files.isExecutable(Path.of(directory, program)));
  }
}
