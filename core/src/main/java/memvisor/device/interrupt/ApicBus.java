package memvisor.device.interrupt;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** Carries interrupt messages to local APICs, and ends of interrupt back to I/O APICs. */
public final class ApicBus {
  private static final int BROADCAST = 0xFF;
  private final List<LocalApic> localApics = new ArrayList<>();
  private final List<IntConsumer> endOfInterruptListeners = new ArrayList<>();

  /** Connects a local APIC; its constructor does so. */
  void connect(LocalApic apic) {
    localApics.add(apic);
  }

  /** Connects who wants to hear of the vectors of ended level-triggered interrupts. */
  void onEndOfInterrupt(IntConsumer listener) {
    endOfInterruptListeners.add(listener);
  }

  /**
   * Delivers a message, as an I/O APIC or an MSI write does.
   *
   * @param destination APIC ID, or the message destination address if {@code logical}; FFh is all
   * @param logical the destination mode
   * @param deliveryMode three bits, SDM volume 3, 11.11.2
   * @param vector 0 to 255
   * @param level whether the interrupt is level-triggered
   * @return whether some local APIC took it
   */
  public boolean deliver(
      int destination, boolean logical, int deliveryMode, int vector, boolean level) {
    return deliver(destination, logical, deliveryMode, vector, level, null);
  }

  boolean deliver(
      int destination,
      boolean logical,
      int deliveryMode,
      int vector,
      boolean level,
      @Nullable LocalApic except) {
    if (deliveryMode == DeliveryMode.LOWEST_PRIORITY) {
      LocalApic lowest = lowestPriority(destination, logical);
      return lowest != null && lowest.accept(DeliveryMode.FIXED, vector, level);
    }
    boolean taken = false;
    for (int i = 0; i < localApics.size(); i++) {
      LocalApic apic = localApics.get(i);
      if (apic != except && matches(apic, destination, logical)) {
        taken |= apic.accept(deliveryMode, vector, level);
      }
    }
    return taken;
  }

  void endOfInterrupt(int vector) {
    for (int i = 0; i < endOfInterruptListeners.size(); i++) {
      endOfInterruptListeners.get(i).accept(vector);
    }
  }

  private @Nullable LocalApic lowestPriority(int destination, boolean logical) {
    LocalApic lowest = null;
    for (int i = 0; i < localApics.size(); i++) {
      LocalApic apic = localApics.get(i);
      if (apic.softwareEnabled()
          && matches(apic, destination, logical)
          && (lowest == null || apic.processorPriority() < lowest.processorPriority())) {
        lowest = apic;
      }
    }
    return lowest;
  }

  private static boolean matches(LocalApic apic, int destination, boolean logical) {
    if (!apic.globallyEnabled()) {
      return false;
    }
    if (destination == BROADCAST) {
      return true;
    }
    return logical ? apic.matchesLogical(destination) : apic.id() == destination;
  }
}
