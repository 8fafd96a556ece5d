package memvisor.tlb;

import memvisor.memory.MachineMemory;
import memvisor.paging.Walker;

/** A second dimension with the walker whose table reads pass through it. */
record Stage(SecondDimension dimension, Walker walker) {
  static Stage over(MachineMemory machine, SecondDimension dimension) {
    return new Stage(dimension, new Walker(machine, dimension));
  }
}
