package memvisor.machine;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import memvisor.host.VmMemory;
import memvisor.memory.MemoryRegion;

/**
 * All that a guest could find out about itself at one moment, condensed for comparing two runs.
 *
 * @param instructions instructions retired
 * @param registersHash hash over every register
 * @param ramSha256 SHA-256 over guest memory; a page never touched counts as zeroes
 */
public record GuestState(long instructions, long registersHash, String ramSha256) {
  private static final int PAGE_BYTES = 4096;

  /** The digest of all guest memory, in hexadecimal. */
  public static String hashMemory(VmMemory memory) {
    MessageDigest digest = sha256();
    byte[] page = new byte[PAGE_BYTES];
    byte[] zeroes = new byte[PAGE_BYTES];
    for (MemoryRegion region : memory.map().regions()) {
      for (long gpa = region.gpa(); gpa < region.end(); gpa += PAGE_BYTES) {
        memory.read(gpa, page, 0, PAGE_BYTES);
        // Zero pages are left out, so that populating a page without writing it changes nothing.
        if (!Arrays.equals(page, zeroes)) {
          digest.update(Long.toHexString(gpa).getBytes(java.nio.charset.StandardCharsets.US_ASCII));
          digest.update(page);
        }
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
