package memvisor.device.virtio;

/**
 * What a balloon has done since the machine was made, in pages of 4 KiB.
 *
 * @param inflated pages put in
 * @param deflated pages let out
 * @param reported pages reported free whose frames the machine got back
 * @param ignored pages that the driver named without reason: no RAM, in the balloon already, or let
 *     out without having been in it
 */
public record BalloonCounters(long inflated, long deflated, long reported, long ignored) {}
