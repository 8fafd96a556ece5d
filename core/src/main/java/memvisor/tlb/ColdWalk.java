package memvisor.tlb;

import java.util.Optional;
import memvisor.address.GuestPhysicalAddress;
import memvisor.address.GuestVirtualAddress;
import memvisor.address.HostPhysicalAddress;
import memvisor.paging.Reference;
import memvisor.paging.Translation;
import memvisor.paging.WalkRecorder;
import memvisor.paging.WalkTrace;

/** Makes one translation of a unit that caches nothing, and tells all of it. */
final class ColdWalk {
  private ColdWalk() {}

  /** Translates with {@code unit}, which is used for nothing else and made read-only here. */
  static WalkTrace trace(TranslationUnit unit, long gva, int access) {
    WalkRecorder recorder = new WalkRecorder();
    recorder.attach(unit.walker(), Reference.Dimension.FIRST);
    recorder.attach(unit.nestedWalker(), Reference.Dimension.SECOND);
    TranslationResult result = new TranslationResult();
    unit.translate(gva, access, result);
    return new WalkTrace(
        new GuestVirtualAddress(gva), access, recorder.references(), outcome(unit, result));
  }

  private static Translation outcome(TranslationUnit unit, TranslationResult result) {
    return switch (result.kind) {
      case TranslationResult.MAPPED ->
          new Translation.Mapped(
              new HostPhysicalAddress(result.hpa),
              result.gpa < 0 ? Optional.empty() : Optional.of(new GuestPhysicalAddress(result.gpa)),
              unit.walkedSizeLog2(),
              unit.walkedRights());
      case TranslationResult.PAGE_FAULT -> new Translation.PageFault(result.errorCode);
      default ->
          new Translation.NestedFault(
              new GuestPhysicalAddress(result.gpa), result.qualification, result.misconfiguration);
    };
  }
}
