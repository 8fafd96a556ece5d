/**
 * Direct paging: the guest's own page tables hold machine addresses and are walked as they are,
 * because the monitor has validated every entry (Xen's PV MMU).
 *
 * <p>{@link memvisor.mmu.direct.PageTypes} is the heart and needs no processor: reference counts
 * and types per machine frame. {@link memvisor.mmu.direct.DirectTechnique} puts it between a
 * guest's memory and a vCPU. What a guest asks for by hypercall is decoded elsewhere; here errors
 * are negative {@link memvisor.mmu.direct.Errno} values.
 *
 * <p>Absent: foreign frames and grants, shadow paging under PV, linear (recursive) page tables,
 * which are refused as a Xen built without them refuses.
 */
@org.jspecify.annotations.NullMarked
package memvisor.mmu.direct;
