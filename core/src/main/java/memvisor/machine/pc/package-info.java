/** A PC: the board that Linux and the multiboot images expect, around one software vCPU. */
package memvisor.machine.pc;
