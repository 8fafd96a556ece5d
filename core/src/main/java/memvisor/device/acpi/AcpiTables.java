package memvisor.device.acpi;

import static memvisor.device.acpi.Aml.device;
import static memvisor.device.acpi.Aml.eisaId;
import static memvisor.device.acpi.Aml.integer;
import static memvisor.device.acpi.Aml.ioPorts;
import static memvisor.device.acpi.Aml.isaInterrupt;
import static memvisor.device.acpi.Aml.name;
import static memvisor.device.acpi.Aml.pkg;
import static memvisor.device.acpi.Aml.resources;
import static memvisor.device.acpi.Aml.scope;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The ACPI tables of a machine as one block of memory: RSDP, RSDT, XSDT, FADT, FACS, MADT, DSDT.
 * ACPI 6.4, 5.2.
 */
public final class AcpiTables {
  private static final int RSDP_BYTES = 36;
  private static final int ALIGNMENT = 64;
  private static final int ADDRESS_LIMIT_LOG2 = 32;
  private static final int FADT_BYTES = 276;
  private static final int IO_APIC_GPA = 0xFEC0_0000;
  private static final int LOCAL_APIC_GPA = 0xFEE0_0000;
  private static final int CENTURY_INDEX = 0x32;

  private static final int FLAG_WBINVD = 1;
  private static final int FLAG_PROC_C1 = 1 << 2;
  private static final int FLAG_NO_FIXED_POWER_BUTTON = 1 << 4;
  private static final int FLAG_NO_FIXED_SLEEP_BUTTON = 1 << 5;
  private static final int FLAG_RESET_REGISTER = 1 << 10;
  private static final int FLAG_HARDWARE_REDUCED = 1 << 20;
  private static final int BOOT_LEGACY_DEVICES = 1;
  private static final int BOOT_NO_VGA = 1 << 2;

  private final long gpa;
  private final AcpiPlatform platform;
  private final List<byte[]> parts = new ArrayList<>();
  private int sizeBytes;

  private AcpiTables(AcpiPlatform platform, long gpa) {
    this.platform = platform;
    this.gpa = gpa;
  }

  /**
   * Builds the tables for loading at {@code gpa}; the RSDP comes first, so it is at {@code gpa}.
   *
   * @param gpa 64-byte aligned, below 4 GiB; within E0000h-FFFFFh a kernel finds it by scanning
   */
  public static byte[] build(AcpiPlatform platform, long gpa) {
    if (gpa % ALIGNMENT != 0 || gpa < 0 || gpa >> ADDRESS_LIMIT_LOG2 != 0) {
      throw new IllegalArgumentException(
          "ACPI tables need 64-byte alignment below 4 GiB: gpa=0x%x".formatted(gpa));
    }
    return new AcpiTables(platform, gpa).assemble();
  }

  private byte[] assemble() {
    append(new byte[RSDP_BYTES]);
    long dsdt = append(dsdt());
    long facs = platform.hardwareReduced() ? 0 : append(facs());
    long fadt = append(fadt(dsdt, facs));
    long madt = append(madt());
    long rsdt = append(new TableWriter("RSDT", 1).dword(fadt).dword(madt).table());
    long xsdt = append(new TableWriter("XSDT", 1).qword(fadt).qword(madt).table());
    parts.set(0, rsdp(rsdt, xsdt));
    ByteBuffer block = ByteBuffer.allocate(sizeBytes);
    int offset = 0;
    for (byte[] part : parts) {
      block.put(offset, part);
      offset = aligned(offset + part.length);
    }
    return block.array();
  }

  /** Appends a part and returns its address. */
  private long append(byte[] part) {
    long address = gpa + sizeBytes;
    parts.add(part);
    sizeBytes = aligned(sizeBytes + part.length);
    return address;
  }

  private static int aligned(int offset) {
    return offset + ALIGNMENT - 1 & -ALIGNMENT;
  }

