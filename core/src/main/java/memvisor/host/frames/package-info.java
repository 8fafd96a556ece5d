/**
 * The frames of the machine: which are free, who owns the others, and how large blocks come to be.
 */
package memvisor.host.frames;
