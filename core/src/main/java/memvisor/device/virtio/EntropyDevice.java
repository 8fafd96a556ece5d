package memvisor.device.virtio;

import java.util.function.Consumer;

/** The entropy device (virtio 1.2, 5.4): fills what buffers it is given. */
public final class EntropyDevice implements VirtioDevice {
  private static final int ID = 4;

  /** A driver asks for a few bytes at a time; one that asks for more gets this much. */
  static final int BYTES_PER_BUFFER = 4096;

  private final Consumer<byte[]> source;

  /**
   * An entropy device.
   *
   * @param source fills an array with random bytes
   */
  public EntropyDevice(Consumer<byte[]> source) {
    this.source = source;
  }

  @Override
  public int id() {
    return ID;
  }

  @Override
  public String name() {
    return "virtio-rng";
  }

  @Override
  public long features() {
    return 0;
  }

  @Override
  public int queueCount() {
    return 1;
  }

  @Override
  public void serve(int queue, DescriptorChain chain) {
    byte[] random = new byte[(int) Math.min(BYTES_PER_BUFFER, chain.writableBytes())];
    source.accept(random);
    chain.write(0, random, random.length);
    chain.complete(random.length);
  }

  @Override
  public byte[] configuration() {
    return new byte[0];
  }
}
