package memvisor.tlb;

import java.util.ArrayList;
import java.util.List;
import memvisor.address.Access;

/**
 * The TLBs of one vCPU that hold whole translations, GVA → HPA: a first level for fetches and one
 * for data, and a second level for both; with the tags they share.
 */
final class CombinedTlb {
  private final AddressSpace space = new AddressSpace();
  private final Tlb instruction;
  private final Tlb data;
  private final Tlb second;

  /** Pages held in pieces smaller than the guest's page: INVLPG must find all of them. */
  private final LargePageFilter fractured = new LargePageFilter();

  /** Entries of more than one tag may be held. */
  private boolean severalTags;

  CombinedTlb(TlbConfiguration configuration) {
    instruction = new Tlb(configuration.instruction(), space);
    data = new Tlb(configuration.data(), space);
    second = new Tlb(configuration.second(), space);
  }

  /** The first-level TLB that serves such an access. */
  Tlb first(int access) {
    return (access & Access.FETCH) != 0 ? instruction : data;
  }

  Tlb second() {
    return second;
  }

  int pcid() {
    return space.pcid();
  }

  /** Makes a tag and PCID current. */
  void select(int tag, int pcid) {
    severalTags |= tag != space.tag();
    space.select(tag, pcid);
  }

  /** Enters a translation into both levels. */
  void enter(Tlb first, long gva, long hpa, long gpa, int sizeLog2, int flags) {
    enterPiece(first, gva, hpa, gpa, sizeLog2, flags);
    enterPiece(second, gva, hpa, gpa, sizeLog2, flags);
  }

  /** Copies what {@link #second} just found into a first-level TLB. */
  void promote(Tlb first, long gva) {
    enterPiece(first, gva, second.hpa(gva), second.gpa(gva), second.sizeLog2(), second.flags());
  }

  private void enterPiece(Tlb tlb, long gva, long hpa, long gpa, int sizeLog2, int flags) {
    int entered = tlb.fill(gva, hpa, gpa, sizeLog2, flags);
    int pageSizeLog2 = flags >>> Tlb.PAGE_SIZE_SHIFT;
    if (entered < pageSizeLog2) {
      fractured.note(gva, pageSizeLog2);
    }
  }

  /** Drops the guest's page around {@code gva}, whatever its size and its pieces. */
  void dropPage(long gva) {
    if (fractured.mayCover(gva)) {
      flushTag(space.tag());
    } else {
      dropEntry(gva);
    }
  }

  /** Drops the entries that {@code gva} itself would use. */
  void dropEntry(long gva) {
    instruction.dropPage(gva);
    data.dropPage(gva);
    second.dropPage(gva);
  }

  void dropGuestPhysical(long start, long end) {
    instruction.dropGuestPhysical(start, end);
    data.dropGuestPhysical(start, end);
    second.dropGuestPhysical(start, end);
  }

  void flushPcid(int pcid) {
    space.flushPcid(pcid);
  }

  void flushNonGlobal() {
    space.flushNonGlobal();
  }

  void flushTag(int tag) {
    space.flushTag(tag);
    if (!severalTags && tag == space.tag()) {
      fractured.clear();
    }
  }

  void flushEverything() {
    space.flushEverything();
    fractured.clear();
    severalTags = false;
  }

  /** What is held for {@code gva}, for people. */
  List<CachedTranslation> describe(long gva) {
    List<CachedTranslation> entries = new ArrayList<>();
    instruction.describe("L1I", gva, entries);
    data.describe("L1D", gva, entries);
    second.describe("L2", gva, entries);
    return entries;
  }
}
