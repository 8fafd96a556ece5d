package memvisor.memory;

import java.util.Optional;

/**
 * The port by which a memory-virtualization technique asks host memory about one VM.
 *
 * <p>Implemented by {@code host}. All calls come from a vCPU thread of the VM or from a thread that
 * holds the VM stopped.
 */
public interface VmBacking {
  /** The machine memory that all frames belong to. */
  MachineMemory machine();

  /** The VM's memory map. */
  GuestMemoryMap map();

  /**
   * The frame behind a guest frame, populated if need be, as a {@link Backing}.
   *
   * @param gfn guest frame number
   * @param write whether the caller is about to let the guest write: copy-on-write is broken first
   */
  long frame(long gfn, boolean write);

  /** As {@link #frame} but changes nothing: an unpopulated page is {@link Backing#NO_FRAME}. */
  long peek(long gfn);

  /**
   * Binary logarithm of the largest aligned page around {@code gfn} that one aligned run of host
   * frames backs, all of it populated and equally writable: 12, 21 or 30.
   *
   * @param mostLog2 the largest that is of use to the caller; nothing beyond it is looked at
   */
  int contiguousSizeLog2(long gfn, int mostLog2);

  /** As {@link #contiguousSizeLog2(long, int)}, with pages of up to 1 GiB. */
  default int contiguousSizeLog2(long gfn) {
    return contiguousSizeLog2(gfn, 30);
  }

  /**
   * A zeroed frame for a derived table, charged to this VM.
   *
   * @return its HPA, or -1 when machine memory is exhausted
   */
  long allocateTable(FrameRole role);

  /** Gives back a frame from {@link #allocateTable}. */
  void freeTable(long hpa);

  /**
   * The run behind guest physical 0, if this VM was placed in one.
   *
   * <p>Empty for scattered and huge placement, where base and limit cannot describe the memory.
   */
  default Optional<PartitionSlice> slice() {
    return Optional.empty();
  }

  /** Registers who must forget derived mappings before a frame changes owner. */
  void setDerivedMappings(DerivedMappings derived);
}
