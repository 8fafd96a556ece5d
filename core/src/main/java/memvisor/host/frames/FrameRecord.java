package memvisor.host.frames;

import memvisor.memory.FrameRole;

/**
 * What the ledger knows of one host frame.
 *
 * @param hfn host frame number
 * @param vmId owner, or {@link Ledger#NO_VM}
 * @param role use
 * @param referenceCount how many guest frames or tables stand on it; 0 for a free frame
 * @param reason why it last changed hands
 * @param timeNanos when, in nanoseconds since the machine was made
 */
public record FrameRecord(
    long hfn,
    int vmId,
    FrameRole role,
    int referenceCount,
    TransitionReason reason,
    long timeNanos) {}
