package memvisor.tlb;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.Access;
import memvisor.memory.MachineMemory;
import memvisor.paging.AccessRules;
import memvisor.paging.PagingFormat;
import memvisor.paging.Rights;
import memvisor.paging.TableMemory;
import memvisor.paging.Walker;

/**
 * The second dimension in tables of the host (EPT, NPT), with its own TLB (nested-walk cache) and
 * paging-structure caches.
 */
final class NestedDimension extends SecondDimension {
  private final MachineMemory machine;
  private final Walker walker;
  private final AddressSpace space = new AddressSpace();
  private final AddressSpace structureSpace = new AddressSpace();
  private final Tlb tlb;
  private final PagingStructureCache structures;
  private AccessRules rules = AccessRules.EPT;
  private int guestTableAccess;
  private long tlbHits;
  private long walks;

  NestedDimension(MachineMemory machine, TlbConfiguration configuration) {
    this.machine = machine;
    walker = new Walker(machine, new HostDimension(machine));
    tlb = new Tlb(configuration.nested(), space);
    structures = new PagingStructureCache(configuration.nestedStructures(), structureSpace);
  }

  /** Chooses the tables that the next translations walk. */
  void set(PagingFormat format, long rootHpa, int tag) {
    rules = format.mode().isEpt() ? AccessRules.EPT : AccessRules.NPT;
    guestTableAccess = format.guestTableAccess();
    walker.use(format, rules);
    walker.setRoot(rootHpa);
    space.select(tag, 0);
    structureSpace.select(tag, 0);
  }

  Walker walker() {
    return walker;
  }

  void invalidateAll() {
    space.flushEverything();
    structureSpace.flushEverything();
  }

  void invalidateTag(int tag) {
    space.flushTag(tag);
    structureSpace.flushTag(tag);
  }

  @Override
  boolean translate(long gpa, int access) {
    return translate(gpa, access, true);
  }

  private boolean translate(long gpa, int access, boolean finalAccess) {
    boolean write = (access & Access.WRITE) != 0;
    if (tlb.find(gpa)) {
      int flags = tlb.flags();
      boolean entryDirty = (flags & Tlb.DIRTY) != 0;
      if (rules.allows(flags & Rights.ALL, access) && (!write || entryDirty)) {
        tlbHits++;
        hpa = tlb.hpa(gpa);
        rights = flags & Rights.ALL;
        sizeLog2 = tlb.sizeLog2();
        dirty = entryDirty;
        return true;
      }
      tlb.dropPage(gpa);
    }
    return walk(gpa, access, finalAccess);
  }

  private boolean walk(long gpa, int access, boolean finalAccess) {
    walks++;
    int outcome = structures.translate(walker, gpa, access);
    if (outcome != Walker.MAPPED) {
      faultGpa = gpa;
      faultMisconfiguration = outcome == Walker.MALFORMED && walker.format().mode().isEpt();
      faultQualification =
          walker
              .format()
              .mode()
              .faultLayout()
              .encode(access, outcome, walker.rights(), finalAccess);
      return false;
    }
    hpa = walker.physicalAddress(gpa);
    if (!machine.contains(hpa, 1)) {
      throw new IllegalStateException(
          "a nested table maps memory that does not exist: gpa=0x%x hpa=0x%x machine sizeBytes=0x%x"
              .formatted(gpa, hpa, machine.sizeBytes()));
    }
    rights = walker.rights();
    sizeLog2 = walker.pageSizeLog2();
    dirty = walker.isDirty();
    tlb.fill(gpa, hpa, gpa, sizeLog2, rights | (dirty ? Tlb.DIRTY : 0));
    return true;
  }

  @Override
  boolean allows(int earlierRights, int access) {
    return rules.allows(earlierRights, access);
  }

  @Override
  boolean isGuestPhysical() {
    return true;
  }

  @Override
  public long locate(long gpa) {
    if (!translate(gpa, guestTableAccess, false)) {
      return UNREACHABLE;
    }
    boolean writable = dirty && rules.allows(rights, Access.WRITE);
    return writable ? hpa | TableMemory.WRITABLE : hpa;
  }

  @Override
  public long locateForUpdate(long gpa) {
    return translate(gpa, Access.WRITE, false) ? hpa | TableMemory.WRITABLE : UNREACHABLE;
  }

  /** Drops what was derived from guest-physical {@code [start, end)} in the current tag. */
  void dropGuestPhysical(long start, long end) {
    tlb.dropGuestPhysical(start, end);
    structureSpace.flushTag(structureSpace.tag());
  }

  /** What the nested TLB holds for {@code gpa}, at most one entry; looking changes nothing. */
  List<CachedTranslation> describe(long gpa) {
    List<CachedTranslation> entries = new ArrayList<>();
    tlb.describe("nested", gpa, entries);
    return entries;
  }

  long references() {
    return walker.references();
  }

  long tlbHits() {
    return tlbHits;
  }

  long walks() {
    return walks;
  }

  long structureHits() {
    return structures.hits();
  }
}
