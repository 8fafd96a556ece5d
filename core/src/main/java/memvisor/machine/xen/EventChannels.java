package memvisor.machine.xen;

import java.util.Arrays;
import memvisor.mmu.direct.Errno;

/**
 * Event channels in the 2-level form (public/event_channel.h), of a domain whose only partner is
 * the monitor's console.
 */
final class EventChannels {
  /** VIRQ_TIMER. */
  static final int VIRQ_TIMER = 0;

  private static final int VIRQS = 24;
  private static final int DOMID_SELF = 0x7FF0;

  private static final int CLOSED = 0;
  private static final int UNBOUND = 1;
  private static final int INTERDOMAIN = 2;
  private static final int VIRQ = 4;
  private static final int IPI = 5;

  private final SharedInfo shared;
  private final GuestPointers memory;
  private final byte[] state = new byte[SharedInfo.PORTS];
  private final int[] virqPort = new int[VIRQS];
  private final int[] virqOf = new int[SharedInfo.PORTS];
  private final int consolePort;
  private Runnable consoleNotified = () -> {};

  EventChannels(SharedInfo shared, GuestPointers memory) {
    this.shared = shared;
    this.memory = memory;
    Arrays.fill(virqPort, 0);
    consolePort = allocate(INTERDOMAIN);
  }

  int consolePort() {
    return consolePort;
  }

  void setConsole(Runnable notified) {
    consoleNotified = notified;
  }

  private int allocate(int as) {
    for (int port = 1; port < state.length; port++) {
      if (state[port] == CLOSED) {
        state[port] = (byte) as;
        return port;
      }
    }
    return -Errno.ENOSPC;
  }

  void raiseVirq(int virq) {
    if (virqPort[virq] != 0) {
      shared.raise(virqPort[virq]);
    }
  }

  void raiseConsole() {
    if (state[consolePort] == INTERDOMAIN) {
      shared.raise(consolePort);
    }
  }

  private boolean isOpen(long port) {
    return port > 0 && port < state.length && state[(int) port] != CLOSED;
  }

  /** HYPERVISOR_event_channel_op. */
  long call(int operation, long argument) {
    return switch (operation) {
      case 1 -> bindVirq(argument);
      case 3 -> close(memory.load(argument, 4));
      case 4 -> send(memory.load(argument, 4));
      case 5 -> status(argument);
      case 6 -> allocateUnbound(argument);
      case 7 -> bindIpi(argument);
      case 8 -> isOpen(memory.load(argument, 4)) ? 0 : -Errno.EINVAL;
      case 9 -> unmask(memory.load(argument, 4));
      default -> -Errno.ENOSYS;
    };
  }

  private long bindVirq(long argument) {
    long virq = memory.load(argument, 4);
    long vcpu = memory.load(argument + 4, 4);
    if (virq >= VIRQS || memory.failed()) {
      return -Errno.EINVAL;
    }
    if (vcpu != 0) {
      return -Errno.ENOENT;
    }
    if (virqPort[(int) virq] != 0) {
      return -Errno.EEXIST;
    }
    int port = allocate(VIRQ);
    if (port > 0) {
      virqPort[(int) virq] = port;
      virqOf[port] = (int) virq;
      memory.store(argument + 8, 4, port);
    }
    return Math.min(port, 0);
  }

  private long bindIpi(long argument) {
    if (memory.load(argument, 4) != 0) {
      return -Errno.ENOENT;
    }
    int port = allocate(IPI);
    if (port > 0) {
      memory.store(argument + 4, 4, port);
    }
    return Math.min(port, 0);
  }

  private long allocateUnbound(long argument) {
    if (memory.load(argument, 2) != DOMID_SELF) {
      return -Errno.ESRCH;
    }
    int port = allocate(UNBOUND);
    if (port > 0) {
      memory.store(argument + 4, 4, port);
    }
    return Math.min(port, 0);
  }

  private long close(long port) {
    if (!isOpen(port)) {
      return -Errno.EINVAL;
    }
    int p = (int) port;
    if (state[p] == VIRQ) {
      virqPort[virqOf[p]] = 0;
    }
    state[p] = CLOSED;
    shared.clearPending(p);
    return 0;
  }

  private long send(long port) {
    if (!isOpen(port)) {
      return -Errno.EINVAL;
    }
    switch (state[(int) port]) {
      case INTERDOMAIN -> consoleNotified.run();
      case IPI -> shared.raise((int) port);
      case UNBOUND -> {
        // Nobody listens yet: silently dropped.
      }
      default -> {
        return -Errno.EINVAL;
      }
    }
    return 0;
  }

  private long status(long argument) {
    long dom = memory.load(argument, 2);
    long port = memory.load(argument + 4, 4);
    if (dom != DOMID_SELF && dom != 0) {
      return -Errno.ESRCH;
    }
    if (port >= state.length) {
      return -Errno.EINVAL;
    }
    memory.store(argument + 8, 4, state[(int) port]);
    memory.store(argument + 12, 4, 0);
    if (state[(int) port] == VIRQ) {
      memory.store(argument + 16, 4, virqOf[(int) port]);
    }
    return 0;
  }

  private long unmask(long port) {
    if (!isOpen(port)) {
      return -Errno.EINVAL;
    }
    shared.unmask((int) port);
    return 0;
  }
}
