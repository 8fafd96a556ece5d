package memvisor.host.page;

import java.util.OptionalLong;
import memvisor.host.frames.TransitionReason;

/**
 * What the ledger knows of one guest page.
 *
 * @param gfn guest frame number
 * @param state where its contents are
 * @param hfn the frame behind it, if one is
 * @param reason why it last changed its state; INITIAL for a page that reclaim never touched
 * @param timeNanos when, in nanoseconds since the machine was made
 */
public record PageRecord(
    long gfn, PageState state, OptionalLong hfn, TransitionReason reason, long timeNanos) {}
