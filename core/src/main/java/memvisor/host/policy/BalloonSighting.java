package memvisor.host.policy;

import java.util.OptionalLong;

/**
 * What can be seen of a balloon at one moment. Sizes are in pages of 4 KiB; counters begin with the
 * machine.
 *
 * @param driverRunning whether the guest has a driver for it
 * @param deviceFailure why the device needs a reset; empty while it does not
 * @param targetPages the size asked for
 * @param claimedPages the size that the driver says it has
 * @param balloonedPages guest pages that are in it, as the ledger counts
 * @param takenBackPages counts pages let out in order
 * @param liesPages counts pages that the driver named without reason
 * @param touchedPages counts pages that the guest used while they were in the balloon
 * @param mayTakeBack whether the guest may take pages back when it runs out of memory
 * @param availablePages what the guest says it can spare; empty if it does not say
 */
public record BalloonSighting(
    boolean driverRunning,
    String deviceFailure,
    long targetPages,
    long claimedPages,
    long balloonedPages,
    long takenBackPages,
    long liesPages,
    long touchedPages,
    boolean mayTakeBack,
    OptionalLong availablePages) {}
