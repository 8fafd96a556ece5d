/**
 * Answers questions about a machine that stands still: what an address means, and why.
 *
 * <p>Entry type: {@link memvisor.machine.inspect.Inspector}. Nothing here changes the guest, the
 * TLBs, the derived tables or a count: asking is invisible. Listings follow the words and columns
 * of QEMU's monitor, so that the same guest can be compared line by line.
 */
package memvisor.machine.inspect;
