package memvisor.machine.pc;

import java.security.SecureRandom;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import memvisor.device.virtio.EntropyDevice;
import memvisor.device.virtio.VirtioDevice;

/** A virtio device that a PC is to have. */
public sealed interface VirtioSpec {
  /** The device, new. */
  VirtioDevice build(PcConfiguration configuration);

  /**
   * A source of random numbers: the host's, but under a virtual clock a fixed sequence, so that
   * runs repeat.
   */
  record Entropy() implements VirtioSpec {
    @Override
    public VirtioDevice build(PcConfiguration configuration) {
      Consumer<byte[]> source =
          switch (configuration.clock()) {
            case VIRTUAL -> new SplittableRandom(configuration.epochSeconds())::nextBytes;
            case REAL -> new SecureRandom()::nextBytes;
          };
      return new EntropyDevice(source);
    }
  }
}
