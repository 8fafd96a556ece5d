/** JMH benchmarks of the hot paths. */
package memvisor.bench;
