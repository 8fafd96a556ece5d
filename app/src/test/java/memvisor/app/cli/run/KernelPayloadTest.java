package memvisor.app.cli.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.airlift.compress.v3.lz4.Lz4Compressor;
import io.airlift.compress.v3.lz4.Lz4JavaCompressor;
import io.airlift.compress.v3.lzo.LzoCompressor;
import io.airlift.compress.v3.zstd.ZstdOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import memvisor.boot.ImageFormatException;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorOutputStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tukaani.xz.FilterOptions;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.LZMAOutputStream;
import org.tukaani.xz.X86Options;
import org.tukaani.xz.XZ;
import org.tukaani.xz.XZOutputStream;

/** Kernels packed in every way that Linux knows. */
final class KernelPayloadTest {
  private static final int SETUP_BYTES = 1024;
  private static final int MAX_WORDS = 40_000;

  /** Something like code: repetitive, with calls for the x86 filter to find. */
  private static byte[] kernel() {
    SplittableRandom random = new SplittableRandom(1);
    ByteBuffer code = ByteBuffer.allocate(8 * MAX_WORDS).order(ByteOrder.LITTLE_ENDIAN);
    code.put(new byte[] {0x7F, 'E', 'L', 'F'});
    while (code.remaining() > 8) {
      code.put((byte) 0xE8).putInt(random.nextInt(1 << 20));
      code.put((byte) random.nextInt(4));
    }
    return code.array();
  }

  interface Packer {
    OutputStream over(OutputStream out) throws IOException;
  }

  record Format(String name, Packer packer, boolean sizeFollows) {
    byte[] pack(byte[] plain) throws IOException {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      try (OutputStream packing = packer.over(out)) {
        packing.write(plain);
      }
      return out.toByteArray();
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Format> formats() {
    return Stream.of(
        new Format("gzip", GZIPOutputStream::new, false),
        new Format("bzip2", BZip2CompressorOutputStream::new, true),
        new Format("lzma", out -> new LZMAOutputStream(out, new LZMA2Options(), -1), true),
        new Format(
            "xz with the x86 filter",
            out ->
                new XZOutputStream(
                    out,
                    new FilterOptions[] {new X86Options(), new LZMA2Options()},
                    XZ.CHECK_CRC32),
            true),
        new Format("zstd", ZstdOutputStream::new, true),
        new Format("lz4", out -> new Blocks(out, false), true),
        new Format("lzo", out -> new Blocks(out, true), true));
  }

  /** LZ4's legacy frame and lzop's, each in one block. */
  private static final class Blocks extends ByteArrayOutputStream {
    private final OutputStream out;
    private final boolean lzo;

    Blocks(OutputStream out, boolean lzo) {
      this.out = out;
      this.lzo = lzo;
    }

    @Override
    public void close() throws IOException {
      out.write(lzo ? lzop(toByteArray()) : lz4(toByteArray()));
    }

    private static byte[] lz4(byte[] plain) {
      Lz4Compressor compressor = new Lz4JavaCompressor();
      byte[] block = new byte[compressor.maxCompressedLength(plain.length)];
      int length = compressor.compress(plain, 0, plain.length, block, 0, block.length);
      return ByteBuffer.allocate(8 + length)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(0x184C2102)
          .putInt(length)
          .put(block, 0, length)
          .array();
    }

    private static byte[] lzop(byte[] plain) {
      LzoCompressor compressor = new LzoCompressor();
      byte[] block = new byte[compressor.maxCompressedLength(plain.length)];
      int length = compressor.compress(plain, 0, plain.length, block, 0, block.length);
      ByteBuffer file = ByteBuffer.allocate(64 + length);
      file.put(new byte[] {(byte) 0x89, 'L', 'Z', 'O', 0, 0x0D, 0x0A, 0x1A, 0x0A});
      file.putShort((short) 0x1030).putShort((short) 0x2080).putShort((short) 0x0940);
      file.put((byte) 1).put((byte) 5).putInt(0).putInt(0).putInt(0).putInt(0);
      file.put((byte) 3).put("elf".getBytes(StandardCharsets.US_ASCII)).putInt(0);
      file.putInt(plain.length).putInt(length).putInt(0).put(block, 0, length).putInt(0);
      return Arrays.copyOf(file.array(), file.position());
    }
  }

  /** A bzImage of two setup sectors and this payload. */
  private static byte[] bzImage(byte[] payload, int unpackedBytes) {
    int length = payload.length + (unpackedBytes < 0 ? 0 : 4);
    int paragraphs = (length + 15) / 16;
    ByteBuffer image =
        ByteBuffer.allocate(SETUP_BYTES + 16 * paragraphs).order(ByteOrder.LITTLE_ENDIAN);
    image.put(0x1F1, (byte) 1);
    image.putShort(0x1FE, (short) 0xAA55);
    image.put(0x201, (byte) 0x6A);
    image
        .put(0x202, (byte) 'H')
        .put(0x203, (byte) 'd')
        .put(0x204, (byte) 'r')
        .put(0x205, (byte) 'S');
    image.putShort(0x206, (short) 0x20F);
    image.put(0x211, (byte) 1);
    image.putInt(0x230, 0x20_0000).putInt(0x260, 0x100_0000);
    image.putInt(0x248, 0).putInt(0x24C, length);
    image.putInt(0x1F4, paragraphs);
    image.position(SETUP_BYTES).put(payload);
    if (unpackedBytes >= 0) {
      image.putInt(unpackedBytes);
    }
    return image.array();
  }

  @ParameterizedTest
  @MethodSource("formats")
  void aKernelIsUnpacked(Format format) throws IOException {
    byte[] plain = kernel();
    byte[] image = bzImage(format.pack(plain), format.sizeFollows ? plain.length : -1);
    assertThat(KernelPayload.unpack(image)).isEqualTo(plain);
  }

  @ParameterizedTest
  @MethodSource("formats")
  void aDamagedKernelIsRefusedInASentence(Format format) throws IOException {
    byte[] plain = kernel();
    byte[] packed = format.pack(plain);
    for (int length = 40; length < packed.length - 4; length += packed.length / 7) {
      byte[] image = bzImage(Arrays.copyOf(packed, length), format.sizeFollows ? plain.length : -1);
      // An LZ4 or LZO file may end between two blocks: what was there is unpacked.
      assertThatThrownBy(() -> KernelPayload.unpack(image))
          .as("of %d bytes the first %d", packed.length, length)
          .isInstanceOf(ImageFormatException.class)
          .hasMessageContaining("damaged");
    }
  }
}
