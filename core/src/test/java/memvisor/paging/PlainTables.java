package memvisor.paging;

import memvisor.memory.MachineMemory;

/** Tables that live in machine memory itself. */
record PlainTables(MachineMemory machine) implements TableMemory {
  @Override
  public long locate(long address) {
    return machine.contains(address, 8) ? address | WRITABLE : UNREACHABLE;
  }

  @Override
  public long locateForUpdate(long address) {
    throw new AssertionError("asked to update where locate said that it may: " + address);
  }
}
