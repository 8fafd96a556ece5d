package memvisor.bench;

import java.util.Arrays;
import java.util.function.LongConsumer;
import memvisor.host.VmMemory;

/** The pool, with all that is around it, against the codec alone, in alternating rounds. */
final class CompressionRates {
  private CompressionRates() {}

  /**
   * GB/s: the codec compressing, the pool; the codec decompressing, the pool.
   *
   * @param vm a guest with so many pages, none of them compressed
   * @param check is told how many pages a round has compressed
   */
  static double[] of(VmMemory vm, int pages, int rounds, LongConsumer check) {
    Stopwatch[] watches = new Stopwatch[4];
    Arrays.setAll(watches, i -> new Stopwatch(rounds));
    try (CodecAlone codec = new CodecAlone(vm, pages)) {
      for (int round = 0; round < rounds; round++) {
        watches[0].start();
        codec.compress();
        watches[0].stop();
        codec.pack();
        watches[2].start();
        codec.decompress();
        watches[2].stop();
        watches[1].start();
        long compressed = vm.compressPages(pages);
        watches[1].stop();
        check.accept(compressed);
        watches[3].start();
        for (long gfn = 0; gfn < pages; gfn++) {
          vm.frame(gfn, false);
        }
        watches[3].stop();
      }
    }
    return Arrays.stream(watches).mapToDouble(w -> w.gigabytesPerSecond(pages * 4096L)).toArray();
  }
}
