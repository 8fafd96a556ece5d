package memvisor.cpu.jit;

import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.Set;
import memvisor.cpu.x86.CompiledCode;
import memvisor.cpu.x86.HotCode;
import memvisor.cpu.x86.Translator;
import org.jspecify.annotations.Nullable;

/** Translates the hot blocks of one vCPU to JVM bytecode, within bounds. */
public final class JitTranslator implements Translator {
  /** HotSpot never compiles methods of more than 8,000 bytes, so that they stay slow for ever. */
  private static final int MAX_METHOD_BYTES = 8_000;

  /** Translations dropped by the guest's own writes are let go of this often. */
  private static final int SWEEP_INTERVAL = 256;

  /** Bounds what counting retranslations costs. */
  private static final int MAX_REMEMBERED = 100_000;

  private final JitOptions options;
  private final ArrayDeque<CompiledCode> oldestFirst = new ArrayDeque<>();

  /** Entries translated so far. */
  private final Set<Long> translated = new HashSet<>();

  private long blocks;
  private long regions;
  private long hot;
  private long retranslations;
  private long adoptions;
  private long evictions;
  private long liveCodeBytes;

  /** A translator for one vCPU. */
  public JitTranslator(JitOptions options) {
    this.options = options;
  }

  @Override
  public int threshold() {
    return options.threshold();
  }

  @Override
  public long hotThreshold() {
    return options.hotThreshold();
  }

  @Override
  public @Nullable CompiledCode translate(HotCode code) {
    return install(code, false);
  }

  @Override
  public @Nullable CompiledCode translateHot(HotCode code) {
    return install(code, true);
  }

  private @Nullable CompiledCode install(HotCode code, boolean isHot) {
    if (options.mode() == JitMode.REGIONS) {
      // C1 compiles the first kind of translation: what callees add to all their callers costs more
      // there than it saves
      code.grow(options.maxRegionBlocks(), options.maxRegionInstructions(), isHot);
    }
    UnitEmitter.Unit unit = UnitEmitter.emit(code, isHot);
    while (unit.methodBytes() > MAX_METHOD_BYTES) {
      if (code.blocks() == 1) {
        return null;
      }
      code.truncate(code.blocks() / 2);
      unit = UnitEmitter.emit(code, isHot);
    }
    CompiledCode compiled = code.install(unit.classFile(), unit.links(), isHot);
    if (isHot) {
      hot++;
    }
    if (code.blocks() > 1) {
      regions++;
    } else {
      blocks++;
    }
    if (translated.size() > MAX_REMEMBERED) {
      translated.clear();
    }
    if (!translated.add(code.hpa())) {
      retranslations++;
    }
    keep(compiled);
    return compiled;
  }

  @Override
  public void adopted(CompiledCode code) {
    adoptions++;
    keep(code);
  }

  private void keep(CompiledCode code) {
    liveCodeBytes += code.sizeBytes();
    oldestFirst.add(code);
    if (oldestFirst.size() % SWEEP_INTERVAL == 0) {
      oldestFirst.removeIf(this::isGone);
    }
    evict();
  }

  /** Whether the guest overwrote the code; then it counts no longer. */
  private boolean isGone(CompiledCode code) {
    if (code.isDropped()) {
      liveCodeBytes -= code.sizeBytes();
    }
    return code.isDropped();
  }

  private void evict() {
    while (liveCodeBytes > options.maxCodeBytes()) {
      CompiledCode oldest = oldestFirst.remove();
      liveCodeBytes -= oldest.sizeBytes();
      if (!oldest.isDropped()) {
        oldest.drop();
        evictions++;
      }
    }
  }

  /** What was done so far. */
  public JitCounters counters() {
    return new JitCounters(
        blocks, regions, hot, adoptions, retranslations, evictions, liveCodeBytes);
  }
}
