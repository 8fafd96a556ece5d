/**
 * The translator: hot blocks of the guest's code become JVM bytecode, from the forms that {@link
 * memvisor.cpu.x86.Lowered} gives the interpreter's micro-operations.
 *
 * <p>Entry type: {@link memvisor.cpu.jit.JitTranslator}, given to {@code Vcpu.setTranslator}. The
 * interpreter remains the oracle: a translation retires the same instructions, leaves at the same
 * block boundaries and leaves the same state.
 */
package memvisor.cpu.jit;
