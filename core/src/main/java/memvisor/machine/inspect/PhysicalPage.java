package memvisor.machine.inspect;

import java.util.Optional;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.HostPhysicalAddress;
import memvisor.address.HostVirtualAddress;
import memvisor.device.BusRange;
import memvisor.host.frames.FrameRecord;
import memvisor.host.page.PageRecord;
import memvisor.memory.MemoryRegion;

/** What stands behind a guest-physical address. */
public sealed interface PhysicalPage {
  /** The address asked about. */
  GuestPhysicalAddress gpa();

  /**
   * Memory with a host frame.
   *
   * @param region the slot it belongs to
   * @param hpa machine address of the byte
   * @param hva where this process sees it
   * @param writable whether host memory lets writes reach the frame
   * @param frame what the ledger knows of the frame
   * @param page what it knows of the page: its own, shared, the page of zeroes
   */
  record Resident(
      GuestPhysicalAddress gpa,
      MemoryRegion region,
      HostPhysicalAddress hpa,
      HostVirtualAddress hva,
      boolean writable,
      FrameRecord frame,
      PageRecord page)
      implements PhysicalPage {}

  /** Memory that nobody has touched yet: it reads as zeroes, and gets a frame when it is used. */
  record Untouched(GuestPhysicalAddress gpa, MemoryRegion region) implements PhysicalPage {}

  /**
   * Memory that was taken from its frame, or given up: compressed, swapped out, one repeated word,
   * or in the balloon.
   *
   * @param region the slot it belongs to
   * @param page where the contents are, since when and why
   */
  record Away(GuestPhysicalAddress gpa, MemoryRegion region, PageRecord page)
      implements PhysicalPage {}

  /** The registers of a device. */
  record Device(GuestPhysicalAddress gpa, BusRange window) implements PhysicalPage {}

  /** Nobody: reads are all-ones, writes are lost. */
  record Nobody(GuestPhysicalAddress gpa) implements PhysicalPage {}

  /** The slot, if it is memory. */
  default Optional<MemoryRegion> memory() {
    return switch (this) {
      case Resident resident -> Optional.of(resident.region());
      case Untouched untouched -> Optional.of(untouched.region());
      case Away away -> Optional.of(away.region());
      case Device device -> Optional.empty();
      case Nobody nobody -> Optional.empty();
    };
  }
}
