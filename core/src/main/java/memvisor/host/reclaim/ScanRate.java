package memvisor.host.reclaim;

/**
 * How fast a VM's pages are looked at for equal ones, and why so.
 *
 * @param pages pages at a time
 * @param pauseMilliseconds of the VM's clock between two times
 * @param slowDown how many times longer that is than the knob says
 * @param because the reason, half a sentence
 */
public record ScanRate(int pages, long pauseMilliseconds, int slowDown, String because) {}
