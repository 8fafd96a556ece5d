package memvisor.cpu.x86;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * A map of bounded weight that forgets what was not asked for lately. There is a young and an old
 * generation; what is found in the old one becomes young, and when the young one has half of the
 * weight allowed it becomes the old one, whose entries are forgotten. Reads take no lock.
 */
final class Generations<K, V> {
  private final long maxWeight;
  private final ToLongFunction<V> weigher;
  private final AtomicLong youngWeight = new AtomicLong();
  private volatile ConcurrentHashMap<K, V> young = new ConcurrentHashMap<>();
  private volatile ConcurrentHashMap<K, V> old = new ConcurrentHashMap<>();

  Generations(long maxWeight, ToLongFunction<V> weigher) {
    this.maxWeight = maxWeight;
    this.weigher = weigher;
  }

  @Nullable V get(K key) {
    V value = young.get(key);
    if (value != null) {
      return value;
    }
    V aged = old.remove(key);
    return aged == null ? null : update(key, present -> present == null ? aged : present);
  }

  /** Sets the value of a key to what {@code change} makes of it, null where there is none. */
  V update(K key, Function<@Nullable V, V> change) {
    V result =
        young.compute(
            key,
            (k, present) -> {
              V next = change.apply(present);
              long before = present == null ? 0 : weigher.applyAsLong(present);
              youngWeight.addAndGet(weigher.applyAsLong(next) - before);
              return next;
            });
    if (youngWeight.get() > maxWeight / 2) {
      age();
    }
    return result;
  }

  private synchronized void age() {
    if (youngWeight.get() > maxWeight / 2) {
      old = young;
      young = new ConcurrentHashMap<>();
      youngWeight.set(0);
    }
  }

  /** Entries of both generations. */
  int size() {
    return young.size() + old.size();
  }
}
