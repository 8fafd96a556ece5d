package memvisor.cpu.x86;

import memvisor.address.Access;
import memvisor.memory.Hva;
import memvisor.paging.PagingState;
import memvisor.tlb.Intercepts;
import memvisor.tlb.TranslationResult;

/**
 * Memory accesses that the translation cache could not serve: translation, exits, faults, devices,
 * accesses across a page boundary, pages that hold decoded code or that the monitor tracks.
 */
final class MemoryPath {
  /** Exits that one access may take before the monitor is declared stuck. */
  private static final int MAX_EXITS = 64;

  private static final long PAGE = 4096;

  private final Vcpu c;
  private final TranslationResult first = new TranslationResult();
  private final TranslationResult second = new TranslationResult();
  private Intercepts intercepts = Intercepts.NONE;

  /** Exits taken so far; tells whether a translation may have changed an earlier one. */
  private long exits;

  MemoryPath(Vcpu c) {
    this.c = c;
  }

  /** Keep no translation outside the modelled hardware, so that it sees and counts every access. */
  private boolean measured;

  void setMeasured(boolean on) {
    measured = on;
  }

  void setIntercepts(Intercepts value) {
    intercepts = value;
  }

  Intercepts intercepts() {
    return intercepts;
  }

  // ---- translation ---------------------------------------------------------------------------

  /**
   * Translates, exiting as often as need be; false leaves a fault pending. On true the kind is
   * MAPPED, DEVICE or DISCARD.
   */
  private boolean translate(long gva, int access, TranslationResult r) {
    if (!isCanonical(gva)) {
      c.raise(Vector.GP, 0);
      return false;
    }
    for (int tries = 0; tries < MAX_EXITS; tries++) {
      r.tracked = false;
      c.unit.translate(gva, access, r);
      if (r.kind != TranslationResult.MAPPED && !isGuestFault(r)) {
        exits++;
        c.monitor.translationExit(gva, access, r);
        if (r.kind == TranslationResult.RETRY) {
          continue;
        }
        if (r.kind == TranslationResult.MAPPED) {
          r.cacheable = false;
        }
      }
      return accept(gva, access, r);
    }
    c.fail("no translation after %d exits: gva=0x%x access=0x%x".formatted(MAX_EXITS, gva, access));
    return false;
  }

  private boolean isGuestFault(TranslationResult r) {
    return r.kind == TranslationResult.PAGE_FAULT && !intercepts.pageFault();
  }

  private boolean accept(long gva, int access, TranslationResult r) {
    switch (r.kind) {
      case TranslationResult.MAPPED,
          TranslationResult.DEVICE,
          TranslationResult.DISCARD,
          TranslationResult.OFFERED -> {
        return true;
      }
      case TranslationResult.PAGE_FAULT -> pageFault(gva, r);
      default ->
          c.fail(
              "the monitor cannot go on: gva=0x%x access=0x%x gpa=0x%x kind=%d"
                  .formatted(gva, access, r.gpa, r.kind));
    }
    return false;
  }

  private void pageFault(long gva, TranslationResult r) {
    c.cr2 = gva;
    c.raise(Vector.PF, r.errorCode);
  }

  private boolean isCanonical(long gva) {
    if (!c.paging.longMode()) {
      return gva >>> 32 == 0;
    }
    int unused = (c.paging.cr4() & PagingState.CR4_LA57) != 0 ? 64 - 57 : 64 - 48;
    return gva << unused >> unused == gva;
  }

  /** Translates both pages of an access that crosses a boundary, before either is touched. */
  private boolean translateBoth(long gva, long next, int access) {
    for (int tries = 0; tries < MAX_EXITS; tries++) {
      if (!translate(gva, access, first)) {
        return false;
      }
      long before = exits;
      if (!translate(next, access, second)) {
        return false;
      }
      if (exits == before || tries > 0) {
        return true;
      }
    }
    return true;
  }

  private long nextPage(long gva) {
    long next = (gva | PAGE - 1) + 1;
    return c.paging.longMode() ? next : next & 0xFFFF_FFFFL;
  }

  private static int bytesInPage(long gva) {
    return (int) (PAGE - (gva & PAGE - 1));
  }

  // ---- loads ---------------------------------------------------------------------------------

  /** A load that missed the cache {@code cache}; 0 with a fault pending where it faults. */
  long load(long gva, int sizeBytes, int access, TranslationCache cache) {
    if (c.fault != 0) {
      return 0;
    }
    int here = bytesInPage(gva);
    if (sizeBytes > here) {
      long next = nextPage(gva);
      if (!translateBoth(gva, next, access)) {
        return 0;
      }
      long low = readBytes(first, gva, here, access);
      return low | readBytes(second, next, sizeBytes - here, access) << 8 * here;
    }
    if (!translate(gva, access, first)) {
      return 0;
    }
    return switch (first.kind) {
      case TranslationResult.MAPPED -> {
        long hva = c.machine.hva(first.hpa);
        fill(cache, gva, access, hva);
        yield Vcpu.readHva(hva, sizeBytes);
      }
      case TranslationResult.OFFERED -> Vcpu.readHva(c.machine.hva(first.hpa), sizeBytes);
      case TranslationResult.DEVICE -> c.monitor.deviceRead(first.gpa, sizeBytes);
      default -> load(gva, sizeBytes, access & ~Access.WRITE, cache);
    };
  }

