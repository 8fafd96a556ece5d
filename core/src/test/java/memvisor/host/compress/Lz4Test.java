package memvisor.host.compress;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.SplittableRandom;
import memvisor.memory.Hva;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class Lz4Test {
  private static final int PAGE = 4096;

  private final Arena arena = Arena.ofAuto();
  private final long source = arena.allocate(PAGE).address();
  private final long packed = arena.allocate(2 * PAGE).address();
  private final long target = arena.allocate(3 * PAGE).address() + PAGE;
  private final Lz4 lz4 = new Lz4();

  /** A decoder written from the format's description, over arrays, with nothing in common. */
  private static byte[] decode(byte[] in) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int at = 0;
    while (true) {
      int token = in[at++] & 0xFF;
      int literals = token >> 4;
      for (int more = literals == 15 ? 255 : 0; more == 255; ) {
        more = in[at++] & 0xFF;
        literals += more;
      }
      out.write(in, at, literals);
      at += literals;
      if (at == in.length) {
        return out.toByteArray();
      }
      int distance = in[at] & 0xFF | (in[at + 1] & 0xFF) << 8;
      at += 2;
      int length = token & 15;
      for (int more = length == 15 ? 255 : 0; more == 255; ) {
        more = in[at++] & 0xFF;
        length += more;
      }
      for (int i = 0; i < length + 4; i++) {
        out.write(out.toByteArray()[out.size() - distance]);
      }
    }
  }

  private static byte[] page(int kind, SplittableRandom random) {
    byte[] page = new byte[PAGE];
    switch (kind) {
      case 0 -> Arrays.fill(page, (byte) random.nextInt());
      case 1 -> random.nextBytes(page);
      case 2 -> {
        int period = 1 + random.nextInt(40);
        for (int i = 0; i < PAGE; i++) {
          page[i] = (byte) (i < period ? random.nextInt() : page[i - period]);
        }
      }
      default -> {
        for (int i = 0; i < PAGE; i++) {
          page[i] = (byte) (random.nextInt(10) == 0 ? random.nextInt(256) : random.nextInt(3));
        }
      }
    }
    return page;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void pagesComeBackAndAnIndependentDecoderAgrees(long seed) {
    System.out.println("lz4: seed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    for (int round = 0; round < 60; round++) {
      byte[] page = page(round % 4, random);
      Hva.write(source, page, 0, PAGE);
      int length = lz4.compress(source, PAGE, packed, 2 * PAGE);
      assertThat(length).isPositive();
      byte[] bytes = new byte[length];
      Hva.read(packed, bytes, 0, length);
      assertThat(decode(bytes)).isEqualTo(page);
      assertThat(lz4.decompress(packed, length, target, PAGE)).isTrue();
      assertThat(Hva.isEqual(source, target, PAGE)).isTrue();
      assertThat(lz4.compress(source, PAGE, packed, length - 1)).as("over the limit").isZero();
    }
  }

  /** Blocks put together by hand from the format's description. */
  @ParameterizedTest
  @CsvSource({
    "50 48656C6C6F, 48656C6C6F",
    "1161 0100 50 48656C6C6F, 61616161616148656C6C6F",
    "00, ''"
  })
  void blocksFromTheDescriptionAreUnderstood(String block, String expected) {
    byte[] in = HexFormat.of().parseHex(block.replace(" ", ""));
    byte[] out = HexFormat.of().parseHex(expected);
    Hva.write(packed, in, 0, in.length);
    assertThat(lz4.decompress(packed, in.length, target, out.length)).isTrue();
    byte[] seen = new byte[out.length];
    Hva.read(target, seen, 0, seen.length);
    assertThat(seen).isEqualTo(out);
  }

  @Test
  void damagedInputIsRefusedOrDecodedButNeverLeavesTheTarget() {
    SplittableRandom random = new SplittableRandom(9);
    int refused = 0;
    for (int round = 0; round < 5000; round++) {
      Hva.write(source, page(2 + round % 2, random), 0, PAGE);
      int length = lz4.compress(source, PAGE, packed, 2 * PAGE);
      for (int flips = 1 + random.nextInt(4); flips > 0; flips--) {
        long at = packed + random.nextInt(length);
        Hva.writeByte(at, random.nextInt(256));
      }
      Hva.fill(target - PAGE, 3 * PAGE, 0xA5);
      refused += lz4.decompress(packed, length, target, PAGE) ? 0 : 1;
      assertThat(isUntouched(target - PAGE) && isUntouched(target + PAGE)).isTrue();
    }
    assertThat(refused).isPositive();
  }

  private static boolean isUntouched(long hva) {
    for (int i = 0; i < PAGE; i += 8) {
      if (Hva.readLong(hva + i) != 0xA5A5_A5A5_A5A5_A5A5L) {
        return false;
      }
    }
    return true;
  }
}
