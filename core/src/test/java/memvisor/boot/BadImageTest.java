package memvisor.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import memvisor.host.HostMemory;
import memvisor.host.VmMemory;
import memvisor.host.page.Placement;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Property 41: whatever the file says, the answer is one sentence. */
class BadImageTest {
  private static final long MIB = 1L << 20;

  private final HostMemory host = HostMemory.create(64 * MIB);
  private final VmMemory vm = host.createVm(GuestLayout.of(32 * MIB), Placement.SCATTERED);

  @AfterEach
  void close() {
    vm.close();
    host.close();
  }

  record Case(String name, byte[] image, String sentence) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static Case bz(String name, UnaryOperator<byte[]> change, String sentence) {
    return new Case("bzImage: " + name, change.apply(Images.bzImage()), sentence);
  }

  private static Case elf(String name, Images.Elf elf, String sentence) {
    return new Case("ELF: " + name, elf.build(), sentence);
  }

  private static Images.Elf elf64(long entry) {
    return new Images.Elf(true).entry(entry);
  }

  private static final byte[] TEXT = Images.pattern(64, 3);

  static Stream<Case> bzImages() {
    return Stream.of(
        bz("without protected-mode part", b -> Arrays.copyOf(b, 1024), "truncated"),
        bz("one byte short", b -> Arrays.copyOf(b, b.length - 1), "truncated"),
        bz("cut in the header", b -> Arrays.copyOf(b, 0x210), "truncated"),
        bz("syssize 0", b -> Images.patched(b, 0x1F4, 4, 0), "no protected-mode part"),
        bz("syssize 2^32-1", b -> Images.patched(b, 0x1F4, 4, -1), "truncated"),
        bz("too old", b -> Images.patched(b, 0x206, 2, 0x209), "boot protocol 2.09"),
        bz("payload outside", b -> Images.patched(b, 0x248, 4, 4000), "payload_offset=0xfa0"),
        bz("payload 2^32-1", b -> Images.patched(b, 0x24C, 4, -1), "payload_length=0xffffffff"),
        bz("alignment 3", b -> Images.patched(b, 0x230, 4, 3), "kernel_alignment=0x3"),
        bz("init_size 0", b -> Images.patched(b, 0x260, 4, 0), "init_size=0x0"),
        bz("init_size beyond RAM", b -> Images.patched(b, 0x260, 4, -1), "more memory"),
        bz("pref_address in the hole", b -> Images.patched(b, 0x258, 8, 0xA0000), "more memory"),
        bz("pref_address -1", b -> Images.patched(b, 0x258, 8, -1), "more memory"),
        bz(
            "pref_address on the tables",
            b -> Images.patched(Images.patched(b, 0x258, 8, 0x7000), 0x260, 4, 0x2000),
            "overlaps the kernel"));
  }

