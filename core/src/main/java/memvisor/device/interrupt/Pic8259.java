package memvisor.device.interrupt;

import memvisor.device.InterruptLine;

/**
 * One 8259A; the data sheet's names. The edge/level control register (ELCR) is the chip set's.
 *
 * <p>An edge stays latched when its wire falls again before it is acknowledged.
 */
final class Pic8259 {
  private static final int INPUT_COUNT = 8;
  private static final int NONE = 8;
  private static final int SPURIOUS_INPUT = 7;
  private static final int CASCADE_INPUT = 2;
  private static final int ICW1 = 0x10;
  private static final int ICW1_LEVEL = 8;
  private static final int ICW1_NEEDS_ICW4 = 1;
  private static final int OCW3 = 8;

  private final boolean master;
  private final int elcrWritable;
  private final InterruptLine output;

  private int irr;
  private int imr;
  private int isr;
  private int wires;
  private int lowestPriority = SPURIOUS_INPUT;
  private int vectorBase;
  private int elcr;
  private boolean readIsr;
  private boolean poll;
  private boolean specialMask;
  private boolean specialFullyNested;
  private boolean autoEoi;
  private boolean rotateOnAutoEoi;
  private boolean levelTriggered;
  private boolean needsIcw4;

  /** Which initialization command word is expected next at the odd port: 2, 3 or 4; 0 for none. */
  private int nextIcw;

  Pic8259(boolean master, int elcrWritable, InterruptLine output) {
    this.master = master;
    this.elcrWritable = elcrWritable;
    this.output = output;
  }

  void setInput(int input, boolean asserted) {
    int bit = 1 << input;
    if (levelInput(bit)) {
      irr = asserted ? irr | bit : irr & ~bit;
    } else if (asserted && (wires & bit) == 0) {
      irr |= bit;
    }
    wires = asserted ? wires | bit : wires & ~bit;
    update();
  }

  int elcr() {
    return elcr;
  }

  void setElcr(int value) {
    elcr = value & elcrWritable;
  }

  /** The first part of INTA: the input served, or the spurious one. */
  int acknowledge() {
    int input = requestedInput();
    if (input == NONE) {
      return SPURIOUS_INPUT;
    }
    int bit = 1 << input;
    if (!levelInput(bit)) {
      irr &= ~bit;
    }
    if (!autoEoi) {
      isr |= bit;
    } else if (rotateOnAutoEoi) {
      lowestPriority = input;
    }
    update();
    return input;
  }

  int vectorOf(int input) {
    return vectorBase | input;
  }

  int readEven() {
    if (poll) {
      return acknowledgePoll();
    }
    return readIsr ? isr : irr;
  }

  int readOdd() {
    return poll ? acknowledgePoll() : imr;
  }

  private int acknowledgePoll() {
    poll = false;
    return requestedInput() == NONE ? 0 : 0x80 | acknowledge();
  }

  void writeEven(int value) {
    if ((value & ICW1) != 0) {
      initialize(value);
    } else if ((value & OCW3) != 0) {
      poll = (value & 4) != 0;
      if ((value & 2) != 0) {
        readIsr = (value & 1) != 0;
      }
      if ((value & 0x40) != 0) {
        specialMask = (value & 0x20) != 0;
      }
    } else {
      writeOcw2(value >> 5, value & 7);
    }
    update();
  }

  void writeOdd(int value) {
    switch (nextIcw) {
      case 2 -> {
        vectorBase = value & 0xF8;
        nextIcw = 3;
      }
      // The cascade is wired, whatever ICW3 says. Single mode (no ICW3) is not a PC's.
      case 3 -> nextIcw = needsIcw4 ? 4 : 0;
      case 4 -> {
        specialFullyNested = (value & 0x10) != 0;
        autoEoi = (value & 2) != 0;
        nextIcw = 0;
      }
      default -> imr = value;
    }
    update();
  }

  private void initialize(int icw1) {
    irr = 0;
    imr = 0;
    isr = 0;
    lowestPriority = SPURIOUS_INPUT;
    readIsr = false;
    poll = false;
    specialMask = false;
    specialFullyNested = false;
    autoEoi = false;
    rotateOnAutoEoi = false;
    levelTriggered = (icw1 & ICW1_LEVEL) != 0;
    needsIcw4 = (icw1 & ICW1_NEEDS_ICW4) != 0;
    nextIcw = 2;
    // A level that persists asks again; an edge must come anew.
    irr = wires & (levelTriggered ? 0xFF : elcr);
  }

  /** OCW2: R, SL and EOI as one number. */
  private void writeOcw2(int command, int level) {
    switch (command) {
      case 0, 4 -> rotateOnAutoEoi = command == 4;
      case 1, 5 -> {
        int input = highest(isr);
        if (input != NONE) {
          isr &= ~(1 << input);
          lowestPriority = command == 5 ? input : lowestPriority;
        }
      }
      case 3 -> isr &= ~(1 << level);
      case 6 -> lowestPriority = level;
      case 7 -> {
        isr &= ~(1 << level);
        lowestPriority = level;
      }
      default -> {}
    }
  }

  private boolean levelInput(int bit) {
    return levelTriggered || (elcr & bit) != 0;
  }

  /** The input of highest priority in a set, {@link #NONE} if it is empty. */
  private int highest(int set) {
    int position = rank(set);
    return position == NONE ? NONE : lowestPriority + 1 + position & 7;
  }

  /** How far down in priority the highest member of a set is; 8 if the set is empty. */
  private int rank(int set) {
    for (int position = 0; position < INPUT_COUNT; position++) {
      if ((set & 1 << (lowestPriority + 1 + position & 7)) != 0) {
        return position;
      }
    }
    return NONE;
  }

  private int requestedInput() {
    int requests = irr & ~imr;
    int inService = specialMask ? isr & ~imr : isr;
    if (specialFullyNested && master) {
      inService &= ~(1 << CASCADE_INPUT);
    }
    return rank(requests) < rank(inService) ? highest(requests) : NONE;
  }

  private void update() {
    output.set(nextIcw == 0 && requestedInput() != NONE);
  }
}
