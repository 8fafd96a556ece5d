package memvisor.mmu.direct;

import java.util.Arrays;

/** Frame numbers in the order in which they were added. */
final class FrameList {
  private int[] frames = new int[16];
  private int size;

  int size() {
    return size;
  }

  boolean isEmpty() {
    return size == 0;
  }

  int get(int index) {
    return frames[index];
  }

  void add(int frame) {
    if (size == frames.length) {
      frames = Arrays.copyOf(frames, 2 * size);
    }
    frames[size++] = frame;
  }

  int removeLast() {
    return frames[--size];
  }

  /** Removes one element with this value, which there is. */
  void remove(int frame) {
    int at = size - 1;
    while (frames[at] != frame) {
      at--;
    }
    System.arraycopy(frames, at + 1, frames, at, size - at - 1);
    size--;
  }

  void clear() {
    size = 0;
  }
}
