package memvisor.host.page;

import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import memvisor.memory.DirtyLog;
import org.jspecify.annotations.Nullable;

/** The dirty log of one VM, while there is one, and the write protection that feeds it. */
public final class DirtyTracking {
  private final VmPages vm;
  private final GuestFrames frames;
  private final Standstill standstill;
  private volatile @Nullable DirtyLog log;

  DirtyTracking(VmPages vm, GuestFrames frames, Standstill standstill) {
    this.vm = vm;
    this.frames = frames;
    this.standstill = standstill;
  }

  /** Starts a log: every page is clean and write-protected from here on. */
  public void start() {
    standstill.whileStill(
        () -> {
          log = new DirtyLog(vm.map());
          for (int region = 0; region < frames.regionCount(); region++) {
            long first = frames.firstGfn(region);
            vm.derived().writeProtect(first, frames.endGfn(region) - first);
          }
        });
  }

  /** Ends the log; no page is write-protected for its sake any more. */
  public void stop() {
    standstill.whileStill(() -> log = null);
  }

  /** Hands over the pages written since the last call, ascending, once they are clean again. */
  public void collect(LongConsumer action) {
    DirtyLog running = log;
    if (running == null) {
      throw new IllegalStateException("vm %d has no dirty log".formatted(vm.vmId()));
    }
    LongStream.Builder dirty = LongStream.builder();
    standstill.whileStill(
        () ->
            running.drain(
                gfn -> {
                  vm.derived().writeProtect(gfn, 1);
                  dirty.add(gfn);
                }));
    dirty.build().forEach(action);
  }

  /** Records that a page was or will be written. */
  public void mark(long gfn) {
    DirtyLog running = log;
    if (running != null) {
      running.mark(gfn);
    }
  }

  /** Whether writes to a page need not be noticed. */
  public boolean mayWriteUnseen(long gfn) {
    DirtyLog running = log;
    return running == null || running.isDirty(gfn);
  }
}
