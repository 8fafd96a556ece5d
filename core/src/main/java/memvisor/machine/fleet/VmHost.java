package memvisor.machine.fleet;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import memvisor.host.HostMemory;
import memvisor.host.frames.Ledger;
import memvisor.host.policy.Admission;
import memvisor.host.policy.VmTerms;
import memvisor.host.reclaim.HostReclaim;
import memvisor.host.reclaim.Overcommit;
import memvisor.machine.pc.PcMachine;

/**
 * A machine memory and the VMs on it.
 *
 * <p>Each VM runs on a thread of its own. A VM changes only its own pages; what VMs share (free
 * frames, shared frames, the compressed pool, the swap file) is guarded in {@code host}. Thread-
 * safe.
 *
 * <pre>{@code
 * try (VmHost host = new VmHost(HostMemory.create(512L << 20))) {
 *   Vm vm = host.add(VmSpec.of("web", configuration, request));
 *   vm.start();
 *   ...
 * }
 * }</pre>
 */
public final class VmHost implements AutoCloseable {
  /** A block boundary is milliseconds away; a disk that hangs may be longer. */
  private static final Duration LONGEST_END = Duration.ofSeconds(30);

  private final HostMemory memory;
  private final List<Vm> vms = new ArrayList<>();
  // Write: an audit. Read: a VM that gets its memory or gives it back, which takes many steps.
  private final ReadWriteLock changes = new ReentrantReadWriteLock();
  private final Object admission = new Object();
  private boolean closed;

  /**
   * A host on {@code memory}, which it closes at its end. If memory is reclaimed there and a policy
   * shares it out, that policy judges each VM that is to start, and manages it.
   */
  public VmHost(HostMemory memory) {
    this.memory = memory;
  }

  /** The machine memory. */
  public HostMemory memory() {
    return memory;
  }

  /**
   * Adds a VM, switched off.
   *
   * @throws VmException if there is one of that name
   */
  public synchronized Vm add(VmSpec spec) {
    if (closed) {
      throw new VmException("the host has ended");
    }
    if (find(spec.name()).isPresent()) {
      throw new VmException("there are two VMs called " + spec.name());
    }
    Vm vm = new Vm(this, changes.readLock(), spec);
    vms.add(vm);
    return vm;
  }

  /** All VMs, in the order in which they were added. */
  public synchronized List<Vm> vms() {
    return List.copyOf(vms);
  }

  /** The VM of that name. */
  public Optional<Vm> find(String name) {
    return vms().stream().filter(vm -> vm.name().equals(name)).findFirst();
  }

  /**
   * A VM that stands still with all others.
   *
   * @param vm the VM
   * @param machine its machine, at a block boundary
   */
  public record Standing(Vm vm, PcMachine machine) {}

  /**
   * Has all VMs stand still at once, hands those that have memory to {@code action}, and lets them
   * go on. The action looks at the machines it is given: asking a {@link Vm} would wait for ever
   * for one that already stands still.
   */
  public void whileAllStandStill(Consumer<List<Standing>> action) {
    changes.writeLock().lock();
    try {
      standStill(vms(), List.of(), action);
    } finally {
      changes.writeLock().unlock();
    }
  }

  private static void standStill(
      List<Vm> left, List<Standing> standing, Consumer<List<Standing>> action) {
    if (left.isEmpty()) {
      action.accept(standing);
      return;
    }
    Vm vm = left.getFirst();
    List<Vm> others = left.subList(1, left.size());
    boolean[] done = new boolean[1];
    try {
      vm.inspect(
          machine -> {
            done[0] = true;
            List<Standing> more = new ArrayList<>(standing);
            more.add(new Standing(vm, machine));
            standStill(others, more, action);
            return true;
          });
    } catch (VmException off) {
      if (done[0]) {
        throw off;
      }
      standStill(others, standing, action);
    }
  }

  /**
   * Proves that the books of the machine memory are exact.
   *
   * @throws IllegalStateException with the numbers that disagree
   */
  public void audit() {
    whileAllStandStill(standing -> memory.audit());
  }

  /** What shares the machine among the VMs, if anything does. */
  public Optional<Overcommit> policy() {
    return memory.reclaim().flatMap(HostReclaim::overcommit);
  }

  /** What a VM is called that the ledger knows by a number. */
  public String nameOf(int vmId) {
    return vms().stream()
        .filter(vm -> vm.vmId().equals(Optional.of(vmId)))
        .map(Vm::name)
        .findFirst()
        .orElse(vmId == Ledger.NO_VM ? "the machine" : "vm " + vmId);
  }

  /**
   * Has a VM admitted by the policy, built, and managed: one after the other, since each changes
   * what the next can be promised.
   *
   * @throws VmException if it cannot be promised what its terms say
   */
  PcMachine admit(VmTerms terms, Supplier<PcMachine> builder) {
    synchronized (admission) {
      Optional<Overcommit> policy = policy();
      if (policy.isPresent() && policy.get().admit(terms) instanceof Admission.Refused refused) {
        throw new VmException(refused.reason());
      }
      PcMachine machine = builder.get();
      machine.memory().manage(terms);
      return machine;
    }
  }

  /** Switches every VM off, waits for them, and gives the machine memory back. */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    vms().forEach(Vm::switchOff);
    boolean ended = true;
    try {
      for (Vm vm : vms()) {
        ended &= vm.awaitEnd(LONGEST_END);
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      ended = false;
    }
    // Under a VM that still runs the memory must stay: the process is about to end anyway.
    if (ended) {
      memory.close();
    }
  }
}