  /** 5.2.5.3: the first checksum covers the 20 bytes of revision 0, the second everything. */
  private static byte[] rsdp(long rsdt, long xsdt) {
    ByteBuffer rsdp = ByteBuffer.allocate(RSDP_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    rsdp.put("RSD PTR \0MEMVSR".getBytes(StandardCharsets.US_ASCII)).put((byte) 2);
    rsdp.putInt((int) rsdt).putInt(RSDP_BYTES).putLong(xsdt);
    rsdp.put(8, TableWriter.checksum(rsdp.array(), 20));
    rsdp.put(32, TableWriter.checksum(rsdp.array(), RSDP_BYTES));
    return rsdp.array();
  }

  /** 5.2.10: 64 bytes without the common header. */
  private static byte[] facs() {
    ByteBuffer facs = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    facs.put("FACS".getBytes(StandardCharsets.US_ASCII)).putInt(64);
    facs.put(32, (byte) 2);
    return facs.array();
  }

  /** 5.2.9, with the offsets of table 5.9. */
  private byte[] fadt(long dsdt, long facs) {
    boolean full = !platform.hardwareReduced();
    TableWriter fadt = new TableWriter("FACP", 6);
    fadt.dword(facs).dword(dsdt);
    if (full) {
      fadt.at(46).word(PowerManagement.SCI_IRQ);
      fadt.at(56).dword(PowerManagement.EVENT_PORT);
      fadt.at(64).dword(PowerManagement.CONTROL_PORT);
      fadt.at(76).dword(PowerManagement.TIMER_PORT);
      fadt.at(88).bytes(PowerManagement.EVENT_BYTES, PowerManagement.CONTROL_BYTES, 0, 4);
    }
    // No C2 and no C3: latencies beyond 100 and 1000 microseconds.
    fadt.at(96).word(0xFFF).word(0xFFF);
    fadt.at(108).bytes(CENTURY_INDEX);
    fadt.word(BOOT_NO_VGA | (full ? BOOT_LEGACY_DEVICES : 0));
    fadt.at(112).dword(fadtFlags());
    fadt.ioAddress(PowerManagement.RESET_PORT, 1).bytes(PowerManagement.RESET_VALUE);
    // Specification 6.4: the minor version follows the ARM boot flags.
    fadt.at(131).bytes(4);
    // Either the 32-bit or the 64-bit pointer is to be zero (5.2.9): both 64-bit ones are given
    // too, equal, as every firmware does for old kernels.
    fadt.at(132).qword(0).qword(dsdt);
    if (full) {
      fadt.ioAddress(PowerManagement.EVENT_PORT, PowerManagement.EVENT_BYTES).ioAddress(0, 0);
      fadt.ioAddress(PowerManagement.CONTROL_PORT, PowerManagement.CONTROL_BYTES);
      fadt.ioAddress(0, 0).ioAddress(0, 0).ioAddress(PowerManagement.TIMER_PORT, 4);
    } else {
      fadt.at(244).ioAddress(PowerManagement.SLEEP_CONTROL_PORT, 1);
      fadt.ioAddress(PowerManagement.SLEEP_STATUS_PORT, 1);
    }
    return fadt.at(FADT_BYTES).table();
  }

  private int fadtFlags() {
    int common = FLAG_WBINVD | FLAG_PROC_C1 | FLAG_NO_FIXED_SLEEP_BUTTON | FLAG_RESET_REGISTER;
    return platform.hardwareReduced()
        ? common | FLAG_HARDWARE_REDUCED | FLAG_NO_FIXED_POWER_BUTTON
        : common;
  }

  /** 5.2.12. */
  private byte[] madt() {
    boolean full = !platform.hardwareReduced();
    TableWriter madt = new TableWriter("APIC", 5);
    madt.dword(LOCAL_APIC_GPA).dword(full ? 1 : 0);
    int uid = 0;
    for (int apicId : platform.apicIds()) {
      madt.bytes(0, 8, uid++, apicId).dword(1);
    }
    madt.bytes(1, 12, platform.apicIds().size(), 0).dword(IO_APIC_GPA).dword(0);
    if (full) {
      // ISA 0 is on pin 2; the SCI is level-triggered, active high.
      madt.bytes(2, 10, 0, 0).dword(2).word(0);
      madt.bytes(2, 10, 0, PowerManagement.SCI_IRQ).dword(PowerManagement.SCI_IRQ).word(0xD);
    }
    // LINT1 of every processor is NMI.
    madt.bytes(4, 6, 0xFF).word(0).bytes(1);
    return madt.table();
  }

  /** The AML that says what cannot be found by probing. */
  private byte[] dsdt() {
    int s5 = PowerManagement.S5_SLEEP_TYPE;
    List<byte[]> devices = new ArrayList<>();
    devices.add(
        device(
            "COM1",
            name("_HID", eisaId("PNP0501")),
            name("_UID", integer(1)),
            name("_STA", integer(0xF)),
            name("_CRS", resources(ioPorts(0x3F8, 8), isaInterrupt(4)))));
    devices.add(
        device(
            "RTC",
            name("_HID", eisaId("PNP0B00")),
            name("_CRS", resources(ioPorts(0x70, 2), isaInterrupt(8)))));
    List<VirtioWindow> virtio = platform.virtio();
    for (int i = 0; i < virtio.size(); i++) {
      devices.add(virtioDevice(i, virtio.get(i)));
    }
    return new TableWriter("DSDT", 2)
        .raw(name("\\_S5", pkg(integer(s5), integer(0), integer(0), integer(0))))
        .raw(scope("\\_SB", devices.toArray(byte[][]::new)))
        .table();
  }

  private static byte[] virtioDevice(int index, VirtioWindow window) {
    return device(
        "VR%02X".formatted(index),
        name("_HID", Aml.string("LNRO0005")),
        name("_UID", integer(index)),
        name("_CCA", integer(1)),
        name(
            "_CRS",
            resources(
                Aml.memory32(window.gpa(), window.sizeBytes()), Aml.levelInterrupt(window.gsi()))));
  }
}
