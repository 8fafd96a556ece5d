package memvisor.device.virtio;

import java.util.concurrent.ConcurrentLinkedQueue;
import memvisor.device.ByteSink;
import org.jspecify.annotations.Nullable;

/** The console device with one port (virtio 1.2, 5.3): Linux calls it hvc0. */
public final class ConsoleDevice implements VirtioDevice {
  private static final int ID = 3;
  private static final int RECEIVE = 0;
  private static final int TRANSMIT = 1;

  /** Linux sends at most a page at a time. */
  private static final int MAXIMUM_BYTES = 1 << 16;

  private final ByteSink output;
  private final ConcurrentLinkedQueue<byte[]> input = new ConcurrentLinkedQueue<>();
  private @Nullable VirtioEvents events;
  private byte[] rest = {};

  /**
   * A console.
   *
   * @param output takes what the guest sends
   */
  public ConsoleDevice(ByteSink output) {
    this.output = output;
  }

  /** Sends bytes to the guest, now or when it is ready; from any thread. */
  public void receive(byte[] bytes) {
    if (bytes.length > 0) {
      input.add(bytes.clone());
      if (events != null) {
        events.workArrived();
      }
    }
  }

  @Override
  public int id() {
    return ID;
  }

  @Override
  public String name() {
    return "virtio-console";
  }

  @Override
  public long features() {
    return 0;
  }

  @Override
  public int queueCount() {
    return 2;
  }

  @Override
  public void attach(VirtioEvents transport) {
    events = transport;
  }

  @Override
  public boolean accepts(int queue) {
    return queue == TRANSMIT || rest.length > 0 || !input.isEmpty();
  }

  @Override
  public void serve(int queue, DescriptorChain chain) {
    if (queue == RECEIVE) {
      fill(chain);
    } else {
      send(chain);
    }
  }

  private void fill(DescriptorChain chain) {
    byte[] next = rest.length > 0 ? rest : input.remove();
    int length = (int) Math.min(next.length, chain.writableBytes());
    chain.write(0, next, length);
    rest = java.util.Arrays.copyOfRange(next, length, next.length);
    chain.complete(length);
  }

  private void send(DescriptorChain chain) {
    if (chain.readableBytes() > MAXIMUM_BYTES) {
      chain.reject("%d bytes for the console at once".formatted(chain.readableBytes()));
      return;
    }
    byte[] bytes = new byte[(int) chain.readableBytes()];
    chain.read(0, bytes);
    for (byte each : bytes) {
      output.accept(each & 0xFF);
    }
    chain.complete(0);
  }

  /** Size and emergency writes belong to features that are not offered. */
  @Override
  public byte[] configuration() {
    return new byte[0];
  }
}
