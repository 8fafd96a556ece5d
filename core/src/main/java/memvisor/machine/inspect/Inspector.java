package memvisor.machine.inspect;

import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.function.Predicate;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.GuestVirtualAddress;
import memvisor.address.HostPhysicalAddress;
import memvisor.address.HostVirtualAddress;
import memvisor.cpu.jit.CodeListing;
import memvisor.device.BusRange;
import memvisor.host.VmMemory;
import memvisor.host.frames.HostMemoryException;
import memvisor.host.page.PageRecord;
import memvisor.host.page.PageState;
import memvisor.machine.VirtualMachine;
import memvisor.memory.Backing;
import memvisor.memory.Hva;
import memvisor.memory.MemoryRegion;

/**
 * Answers questions about the memory of one machine.
 *
 * <p>To be used while the machine stands still: between two runs, or within {@link
 * VirtualMachine#atBoundary}. Asking changes nothing, not even a count.
 */
public final class Inspector {
  private static final int PAGE_BYTES = 4096;

  private final VirtualMachine machine;
  private final Optional<DirectFrames> frames;
  private final VmMemory memory;

  /** An inspector of {@code machine}. */
  public Inspector(VirtualMachine machine) {
    this.machine = machine;
    frames = DirectFrames.of(machine);
    memory = machine.memory();
  }

  /**
   * The guest's own page tables. What they hold are guest-physical addresses, and machine addresses
   * under direct paging.
   */
  public GuestTables tables() {
    return frames.isPresent()
        ? GuestTables.ofMachine(memory.machine(), machine.paging())
        : GuestTables.of(memory, machine.paging());
  }

  /** The frames of a guest that knows them; empty for other guests. */
  Optional<DirectFrames> frames() {
    return frames;
  }

  /** The guest-physical address of what stands in the guest's tables; empty if it has none. */
  OptionalLong guestPhysical(long inTables) {
    return frames.isPresent() ? frames.get().gpa(inTables) : OptionalLong.of(inTables);
  }

  /** {@code info tlb}. */
  public void tlb(Consumer<String> lines) {
    MappingListing.tlb(tables(), lines);
  }

  /** {@code info mem}. */
  public void mem(Consumer<String> lines) {
    MappingListing.mem(tables(), lines);
  }

  /** {@code info mtree -f}. */
  public void mtree(Consumer<String> lines) {
    FlatView.ports(0, machine.portRanges(), lines);
    FlatView.memory(1, memory.map(), machine.deviceWindows(), lines);
  }

  /** {@code info registers}. */
  public String registers() {
    return machine.registers().describe();
  }

  /** Where an address of the guest leads, whoever may go there; empty if nowhere. */
  public Optional<GuestPhysicalAddress> gva2gpa(GuestVirtualAddress gva) {
    OptionalLong found = tables().gva2gpa(gva.value());
    OptionalLong gpa = found.isPresent() ? guestPhysical(found.getAsLong()) : found;
    return gpa.isPresent()
        ? Optional.of(new GuestPhysicalAddress(gpa.getAsLong()))
        : Optional.empty();
  }

  /** What stands behind a guest-physical address. */
  public PhysicalPage page(GuestPhysicalAddress gpa) {
    long address = gpa.value();
    Optional<BusRange> window = machine.deviceWindows().stream().filter(holds(address)).findFirst();
    if (window.isPresent()) {
      return new PhysicalPage.Device(gpa, window.get());
    }
    Optional<MemoryRegion> region = memory.map().find(address);
    if (region.isEmpty()) {
      return new PhysicalPage.Nobody(gpa);
    }
    long backing = memory.peek(address >>> 12);
    PageRecord page = memory.describe(address >>> 12);
    if (!Backing.isPresent(backing)) {
      return page.state() == PageState.UNTOUCHED
          ? new PhysicalPage.Untouched(gpa, region.get())
          : new PhysicalPage.Away(gpa, region.get(), page);
    }
    long hpa = Backing.hpa(backing) | address & PAGE_BYTES - 1;
    return new PhysicalPage.Resident(
        gpa,
        region.get(),
        new HostPhysicalAddress(hpa),
        new HostVirtualAddress(memory.machine().hva(hpa)),
        Backing.isWritable(backing),
        machine.ledger().describe(hpa >>> 12),
        page);
  }

