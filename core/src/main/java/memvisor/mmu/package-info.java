/**
 * The techniques by which a monitor virtualizes guest memory: partition, trap, shadow and nested.
 *
 * <p>One sealed interface, {@link memvisor.mmu.Technique}. A technique programs the vCPU's {@code
 * TranslationUnit}, answers its exits, and drops what it derived when host memory says so. It knows
 * host memory only through {@code memory.VmBacking}.
 */
package memvisor.mmu;
