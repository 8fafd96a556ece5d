/**
 * The x86-64 processor of the software machine: decoding into micro-operations, an interpreter over
 * them, and everything the architecture keeps besides (segments, exceptions, MSRs, x87 and SSE).
 *
 * <p>Entry type: {@link memvisor.cpu.x86.Vcpu}. The processor knows no technique: translation goes
 * through a {@link memvisor.tlb.TranslationUnit}, and everything that needs a monitor through
 * {@link memvisor.cpu.x86.Monitor}. Follows Intel SDM vol. 1–3.
 */
package memvisor.cpu.x86;
