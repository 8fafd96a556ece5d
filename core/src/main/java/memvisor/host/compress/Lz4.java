package memvisor.host.compress;

import java.util.Arrays;
import memvisor.memory.Hva;

/**
 * The LZ4 block format for blocks of up to 64 KiB at host virtual addresses.
 *
 * <p>A sequence is a token (literal length in the high nibble, match length less 4 in the low one,
 * 15 continued by bytes of 255), the literals, and a two-byte distance back to the match. A block
 * ends with literals: the last match starts at least 12 bytes before the end and leaves at least 5
 * (LZ4 Block Format Description, "End of block conditions"). Written here rather than taken from a
 * library because it works on machine memory as it lies, and because the decoder must treat its
 * input as damaged: every length and distance is checked. Not thread-safe: it keeps its hash table.
 */
final class Lz4 {
  private static final int MINIMUM_MATCH = 4;
  private static final int LAST_LITERALS = 5;
  private static final int MATCH_LIMIT = 12;
  private static final int NIBBLE = 15;
  private static final int HASH_LOG2 = 11;

  /** From here on calling the runtime's copy pays. */
  private static final int LONG_COPY = 64;

  /** After so many misses in a row the step grows by one: incompressible data passes fast. */
  private static final int SKIP_LOG2 = 5;

  /** Position plus one of the last four bytes with that hash; 0 for none. */
  private final char[] seen = new char[1 << HASH_LOG2];

  /**
   * Compresses {@code length} bytes.
   *
   * @return bytes written, or 0 if they would be more than {@code limit}
   */
  int compress(long source, int length, long target, int limit) {
    Arrays.fill(seen, (char) 0);
    int anchor = 0;
    int out = 0;
    int misses = 1 << SKIP_LOG2;
    for (int at = 0; at < length - MATCH_LIMIT; ) {
      int word = Hva.readInt(source + at);
      int hash = word * 0x9E37_79B1 >>> 32 - HASH_LOG2;
      int match = seen[hash] - 1;
      seen[hash] = (char) (at + 1);
      if (match < 0 || Hva.readInt(source + match) != word) {
        at += misses++ >>> SKIP_LOG2;
        continue;
      }
      misses = 1 << SKIP_LOG2;
      int matched = matchLength(source, match, at, length - LAST_LITERALS);
      int literals = at - anchor;
      // Token, distance and both continuations at their longest.
      if (out + literals + 3 + literals / 255 + 1 + matched / 255 + 1 > limit) {
        return 0;
      }
      int room = Math.min(length - anchor, limit - out - 1);
      out = literals(source + anchor, literals, matched - MINIMUM_MATCH, target, out, room);
      Hva.writeShort(target + out, at - match);
      out = continuation(matched - MINIMUM_MATCH, target, out + 2);
      at += matched;
      anchor = at;
    }
    int literals = length - anchor;
    if (out + literals + literals / 255 + 2 > limit) {
      return 0;
    }
    return literals(source + anchor, literals, 0, target, out, literals);
  }

  private static int matchLength(long source, int match, int at, int end) {
    int length = MINIMUM_MATCH;
    while (at + length + 8 <= end) {
      long difference = Hva.readLong(source + match + length) ^ Hva.readLong(source + at + length);
      if (difference != 0) {
        return length + (Long.numberOfTrailingZeros(difference) >>> 3);
      }
      length += 8;
    }
    while (at + length < end
        && Hva.readByte(source + match + length) == Hva.readByte(source + at + length)) {
      length++;
    }
    return length;
  }

  private static int literals(
      long from, int count, int matchCode, long target, int start, int room) {
    int token = Math.min(count, NIBBLE) << 4 | Math.min(matchCode, NIBBLE);
    Hva.writeByte(target + start, token);
    int out = continuation(count, target, start + 1);
    copy(from, target + out, count, room);
    return out + count;
  }

  private static int continuation(int code, long target, int start) {
    int out = start;
    if (code >= NIBBLE) {
      int rest = code - NIBBLE;
      for (; rest >= 255; rest -= 255) {
        Hva.writeByte(target + out++, 255);
      }
      Hva.writeByte(target + out++, rest);
    }
    return out;
  }

  /**
   * Decompresses {@code length} bytes into exactly {@code expected}.
   *
   * @return false if the input is no such block; the target's contents are then arbitrary
   */
  boolean decompress(long source, int length, long target, int expected) {
    int in = 0;
    int out = 0;
    while (in < length) {
      int token = Hva.readByte(source + in++);
      int literals = token >>> 4;
      if (literals == NIBBLE) {
        int next;
        do {
          if (in >= length) {
            return false;
          }
          next = Hva.readByte(source + in++);
          literals += next;
        } while (next == 255);
      }
      if (literals > length - in || literals > expected - out) {
        return false;
      }
      copy(source + in, target + out, literals, Math.min(length - in, expected - out));
      in += literals;
      out += literals;
      if (in == length) {
        return out == expected;
      }
      if (in + 2 > length) {
        return false;
      }
      int distance = Hva.readShort(source + in);
      in += 2;
      int matched = token & NIBBLE;
      if (matched == NIBBLE) {
        int next;
        do {
          if (in >= length) {
            return false;
          }
          next = Hva.readByte(source + in++);
          matched += next;
        } while (next == 255);
      }
      matched += MINIMUM_MATCH;
      if (distance == 0 || distance > out || matched > expected - out) {
        return false;
      }
      repeat(target + out, distance, matched, expected - out);
      out += matched;
    }
    return false;
  }

  /**
   * Copies {@code count} bytes, most often a few: eight at a time, the last of them past the end
   * where there is {@code room} for that on both sides.
   */
  private static void copy(long from, long to, int count, int room) {
    int rounded = count + 7 & -8;
    if (rounded > room || count > LONG_COPY) {
      Hva.copy(from, to, count);
      return;
    }
    for (int n = 0; n < rounded; n += 8) {
      Hva.writeLong(to + n, Hva.readLong(from + n));
    }
  }

  /** Copies from {@code distance} bytes back; bytes written are read again where they overlap. */
  private static void repeat(long to, int distance, int count, int room) {
    if (distance >= 8) {
      int rounded = count + 7 & -8;
      int end = rounded <= room ? rounded : count & -8;
      for (int n = 0; n < end; n += 8) {
        Hva.writeLong(to + n, Hva.readLong(to + n - distance));
      }
      for (int n = end; n < count; n++) {
        Hva.writeByte(to + n, Hva.readByte(to + n - distance));
      }
      return;
    }
    // Eight bytes of the pattern first: from then on a multiple of the distance lies far enough
    // back.
    int first = Math.min(count, 16);
    for (int n = 0; n < first; n++) {
      Hva.writeByte(to + n, Hva.readByte(to + n - distance));
    }
    if (count > first) {
      int back = (8 + distance - 1) / distance * distance;
      repeat(to + first, back, count - first, room - first);
    }
  }
}