  /** Assembles {@code count} bytes of one page; used only across page boundaries. */
  private long readBytes(TranslationResult r, long gva, int count, int access) {
    if (r.kind == TranslationResult.DISCARD && !translate(gva, access & ~Access.WRITE, r)) {
      return 0;
    }
    long value = 0;
    for (int i = 0; i < count; i++) {
      long b =
          r.kind == TranslationResult.DEVICE
              ? c.monitor.deviceRead(r.gpa + i, 1)
              : Hva.readByte(c.machine.hva(r.hpa) + i);
      value |= b << 8 * i;
    }
    return value;
  }

  private void fill(TranslationCache cache, long gva, int access, long hva) {
    if (measured || !first.cacheable) {
      return;
    }
    cache.fillRead(gva, hva, first.global);
    if ((access & Access.WRITE) != 0 && !first.tracked && !c.code.hasCode(first.hpa)) {
      cache.fillWrite(gva, hva, first.global);
    }
  }

  // ---- stores --------------------------------------------------------------------------------

  /** A store that missed the cache {@code cache}; changes nothing where it faults. */
  void store(long gva, int sizeBytes, long value, int access, TranslationCache cache) {
    if (c.fault != 0) {
      return;
    }
    int here = bytesInPage(gva);
    if (sizeBytes > here) {
      long next = nextPage(gva);
      if (translateBoth(gva, next, access | Access.WRITE) && !refusedAcross(gva, next)) {
        writeBytes(first, here, value);
        writeBytes(second, sizeBytes - here, value >>> 8 * here);
      }
      return;
    }
    if (!translate(gva, access | Access.WRITE, first)) {
      return;
    }
    if (first.kind == TranslationResult.MAPPED) {
      long hva = c.machine.hva(first.hpa);
      fill(cache, gva, access | Access.WRITE, hva);
      Vcpu.writeHva(hva, sizeBytes, value);
      written(first, sizeBytes);
    } else if (first.kind == TranslationResult.DEVICE) {
      c.monitor.deviceWrite(first.gpa, sizeBytes, value);
    } else if (first.kind == TranslationResult.OFFERED) {
      offer(gva, sizeBytes, value);
    }
  }

  private void offer(long gva, int sizeBytes, long value) {
    if (c.monitor.offeredWrite(first.hpa, sizeBytes, value)) {
      c.code.written(first.hpa, sizeBytes);
    } else {
      pageFault(gva, first);
    }
  }

  /** No store across a page boundary is offered: it faults on the page that would be. */
  private boolean refusedAcross(long gva, long next) {
    if (first.kind == TranslationResult.OFFERED) {
      pageFault(gva, first);
    } else if (second.kind == TranslationResult.OFFERED) {
      pageFault(next, second);
    }
    return c.fault != 0;
  }

  private void writeBytes(TranslationResult r, int count, long value) {
    for (int i = 0; i < count; i++) {
      long b = value >>> 8 * i & 0xFF;
      if (r.kind == TranslationResult.DEVICE) {
        c.monitor.deviceWrite(r.gpa + i, 1, b);
      } else if (r.kind == TranslationResult.MAPPED) {
        Hva.writeByte(c.machine.hva(r.hpa) + i, (int) b);
      }
    }
    if (r.kind == TranslationResult.MAPPED) {
      written(r, count);
    }
  }

  /** Tells whoever derived something from the bytes just written. */
  private void written(TranslationResult r, int sizeBytes) {
    c.code.written(r.hpa, sizeBytes);
    if (r.tracked) {
      c.monitor.trackedWrite(r.gpa, sizeBytes);
    }
  }

  // ---- other users ---------------------------------------------------------------------------

  /** Whether all of {@code [gva, gva + sizeBytes)} can be accessed; false leaves a fault. */
  boolean probe(long gva, int sizeBytes, int access) {
    if (!translate(gva, access, first)) {
      return false;
    }
    return sizeBytes <= bytesInPage(gva) || translate(nextPage(gva), access, first);
  }

  /**
   * The host address of plain, untracked memory without code, for atomic and bulk accesses inside
   * one page; 0 where the access must go the ordinary way (then maybe with a fault pending).
   */
  long hva(long gva, int access, TranslationCache cache) {
    if (!translate(gva, access, first) || first.kind != TranslationResult.MAPPED) {
      return 0;
    }
    boolean write = (access & Access.WRITE) != 0;
    if (write && (first.tracked || c.code.hasCode(first.hpa))) {
      return 0;
    }
    long hva = c.machine.hva(first.hpa);
    fill(cache, gva, access, hva);
    return hva;
  }

  /** Translates an instruction fetch; the HPA of the byte, or -1 with a fault pending. */
  long fetch(long gva, int access) {
    if (!translate(gva, access | Access.FETCH, first)) {
      return -1;
    }
    if (first.kind != TranslationResult.MAPPED) {
      c.fail("instruction fetch from a device: gva=0x%x gpa=0x%x".formatted(gva, first.gpa));
      return -1;
    }
    return first.hpa;
  }

  /** Whether the last {@link #fetch} was from a global page. */
  boolean fetchIsGlobal() {
    return first.global;
  }

  /** Whether the translation of the last {@link #fetch} may be kept. */
  boolean fetchIsCacheable() {
    return first.cacheable && !measured;
  }
}
