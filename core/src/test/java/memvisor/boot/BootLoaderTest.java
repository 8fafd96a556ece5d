package memvisor.boot;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.page.Placement;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What well-formed images become in guest memory. */
class BootLoaderTest {
  private static final long MIB = 1L << 20;

  private final HostMemory host = HostMemory.create(128 * MIB);
  private final VmMemory vm = host.createVm(GuestLayout.of(64 * MIB), Placement.SCATTERED);

  @AfterEach
  void close() {
    vm.close();
    host.close();
  }

  private byte[] bytes(long gpa, int lengthBytes) {
    byte[] result = new byte[lengthBytes];
    vm.read(gpa, result, 0, lengthBytes);
    return result;
  }

  private String text(long gpa) {
    StringBuilder text = new StringBuilder();
    for (long at = gpa; vm.readValue(at, 1) != 0; at++) {
      text.append((char) vm.readValue(at, 1));
    }
    return text.toString();
  }

  /** Lines of a memory map in guest memory: base, size, type. */
  private List<String> memoryMap(long gpa, int entryBytes, long count) {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      long at = gpa + (long) i * entryBytes;
      lines.add(
          "%x+%x:%d"
              .formatted(vm.readValue(at, 8), vm.readValue(at + 8, 8), vm.readValue(at + 16, 4)));
    }
    return lines;
  }

  private static final String[] MAP_OF_64_MIB = {
    "0+9fc00:1", "9fc00+400:2", "e0000+20000:3", "100000+3f00000:1"
  };

  @Test
  void aBzImageStartsByThe64BitProtocol() {
    byte[] image = Images.bzImage();
    byte[] initrd = Images.pattern(10_000, 4);
    BootRequest request =
        BootRequest.of(image).withInitrd(initrd).withCommandLine("a=1 b").withRsdp(0xE0000);
    EntryState entry = BootLoader.load(request, vm);

    assertThat(entry).isInstanceOf(EntryState.LongMode.class);
    assertThat(entry.rip()).isEqualTo(0x1000200);
    assertThat(entry.code().selector()).isEqualTo(0x10);
    assertThat(entry.data().selector()).isEqualTo(0x18);
    assertThat(bytes(0x1000000, 4096)).isEqualTo(Arrays.copyOfRange(image, 1024, 5120));
    final long params = entry.registers().rsi();
    assertThat(bytes(params + 0x1F1, 9)).isEqualTo(Arrays.copyOfRange(image, 0x1F1, 0x1FA));
    assertThat(vm.readValue(params + 0x202, 4)).isEqualTo(0x53726448);
    assertThat(vm.readValue(params + 0x210, 1)).isEqualTo(0xFF);
    assertThat(vm.readValue(params + 0x211, 1) & 1).isEqualTo(1);
    assertThat(vm.readValue(params + 0x070, 8)).isEqualTo(0xE0000);
    assertThat(vm.readValue(params + 0x258, 8)).isEqualTo(0x1000000);
    assertThat(text(vm.readValue(params + 0x228, 4))).isEqualTo("a=1 b");
    assertThat(vm.readValue(params + 0x21C, 4)).isEqualTo(10_000);
    long initrdAt = vm.readValue(params + 0x218, 4);
    assertThat(initrdAt).isEqualTo(64 * MIB - 3 * 4096);
    assertThat(bytes(initrdAt, 10_000)).isEqualTo(initrd);
    assertThat(memoryMap(params + 0x2D0, 20, vm.readValue(params + 0x1E8, 1)))
        .containsExactly(MAP_OF_64_MIB);
  }

  @Test
  void aBzImageWithout64BitEntryStartsInFlatProtectedMode() {
    byte[] image = Images.patched(Images.bzImage(), 0x236, 2, 0x7E);
    EntryState entry = BootLoader.load(BootRequest.of(image).withCommandLine("a=1"), vm);

    assertThat(entry).isInstanceOf(EntryState.FlatProtected.class);
    assertThat(entry.rip()).isEqualTo(0x1000000);
    assertThat(entry.cr0()).isEqualTo(0x11);
    // __BOOT_CS: selector 10h, 32-bit code, base 0, limit 4 GiB; in the GDT too.
    assertThat(entry.code()).isEqualTo(new SegmentState(0x10, 0, -1, 0xCF9B));
    assertThat(vm.readValue(entry.gdtBase() + 0x10, 8)).isEqualTo(0x00CF9B000000FFFFL);
    assertThat(entry.data().selector()).isEqualTo(0x18);
    long params = entry.registers().rsi();
    assertThat(text(vm.readValue(params + 0x228, 4))).isEqualTo("a=1");
  }

  @Test
  void theIdentityMapTranslatesFourGibibytesToThemselves() {
    EntryState entry = BootLoader.load(BootRequest.of(Images.bzImage()), vm);
    assertThat(entry.cr0()).isEqualTo(0x80000011L);
    assertThat(entry.cr4()).isEqualTo(0x20);
    assertThat(entry.efer()).isEqualTo(0x500);
    for (long gva = 0; gva < 4L << 30; gva += 0x1FF000) {
      long pml4e = vm.readValue(entry.cr3() + 8 * (gva >>> 39), 8);
      long pdpte = vm.readValue((pml4e & -4096) + 8 * (gva >>> 30 & 511), 8);
      long pde = vm.readValue((pdpte & -4096) + 8 * (gva >>> 21 & 511), 8);
      assertThat(pml4e & 3 & pdpte & pde).isEqualTo(3);
      assertThat(pde & 0x1FFFFF).isEqualTo(0x83);
      assertThat((pde & -0x200000) + (gva & 0x1FFFFF)).isEqualTo(gva);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theGdtHoldsTheSegmentsOfTheEntryState(boolean longMode) {
    byte[] image = longMode ? Images.bzImage() : pvh(true).build();
    EntryState entry = BootLoader.load(BootRequest.of(image), vm);
    assertThat(vm.readValue(entry.gdtBase(), 8)).isZero();
    assertThat(entry.code().attributes() >>> 13 & 3).as("L and D").isEqualTo(longMode ? 1 : 2);
    for (SegmentState segment : List.of(entry.code(), entry.data(), entry.task())) {
      assertThat(segment.selector() + 7).isLessThanOrEqualTo(entry.gdtLimit());
      long descriptor = vm.readValue(entry.gdtBase() + segment.selector(), 8);
      assertThat((int) (descriptor >>> 40) & 0xFFFF).isEqualTo(segment.attributes());
      long limit = descriptor & 0xFFFF | descriptor >>> 32 & 0xF0000;
      boolean pages = (descriptor >>> 55 & 1) != 0;
      assertThat((int) (pages ? limit << 12 | 0xFFF : limit)).isEqualTo(segment.limit());
    }
  }

  private static Images.Elf pvh(boolean is64) {
    byte[] entry = {0x34, 0x12, 0x20, 0};
    return new Images.Elf(is64)
        .entry(0x200000)
        .segment(0x200000, Images.pattern(0x2000, 2), 0x5000)
        .note("GNU", 18, new byte[4])
        .note("Xen", 18, is64 ? Arrays.copyOf(entry, 8) : entry);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void anElfWithAPvhNoteStartsInFlatProtectedMode(boolean is64) {
    byte[] dirt = Images.pattern(0x4000, 5);
    vm.write(0x202000, dirt, 0, dirt.length);
    byte[] initrd = Images.pattern(5000, 4);
    EntryState entry =
        BootLoader.load(
            BootRequest.of(pvh(is64).build())
                .withInitrd(initrd)
                .withCommandLine("quiet")
                .withRsdp(0xE0010),
            vm);

    assertThat(entry).isInstanceOf(EntryState.FlatProtected.class);
    assertThat(entry.rip()).isEqualTo(0x201234);
    assertThat(entry.cr0() & 0x80000001L).isEqualTo(1);
    assertThat(bytes(0x200000, 0x2000)).isEqualTo(Images.pattern(0x2000, 2));
    assertThat(bytes(0x202000, 0x3000)).as("bss").containsOnly(0);
    assertThat(bytes(0x205000, 0x1000))
        .as("behind")
        .isEqualTo(Arrays.copyOfRange(dirt, 0x3000, 0x4000));
    final long info = entry.registers().rbx();
    assertThat(vm.readValue(info, 4)).isEqualTo(0x336EC578);
    assertThat(vm.readValue(info + 4, 4)).isEqualTo(1);
    assertThat(vm.readValue(info + 12, 4)).isEqualTo(1);
    long module = vm.readValue(info + 16, 8);
    assertThat(bytes(vm.readValue(module, 8), (int) vm.readValue(module + 8, 8))).isEqualTo(initrd);
    assertThat(text(vm.readValue(info + 24, 8))).isEqualTo("quiet");
    assertThat(vm.readValue(info + 32, 8)).isEqualTo(0xE0010);
    assertThat(memoryMap(vm.readValue(info + 40, 8), 24, vm.readValue(info + 48, 4)))
        .containsExactly(MAP_OF_64_MIB);
  }

  @Test
  void aPlainElf64StartsInLongModeWithAStack() {
    byte[] image =
        new Images.Elf(true).entry(0x100010).segment(0x100000, Images.pattern(64, 3), 64).build();
    EntryState entry = BootLoader.load(BootRequest.of(image).withCommandLine("w=copy"), vm);
    assertThat(entry).isInstanceOf(EntryState.LongMode.class);
    assertThat(entry.rip()).isEqualTo(0x100010);
    assertThat(entry.registers().rsp()).isEqualTo(0x80000);
    assertThat(text(vm.readValue(entry.registers().rdi() + 24, 8))).isEqualTo("w=copy");
  }

  @Test
  void aVmlinuxStartsByThe64BitProtocolWhenAsked() {
    EntryState entry =
        BootLoader.load(
            BootProtocol.LINUX64, BootRequest.of(pvh(true).build()).withCommandLine("x"), vm);
    assertThat(entry.rip()).isEqualTo(0x200000);
    long params = entry.registers().rsi();
    assertThat(vm.readValue(params + 0x1FE, 2)).isEqualTo(0xAA55);
    assertThat(text(vm.readValue(params + 0x228, 4))).isEqualTo("x");
    assertThat(vm.readValue(params + 0x1E8, 1)).isEqualTo(4);
  }

  private void assertMultibootInformation(EntryState entry, byte[] module) {
    assertThat(entry).isInstanceOf(EntryState.FlatProtected.class);
    assertThat(entry.registers().rax()).isEqualTo(0x2BADB002);
    long info = entry.registers().rbx();
    assertThat(vm.readValue(info, 4)).isEqualTo(0x4D);
    assertThat(vm.readValue(info + 4, 4)).isEqualTo(639);
    assertThat(vm.readValue(info + 8, 4)).isEqualTo(63 * 1024);
    assertThat(text(vm.readValue(info + 16, 4))).isEqualTo("kernel one two");
    assertThat(vm.readValue(info + 20, 4)).isEqualTo(1);
    long modules = vm.readValue(info + 24, 4);
    long start = vm.readValue(modules, 4);
    assertThat(vm.readValue(modules + 4, 4) - start).isEqualTo(module.length);
    assertThat(bytes(start, module.length)).isEqualTo(module);
    assertThat(vm.readValue(info + 44, 4)).isEqualTo(4 * 24);
    long map = vm.readValue(info + 48, 4);
    assertThat(vm.readValue(map, 4)).isEqualTo(20);
    assertThat(memoryMap(map + 4, 24, 4)).containsExactly(MAP_OF_64_MIB);
  }

  @Test
  void aMultibootElf32StartsWithItsModules() {
    byte[] content = Images.pattern(256, 3);
    System.arraycopy(Images.multibootHeader(3), 0, content, 4, 12);
    byte[] image = new Images.Elf(false).entry(0x100020).segment(0x100000, content, 512).build();
    byte[] module = Images.pattern(100, 8);
    EntryState entry =
        BootLoader.load(BootRequest.of(image).withInitrd(module).withCommandLine("one two"), vm);
    assertThat(entry.rip()).isEqualTo(0x100020);
    assertThat(bytes(0x100000, 256)).isEqualTo(content);
    assertMultibootInformation(entry, module);
  }

  @Test
  void aFlatMultibootFileIsLoadedByItsAddressFields() {
    byte[] image = Images.flatMultiboot(0x100008, 0x100000, 0x100100, 0x100200, 0x100040);
    byte[] module = Images.pattern(100, 8);
    EntryState entry =
        BootLoader.load(BootRequest.of(image).withInitrd(module).withCommandLine("one two"), vm);
    assertThat(entry.rip()).isEqualTo(0x100040);
    assertThat(bytes(0x100000, 0x100)).isEqualTo(Arrays.copyOfRange(image, 8, 0x108));
    assertThat(bytes(0x100100, 0x100)).containsOnly(0);
    assertMultibootInformation(entry, module);
  }

  @Test
  void zeroEndAddressesMeanTheWholeFileAndNoBss() {
    byte[] image = Images.flatMultiboot(0x100010, 0x100000, 0, 0, 0x100FFF);
    BootLoader.load(BootRequest.of(image), vm);
    assertThat(bytes(0x100000, 4096)).isEqualTo(image);
  }

  @Test
  void theInitrdGoesBelowAKernelThatSitsAtTheTop() {
    byte[] image =
        new Images.Elf(true)
            .entry(0x3F00000)
            .segment(0x3F00000, Images.pattern(64, 3), MIB)
            .build();
    EntryState entry = BootLoader.load(BootRequest.of(image).withInitrd(new byte[5000]), vm);
    long module = vm.readValue(entry.registers().rdi() + 16, 8);
    assertThat(vm.readValue(module, 8)).isEqualTo(0x3F00000 - 0x2000);
  }
}
