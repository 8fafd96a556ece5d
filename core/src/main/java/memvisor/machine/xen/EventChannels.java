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

  private static final int PORTS_PER_BUCKET = 64;

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

  /** The other end of a port whose both ends are the guest's; 0 for the console's. */
  private final int[] peer = new int[SharedInfo.PORTS];

  /** Ports exist in groups, from the first to the last that was ever open. */
  private int validPorts = PORTS_PER_BUCKET;

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
        validPorts = Math.max(validPorts, (port | PORTS_PER_BUCKET - 1) + 1);
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

  /** Whether a port is one that a call may name; it need not be open. */
  boolean isValid(long port) {
    return port >= 0 && port < validPorts;
  }

  /** HYPERVISOR_event_channel_op. */
  long call(int operation, long argument) {
    return switch (operation) {
      case 0 -> bindInterdomain(argument);
      case 1 -> bindVirq(argument);
      case 2, 13 -> {
        memory.load(argument, 8);
        yield -Errno.EINVAL; // interrupts of devices, and priorities: there are none
      }
      case 3 -> close(memory.load(argument, 4));
      case 4 -> send(memory.load(argument, 4));
      case 5 -> status(argument);
      case 6 -> allocateUnbound(argument);
      case 7 -> bindIpi(argument);
      case 8 -> bindVcpu(argument);
      case 9 -> unmask(memory.load(argument, 4));
      case 10, 14 -> reset(memory.load(argument, 2));
      case 12 -> -Errno.EOPNOTSUPP; // for the FIFO interface
      default -> -Errno.ENOSYS;
    };
  }

  /** Joins a port of the guest's with another of its own: there is no other domain. */
  private long bindInterdomain(long argument) {
    long domain = memory.load(argument, 2);
    long remote = memory.load(argument + 4, 4);
    if (memory.failed() || domain != DOMID_SELF) {
      return -Errno.ESRCH;
    }
    if (!isOpen(remote) || state[(int) remote] != UNBOUND) {
      return -Errno.EINVAL;
    }
    int port = allocate(INTERDOMAIN);
    if (port > 0) {
      state[(int) remote] = INTERDOMAIN;
      peer[(int) remote] = port;
      peer[port] = (int) remote;
      memory.store(argument + 8, 4, port);
      // Whatever was sent before anybody listened has arrived now.
      shared.raise(port);
    }
    return Math.min(port, 0);
  }

  private long bindVcpu(long argument) {
    long port = memory.load(argument, 4);
    long vcpu = memory.load(argument + 4, 4);
    if (vcpu != 0) {
      return -Errno.ENOENT;
    }
    return isOpen(port) ? 0 : -Errno.EINVAL;
  }

  private long reset(long domain) {
    if (memory.failed() || domain != DOMID_SELF) {
      return -Errno.ESRCH;
    }
    for (int port = 1; port < validPorts; port++) {
      if (state[port] != CLOSED) {
        close(port);
      }
    }
    return 0;
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
    if (peer[p] != 0) {
      state[peer[p]] = UNBOUND;
      peer[peer[p]] = 0;
      peer[p] = 0;
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
      case INTERDOMAIN -> {
        if (peer[(int) port] == 0) {
          consoleNotified.run();
        } else {
          shared.raise(peer[(int) port]);
        }
      }
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
    if (!isValid(port)) {
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
    if (!isValid(port)) {
      return -Errno.EINVAL;
    }
    shared.unmask((int) port);
    return 0;
  }
}
