/**
 * The techniques by which a monitor virtualizes guest memory: partition, trap, shadow and nested.
 *
 * <p>One sealed interface, {@link memvisor.mmu.Technique}. A technique programs the vCPU's {@code
 * TranslationUnit}, answers its exits ({@link memvisor.mmu.VcpuMmu}), and drops what it derived
 * when host memory says so. It knows host memory only through {@code memory.VmBacking}.
 *
 * <ul>
 *   <li>{@link memvisor.mmu.PartitionTechnique}: base and limit.
 *   <li>{@link memvisor.mmu.TrapTechnique}: no root, every access is performed by the monitor.
 *   <li>{@link memvisor.mmu.NestedTechnique}: EPT or NPT tables, filled by violations ({@code
 *       NestedTables}).
 *   <li>{@link memvisor.mmu.ShadowTechnique}: tables GVA → HPA. {@code ShadowVcpu} walks the
 *       guest's tables on a fault and builds a path of {@code ShadowPage}s, found in {@code
 *       ShadowPages} by guest frame and {@code ShadowRole}; {@code ShadowTables} keeps entries, the
 *       {@code ReverseMap} and write protection true to the guest.
 * </ul>
 *
 * <p>The order against races, everywhere: protect, make hardware forget, then read the guest's
 * entry again; take an entry away, make hardware forget, then give the frame back.
 *
 * <p>Follows Intel SDM vol. 3A chapter 4 and vol. 3C chapter 29, AMD APM vol. 2 section 15.25.
 * Deliberately absent: translations kept across CR3 loads by PCID (every load flushes under
 * shadow), global pages in shadow entries, prefetching of neighbouring shadow entries.
 */
package memvisor.mmu;
