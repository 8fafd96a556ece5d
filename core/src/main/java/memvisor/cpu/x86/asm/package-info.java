/**
 * A small x86 assembler: the built-in guest programs and the processor's tests are written with it.
 *
 * <p>Entry type: {@link memvisor.cpu.x86.asm.Assembler}, whose methods are named by the manual's
 * mnemonics, with typed operands ({@link memvisor.cpu.x86.asm.Register}, {@link
 * memvisor.cpu.x86.asm.Memory}, labels). Encodings follow Intel SDM vol. 2, chapter 2 and appendix
 * A; a test holds them against an independent disassembler. Deliberately absent: a text syntax,
 * macros, relocation, VEX encodings.
 */
package memvisor.cpu.x86.asm;