  static Stream<Case> elfImages() {
    byte[] good = elf64(0x100000).segment(0x100000, TEXT, 64).build();
    return Stream.of(
        elf("no segment", elf64(0), "nothing to load"),
        elf("empty segment only", elf64(0).segment(0x100000, TEXT, 0), "nothing to load"),
        elf(
            "overlapping segments",
            elf64(0x100000).segment(0x100000, TEXT, 0x2000).segment(0x101FFF, TEXT, 64),
            "a segment of the kernel at 0x101fff-0x10203f overlaps"),
        elf(
            "segment past the end of RAM",
            elf64(32 * MIB - 32).segment(32 * MIB - 32, TEXT, 64),
            "memory"),
        elf("segment in the hole", elf64(0xA0000).segment(0xA0000, TEXT, 64), "0xa0000"),
        elf("segment on the ACPI tables", elf64(0xE0000).segment(0xE0000, TEXT, 64), "0xe0000"),
        elf("segment that wraps", elf64(0).segment(-32, TEXT, 64), "memory"),
        elf("segment of 2^63 bytes", elf64(0).segment(0x100000, TEXT, 1L << 63), "memory"),
        elf(
            "filesz > memsz",
            elf64(0x100000).segment(0x100000, TEXT, 63),
            "filesz=0x40 memsz=0x3f"),
        elf("entry outside", elf64(0x100040).segment(0x100000, TEXT, 64), "entry=0x100040"),
        elf("entry below", elf64(0xFFFFF).segment(0x100000, TEXT, 64), "entry outside"),
        elf(
            "segment on the page tables",
            elf64(0x9000).segment(0x9000, TEXT, 64),
            "the identity map"),
        elf("segment on the stack", elf64(0x7FFF0).segment(0x7FFF0, new byte[8], 8), "the stack"),
        elf(
            "PVH entry outside",
            elf64(0x100000).segment(0x100000, TEXT, 64).note("Xen", 18, new byte[] {1, 0, 0, 0}),
            "entry=0x1"),
        elf(
            "PVH note of 3 bytes",
            elf64(0x100000).segment(0x100000, TEXT, 64).note("Xen", 18, new byte[3]),
            "PVH note of 3 bytes"),
        new Case("truncated segment", Arrays.copyOf(good, good.length - 1), "truncated"),
        new Case("truncated header", Arrays.copyOf(good, 50), "truncated"),
        new Case("program headers outside", Images.patched(good, 32, 8, 1 << 20), "program header"),
        new Case("program headers at -1", Images.patched(good, 32, 8, -1), "program header"),
        new Case("segment offset 2^64-1", Images.patched(good, 64 + 8, 8, -1), "segment"),
        new Case("odd program header size", Images.patched(good, 54, 2, 57), "57 bytes, not 56"),
        new Case("for Arm", Images.patched(good, 18, 2, 183), "e_machine is 183"),
        new Case("big-endian", Images.patched(good, 5, 1, 2), "little-endian"),
        new Case("class 3", Images.patched(good, 4, 1, 3), "little-endian"),
        new Case(
            "32-bit without protocol",
            new Images.Elf(false).entry(0x100000).segment(0x100000, TEXT, 64).build(),
            "neither a PVH note nor a multiboot header"),
        new Case("empty", new byte[0], "is empty"),
        new Case("text", "#!/bin/sh\n".getBytes(), "no bzImage"));
  }

  private static Case flat(
      String name, int header, int load, int end, int bss, int entry, String s) {
    return new Case("flat: " + name, Images.flatMultiboot(header, load, end, bss, entry), s);
  }

  static Stream<Case> multibootImages() {
    byte[] unknown = Images.pattern(64, 1);
    System.arraycopy(Images.multibootHeader(0x8), 0, unknown, 0, 12);
    byte[] noElf = Images.pattern(64, 1);
    System.arraycopy(Images.multibootHeader(0), 0, noElf, 0, 12);
    return Stream.of(
        new Case("unknown demand", unknown, "header flags are 0x8"),
        new Case("no addresses, no ELF", noElf, "ELF magic"),
        flat("load above header", 0x100000, 0x100001, 0, 0, 0x100002, "header that does not lie"),
        flat("header before file", 0x100011, 0x100000, 0, 0, 0x100000, "header that does not lie"),
        flat("ends before it starts", 0x100010, 0x100000, 0xFF000, 0, 0x100000, "in disorder"),
        flat("bss inside text", 0x100010, 0x100000, 0x101000, 0x100FFF, 0x100000, "in disorder"),
        flat("longer than the file", 0x100010, 0x100000, 0x101001, 0, 0x100000, "truncated"),
        flat("entry at its end", 0x100010, 0x100000, 0x101000, 0, 0x101000, "entry_addr=0x101000"),
        flat("outside RAM", 0xF0000010, 0xF0000000, 0, 0, 0xF0000000, "0xf0000000"));
  }

  @ParameterizedTest
  @MethodSource({"bzImages", "elfImages", "multibootImages"})
  void aBadImageIsRefusedInOneSentence(Case bad) {
    assertThatThrownBy(() -> BootLoader.load(BootRequest.of(bad.image()), vm))
        .isInstanceOf(BootException.class)
        .hasMessageContaining(bad.sentence())
        .message()
        .doesNotContain("\n");
  }

