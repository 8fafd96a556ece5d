package memvisor.machine.pc;

import java.security.SecureRandom;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import memvisor.device.ByteSink;
import memvisor.device.virtio.BalloonDevice;
import memvisor.device.virtio.BlockDevice;
import memvisor.device.virtio.BlockStorage;
import memvisor.device.virtio.ConsoleDevice;
import memvisor.device.virtio.EntropyDevice;
import memvisor.device.virtio.VirtioDevice;
import memvisor.host.VmMemory;

/** A virtio device that a PC is to have. */
public sealed interface VirtioSpec {
  /** The device, new. */
  VirtioDevice build(PcConfiguration configuration, VmMemory memory);

  /**
   * A source of random numbers: the host's, but under a virtual clock a fixed sequence, so that
   * runs repeat.
   */
  record Entropy() implements VirtioSpec {
    @Override
    public VirtioDevice build(PcConfiguration configuration, VmMemory memory) {
      Consumer<byte[]> source =
          switch (configuration.clock()) {
            case VIRTUAL -> new SplittableRandom(configuration.epochSeconds())::nextBytes;
            case REAL -> new SecureRandom()::nextBytes;
          };
      return new EntropyDevice(source);
    }
  }

  /**
   * A memory balloon.
   *
   * @param deflateOnOom whether the guest may take pages back when it runs out of memory (Linux
   *     then counts them as its own still)
   * @param freePageReporting whether the guest's free pages go to the machine without being asked
   */
  record Balloon(boolean deflateOnOom, boolean freePageReporting) implements VirtioSpec {
    @Override
    public VirtioDevice build(PcConfiguration configuration, VmMemory memory) {
      return new BalloonDevice(memory.balloon(), deflateOnOom, freePageReporting);
    }
  }

  /**
   * A disk.
   *
   * @param storage what is on it; whoever opened it closes it
   */
  record Disk(BlockStorage storage) implements VirtioSpec {
    @Override
    public VirtioDevice build(PcConfiguration configuration, VmMemory memory) {
      return new BlockDevice(storage, "memvisor");
    }
  }

  /**
   * A console, hvc0 to Linux.
   *
   * @param output takes what the guest sends
   */
  record Console(ByteSink output) implements VirtioSpec {
    @Override
    public VirtioDevice build(PcConfiguration configuration, VmMemory memory) {
      return new ConsoleDevice(output);
    }
  }
}
