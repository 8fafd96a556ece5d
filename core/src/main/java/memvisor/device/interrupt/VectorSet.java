package memvisor.device.interrupt;

/** A set of the 256 vectors: the ISR, TMR and IRR of a local APIC. */
final class VectorSet {
  private final int[] words = new int[8];

  void add(int vector) {
    words[vector >> 5] |= 1 << (vector & 31);
  }

  void remove(int vector) {
    words[vector >> 5] &= ~(1 << (vector & 31));
  }

  void assign(int vector, boolean member) {
    if (member) {
      add(vector);
    } else {
      remove(vector);
    }
  }

  boolean contains(int vector) {
    return (words[vector >> 5] & 1 << (vector & 31)) != 0;
  }

  /** The greatest member, -1 if the set is empty. */
  int highest() {
    for (int i = 7; i >= 0; i--) {
      if (words[i] != 0) {
        return i * 32 + 31 - Integer.numberOfLeadingZeros(words[i]);
      }
    }
    return -1;
  }

  /** Vectors {@code [32 * index, 32 * index + 32)} as a register shows them. */
  int word(int index) {
    return words[index];
  }

  void clear() {
    java.util.Arrays.fill(words, 0);
  }
}
