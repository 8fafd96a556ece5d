package memvisor.cpu.jit;

/** How much of the guest's code is translated. */
public enum JitMode {
  /** Everything is interpreted. */
  OFF,
  /** Single blocks; a block that jumps to itself becomes a loop. */
  BLOCKS,
  /** Blocks, and from those executed most often together with the blocks that follow them. */
  REGIONS
}
