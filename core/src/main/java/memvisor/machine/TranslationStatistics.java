package memvisor.machine;

import memvisor.cpu.jit.JitCounters;
import memvisor.cpu.jit.JitTranslator;
import memvisor.cpu.x86.Vcpu;

/**
 * What translating a guest's code did.
 *
 * @param counters what the translator did; all zero where it is off
 * @param interpreted instructions retired by interpretation
 * @param warm instructions retired by first translations
 * @param hot instructions retired by translations made again of what had run for long
 */
public record TranslationStatistics(JitCounters counters, long interpreted, long warm, long hot) {
  /** Of one processor and its translator. */
  public static TranslationStatistics of(JitTranslator translator, Vcpu vcpu) {
    long translated = vcpu.translatedInstructions();
    return new TranslationStatistics(
        translator.counters(),
        vcpu.instructions() - translated,
        translated - vcpu.hotInstructions(),
        vcpu.hotInstructions());
  }
}
