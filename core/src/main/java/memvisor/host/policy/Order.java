package memvisor.host.policy;

import memvisor.host.policy.Decision.Step;

/**
 * One thing that the policy wants done.
 *
 * @param vmId to whom; {@link Decision#MACHINE} where it concerns all
 * @param step what
 * @param pages to how many pages of 4 KiB; for {@link Step#BALLOON} and {@link Step#DEFLATE} by how
 *     many the balloon is to grow or shrink
 * @param reason because of what, as the end of a sentence
 */
public record Order(int vmId, Step step, long pages, String reason) {}
