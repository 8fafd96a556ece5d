package memvisor.device;

/**
 * What occupies a range of a bus, for listings.
 *
 * @param name the device's name
 * @param start first port or guest-physical address
 * @param end first one past the range
 */
public record BusRange(String name, long start, long end) {}
