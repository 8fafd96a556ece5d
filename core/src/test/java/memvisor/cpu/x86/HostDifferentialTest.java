package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * Our processor against the one below it: random instructions on random states must leave the same
 * registers, defined flags and memory.
 *
 * <p>Runs on x86-64 Linux only. {@code -Dmemvisor.cases=N} sets the number of cases per group (a
 * nightly run takes millions), {@code -Dmemvisor.seed=N} repeats a run; the seed is printed with
 * every difference.
 */
class HostDifferentialTest {
  private static final int CASES = Integer.getInteger("memvisor.cases", 60_000);
  private static final long SEED = Long.getLong("memvisor.seed", System.nanoTime());

  @Test
  void integerInstructionsAgreeWithTheHost() {
    compare(InstructionForms.integerForms());
  }

  @Test
  void sseInstructionsAgreeWithTheHost() {
    compare(InstructionForms.sseForms());
  }

  @Test
  void x87InstructionsAgreeWithTheHost() {
    compare(InstructionForms.x87Forms());
  }

  private static void compare(List<InstructionForm> forms) {
    assumeTrue(HostProcessor.supported(), "the host is not an x86-64 Linux");
    HostProcessor host = HostProcessor.get();
    SingleStepper ours = new SingleStepper();
    SplittableRandom random = new SplittableRandom(SEED);
    RandomInstruction maker = new RandomInstruction(random);
    ProcessorState in = new ProcessorState();
    ProcessorState expected = new ProcessorState();
    ProcessorState actual = new ProcessorState();
    Map<String, Integer> counts = new TreeMap<>();
    Map<String, String> firsts = new TreeMap<>();
    for (int i = 0; i < CASES; i++) {
      InstructionForm form = forms.get(i % forms.size());
      byte[] code = maker.make(form, in);
      int vector = ours.run(code, in, actual);
      if (vector >= 0) {
        note(counts, firsts, form, code, "raised vector %d".formatted(vector));
        continue;
      }
      host.run(code, in, expected);
      String difference = difference(form, in, expected, actual);
      if (!difference.isEmpty()) {
        note(counts, firsts, form, code, difference);
      }
    }
    if (!counts.isEmpty()) {
      StringBuilder text = new StringBuilder("seed=%d%n".formatted(SEED));
      counts.forEach(
          (form, n) ->
              text.append("%s: %d times, first %s%n".formatted(form, n, firsts.get(form))));
      fail(text.toString());
    }
  }

  private static void note(
      Map<String, Integer> counts,
      Map<String, String> firsts,
      InstructionForm form,
      byte[] code,
      String difference) {
    counts.merge(form.toString(), 1, Integer::sum);
    firsts.putIfAbsent(form.toString(), HexFormat.of().formatHex(code) + ":" + difference);
  }

  private static String difference(
      InstructionForm form, ProcessorState in, ProcessorState expected, ProcessorState actual) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 16; i++) {
      if (i != Vcpu.RSP) {
        differ(text, "gpr", in.gpr(i), expected.gpr(i), actual.gpr(i));
      }
    }
    long flags = Flags.STATUS & ~form.undefinedFlags() | Flags.DF;
    long inFlags = in.get64(ProcessorState.FLAGS);
    differ(
        text,
        "flags",
        inFlags,
        expected.get64(ProcessorState.FLAGS) & flags,
        actual.get64(ProcessorState.FLAGS) & flags);
    if (form.trait() == InstructionForm.Trait.X87) {
      x87Difference(text, in, expected, actual);
    }
    int mxcsr = ProcessorState.MXCSR;
    differ(text, "mxcsr", in.get32(mxcsr), expected.get32(mxcsr), actual.get32(mxcsr));
    for (int i = 0; i < 32; i++) {
      int at = ProcessorState.XMM + 8 * i;
      differ(text, "xmm", in.get64(at), expected.get64(at), actual.get64(at));
    }
    for (int i = 0; i < ProcessorState.MEMORY_BYTES; i += 8) {
      int at = ProcessorState.MEMORY + i;
      if (expected.get64(at) != actual.get64(at)) {
        differ(text, "[%x]".formatted(i), in.get64(at), expected.get64(at), actual.get64(at));
      }
    }
    return text.toString();
  }

  private static void x87Difference(
      StringBuilder text, ProcessorState in, ProcessorState expected, ProcessorState actual) {
    int control = ProcessorState.FXSAVE;
    differ(text, "control", in.get16(control), expected.get16(control), actual.get16(control));
    int status = control + 2;
    differ(text, "status", in.get16(status), expected.get16(status), actual.get16(status));
    int tags = control + 4;
    differ(text, "tags", in.get16(tags), expected.get16(tags), actual.get16(tags));
    for (int i = 0; i < 8; i++) {
      int low = ProcessorState.ST + 16 * i;
      differ(text, "st low", in.get64(low), expected.get64(low), actual.get64(low));
      int high = low + 8;
      differ(text, "st high", in.get16(high), expected.get16(high), actual.get16(high));
    }
    if (!text.isEmpty()) {
      text.append(" control=%x".formatted(in.get16(control)));
      for (int i = 0; i < 8; i++) {
        int low = ProcessorState.ST + 16 * i;
        text.append(" %x:%x".formatted(in.get16(low + 8), in.get64(low)));
      }
    }
  }

  private static void differ(StringBuilder text, String what, long in, long expected, long actual) {
    if (expected != actual) {
      text.append(" %s was %x, host %x, ours %x;".formatted(what, in, expected, actual));
    }
  }
}