  @Test
  void anInitrdThatDoesNotFitIsRefused() {
    BootRequest request = BootRequest.of(Images.bzImage());
    assertThatThrownBy(() -> BootLoader.load(request.withInitrd(new byte[31 << 20]), vm))
        .isInstanceOf(BootException.class)
        .hasMessage(
            "the initrd of 32505856 bytes does not fit into guest memory below 0x80000000; give the"
                + " guest more memory");
  }

  @Test
  void theInitrdStaysBelowTheAddressTheKernelNames() {
    byte[] image = Images.patched(Images.bzImage(), 0x22C, 4, 0x7FFFFF);
    EntryState entry = BootLoader.load(BootRequest.of(image).withInitrd(new byte[4097]), vm);
    assertThat(vm.readValue(entry.registers().rsi() + 0x218, 4)).isEqualTo(0x800000 - 0x2000);
  }

  @Test
  void aCommandLineLongerThanTheKernelTakesIsRefused() {
    BootRequest request = BootRequest.of(Images.bzImage());
    BootLoader.load(request.withCommandLine("x".repeat(2047)), vm);
    assertThatThrownBy(() -> BootLoader.load(request.withCommandLine("x".repeat(2048)), vm))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("2048 bytes")
        .hasMessageContaining("at most 2047");
  }

  static Stream<byte[]> goodImages() {
    return Stream.of(
        Images.bzImage(),
        elf64(0x100000)
            .segment(0x100000, TEXT, 128)
            .note("Xen", 18, new byte[] {0, 0, 16, 0})
            .build(),
        elf64(0x100000).segment(0x100000, TEXT, 128).build(),
        Images.flatMultiboot(0x100010, 0x100000, 0, 0x102000, 0x100000));
  }

  @ParameterizedTest
  @MethodSource("goodImages")
  void anImageCutAnywhereIsLoadedOrRefused(byte[] image) {
    for (int length = 0; length < image.length; length++) {
      loadOrRefuse(Arrays.copyOf(image, length), "length=" + length);
    }
  }

  @ParameterizedTest
  @MethodSource("goodImages")
  void anImageWithRandomFieldsIsLoadedOrRefused(byte[] image) {
    long seed = 99;
    SplittableRandom random = new SplittableRandom(seed);
    long[] extremes = {0, 1, -1, 0x7FFFFFFF, 0x80000000L, Long.MIN_VALUE, Long.MAX_VALUE, 0x1000};
    for (int trial = 0; trial < 3000; trial++) {
      byte[] changed = image;
      for (int change = random.nextInt(3); change >= 0; change--) {
        int offset = random.nextInt(Math.min(image.length - 8, 0x268));
        long value = extremes[random.nextInt(extremes.length)];
        changed = Images.patched(changed, offset, 1 << random.nextInt(4), value);
      }
      loadOrRefuse(changed, "seed=" + seed + " trial=" + trial);
    }
  }

  @ParameterizedTest
  @MethodSource("goodImages")
  void anImageGivenToAnyProtocolIsLoadedOrRefused(byte[] image) {
    for (BootProtocol protocol : BootProtocol.values()) {
      loadOrRefuse(protocol, image, protocol.toString());
      loadOrRefuse(protocol, new byte[0], protocol + " empty");
      loadOrRefuse(protocol, Images.pattern(9000, 2), protocol + " noise");
    }
  }

  private void loadOrRefuse(byte[] image, String context) {
    try {
      loadOrRefuse(BootLoader.protocolOf(image), image, context);
    } catch (BootException refused) {
      assertThat(refused).as(context).hasMessageMatching("[^\n]{10,300}");
    }
  }

  private void loadOrRefuse(BootProtocol protocol, byte[] image, String context) {
    try {
      EntryState entry = BootLoader.load(protocol, BootRequest.of(image), vm);
      assertThat(entry.rip()).as(context).isNotNegative();
    } catch (BootException refused) {
      assertThat(refused).as(context).hasMessageMatching("[^\n]{10,300}");
    }
  }
}
