package memvisor.boot;

/**
 * What is to be started.
 *
 * @param image the kernel file; not changed
 * @param initrd the initial RAM disk, or an empty array for none; not changed
 * @param commandLine the kernel command line
 * @param rsdpGpa address of the ACPI RSDP, or 0 if there is none
 */
public record BootRequest(byte[] image, byte[] initrd, String commandLine, long rsdpGpa) {
  /** An image alone. */
  public static BootRequest of(byte[] image) {
    return new BootRequest(image, new byte[0], "", 0);
  }

  /** The same with an initial RAM disk. */
  public BootRequest withInitrd(byte[] newInitrd) {
    return new BootRequest(image, newInitrd, commandLine, rsdpGpa);
  }

  /** The same with a command line. */
  public BootRequest withCommandLine(String newCommandLine) {
    return new BootRequest(image, initrd, newCommandLine, rsdpGpa);
  }

  /** The same with ACPI tables. */
  public BootRequest withRsdp(long newRsdpGpa) {
    return new BootRequest(image, initrd, commandLine, newRsdpGpa);
  }
}
