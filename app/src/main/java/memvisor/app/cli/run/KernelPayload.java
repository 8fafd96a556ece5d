package memvisor.app.cli.run;

import io.airlift.compress.v3.MalformedInputException;
import io.airlift.compress.v3.zstd.ZstdInputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;
import memvisor.boot.BootRequest;
import memvisor.boot.BzImage;
import memvisor.boot.ImageFormatException;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.apache.commons.compress.compressors.lz4.BlockLZ4CompressorInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.XZInputStream;

/**
 * Unpacks the kernel proper out of a bzImage: an ELF file that the image's own decompressor would
 * unpack at boot, which a paravirtual kernel does not run.
 */
public final class KernelPayload {
  /** For all formats but gzip the payload ends with its unpacked size. */
  private static final int SIZE_BYTES = 4;

  private static final int LZ4_LEGACY_MAGIC = 0x184C2102;

  private KernelPayload() {}

  /**
   * The same with the kernel unpacked, for a domain.
   *
   * @throws ImageFormatException if it is damaged or packed in a way this program cannot unpack
   */
  public static BootRequest unpacked(BootRequest request) {
    try {
      return BootRequest.of(unpack(request.image()))
          .withInitrd(request.initrd())
          .withCommandLine(request.commandLine());
    } catch (IOException impossible) {
      throw new UncheckedIOException("reading from memory", impossible);
    }
  }

  /**
   * The ELF file in {@code image}, or {@code image} itself if it is one.
   *
   * @throws ImageFormatException if it is damaged or packed in a way this program cannot unpack
   */
  static byte[] unpack(byte[] image) throws IOException {
    if (!BzImage.isBzImage(image)) {
      return image;
    }
    BzImage kernel = BzImage.parse(image);
    int start = Math.toIntExact(kernel.payloadOffset());
    int end = start + Math.toIntExact(kernel.payloadBytes());
    byte[] packed = Arrays.copyOfRange(image, start, end);
    byte[] stream = Arrays.copyOf(packed, Math.max(0, packed.length - SIZE_BYTES));
    try {
      return switch (kernel.compression()) {
        case NONE -> packed;
        case GZIP -> all(new GZIPInputStream(new ByteArrayInputStream(packed)));
        case BZIP2 -> all(new BZip2CompressorInputStream(new ByteArrayInputStream(stream)));
        case LZMA -> all(new LZMAInputStream(new ByteArrayInputStream(stream)));
        case XZ -> all(new XZInputStream(new ByteArrayInputStream(stream)));
        case LZ4 -> lz4(stream);
        case ZSTD -> all(new ZstdInputStream(new ByteArrayInputStream(stream)));
        case LZO -> LzopStream.unpack(stream);
        case UNKNOWN ->
            throw new ImageFormatException(
                "the kernel is packed as %s, which memvisor cannot unpack; unpack it with"
                        .formatted(kernel.compression())
                    + " Linux' scripts/extract-vmlinux and give the ELF file");
      };
    } catch (IOException | MalformedInputException damaged) {
      throw new ImageFormatException(
          "the kernel's payload is damaged: " + String.valueOf(damaged.getMessage()));
    }
  }

  private static byte[] all(InputStream in) throws IOException {
    try (in) {
      return in.readAllBytes();
    }
  }

  /** Legacy frames: the magic number, then blocks, each behind its packed size. */
  private static byte[] lz4(byte[] stream) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream(stream.length * 4);
    int at = 0;
    while (at + SIZE_BYTES <= stream.length) {
      int size =
          stream[at] & 0xFF
              | (stream[at + 1] & 0xFF) << 8
              | (stream[at + 2] & 0xFF) << 16
              | (stream[at + 3] & 0xFF) << 24;
      at += SIZE_BYTES;
      if (size == LZ4_LEGACY_MAGIC) {
        continue;
      }
      if (size <= 0 || size > stream.length - at) {
        throw new IOException("an LZ4 block of %d bytes at offset %d".formatted(size, at));
      }
      ByteArrayInputStream block = new ByteArrayInputStream(stream, at, size);
      try (InputStream in = new BlockLZ4CompressorInputStream(block)) {
        in.transferTo(out);
      }
      at += size;
    }
    return out.toByteArray();
  }
}
