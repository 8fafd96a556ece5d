package memvisor.device;

/** Takes the bytes that a device sends to the outside world, one at a time. */
@FunctionalInterface
public interface ByteSink {
  /** Takes one byte, 0 to 255. */
  void accept(int value);
}
