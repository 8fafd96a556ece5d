/**
 * Experiments: the built-in guest with its memory workloads, what a run of it counted, and the
 * model that turns counts into cycles.
 *
 * <p>Entry types: {@link memvisor.lab.Workload} and {@link memvisor.lab.guest.BuiltinGuest}.
 */
package memvisor.lab;