  private static Predicate<BusRange> holds(long address) {
    return range -> address >= range.start() && address < range.end();
  }

  /**
   * Copies guest memory without touching devices or populating pages; what nobody touched reads as
   * zeroes, and what is compressed or swapped out stays so.
   *
   * @return how many bytes of {@code target} were filled before memory, or what could be read of
   *     it, ended
   */
  public int readPhysical(GuestPhysicalAddress gpa, byte[] target) {
    int done = 0;
    while (done < target.length) {
      long at = gpa.value() + done;
      int inPage = (int) Math.min(target.length - done, PAGE_BYTES - (at & PAGE_BYTES - 1));
      PhysicalPage page = page(new GuestPhysicalAddress(at));
      if (page.memory().isEmpty()) {
        return done;
      }
      if (page instanceof PhysicalPage.Resident resident) {
        Hva.read(resident.hva().value(), target, done, inPage);
      } else if (!readAway(at, target, done, inPage)) {
        return done;
      }
      done += inPage;
    }
    return done;
  }

  /** Reads from a page without a frame; false if its contents are lost. */
  private boolean readAway(long gpa, byte[] target, int offset, int lengthBytes) {
    try {
      memory.read(gpa, target, offset, lengthBytes);
      return true;
    } catch (HostMemoryException lost) {
      return false;
    }
  }

  /** As {@link #readPhysical}, from a linear address; ends where the guest's tables map nothing. */
  public int readVirtual(GuestVirtualAddress gva, byte[] target) {
    GuestTables tables = tables();
    int done = 0;
    while (done < target.length) {
      long at = gva.value() + done;
      int inPage = (int) Math.min(target.length - done, PAGE_BYTES - (at & PAGE_BYTES - 1));
      OptionalLong found = tables.gva2gpa(at);
      if (found.isEmpty()) {
        return done;
      }
      byte[] part = new byte[inPage];
      int read = readTranslated(found.getAsLong(), part);
      System.arraycopy(part, 0, target, done, read);
      done += read;
      if (read < inPage) {
        return done;
      }
    }
    return done;
  }

  /** Reads from an address as the guest's tables hold it. */
  private int readTranslated(long inTables, byte[] target) {
    if (frames.isEmpty()) {
      return readPhysical(new GuestPhysicalAddress(inTables), target);
    }
    // The tables have been validated: they lead to the guest's frames and to what it is shown.
    Hva.read(memory.machine().hva(inTables), target, 0, target.length);
    return target.length;
  }

  /** Every reference, cache, derived entry and frame behind a linear address, and what follows. */
  public Explanation explain(GuestVirtualAddress gva) {
    return new Explainer(this).explain(gva);
  }

  /** What stands behind a guest-physical address, and what follows. */
  public PhysicalExplanation explain(GuestPhysicalAddress gpa) {
    return new Explainer(this).explain(gpa);
  }

  /**
   * The guest's code with an instruction at a linear address: the instructions, what they were
   * decoded to, and the JVM bytecode that is generated from that.
   */
  public String code(GuestVirtualAddress gva) {
    Optional<GuestPhysicalAddress> gpa = gva2gpa(gva);
    if (gpa.isEmpty()) {
      return "0x%x is not mapped by the guest's page tables: there is no code%n"
          .formatted(gva.value());
    }
    if (!(page(gpa.get()) instanceof PhysicalPage.Resident resident)) {
      return "0x%x leads to guest-physical 0x%x, which holds nothing that could be executed%n"
          .formatted(gva.value(), gpa.get().value());
    }
    long hpa = resident.hpa().value();
    return machine
        .codeAt(hpa)
        .map(code -> CodeListing.of(code, gva.value() - (hpa - code.hpa())))
        .orElseGet(
            () ->
                "the instruction at 0x%x goes on in the next page: it is interpreted alone%n"
                    .formatted(gva.value()));
  }

  /** The machine asked about. */
  public VirtualMachine machine() {
    return machine;
  }
}
