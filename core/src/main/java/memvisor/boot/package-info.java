/**
 * Image formats and the protocols that start them: Linux bzImage (64-bit protocol), PVH, multiboot
 * 1 and plain ELF64.
 *
 * <p>{@link memvisor.boot.BootLoader} is the entry point: it recognises an image, writes it and
 * what its protocol demands into guest memory, and answers with an {@link
 * memvisor.boot.EntryState}: the registers a vCPU starts with, so that this package needs to know
 * no CPU. {@link memvisor.boot.GuestLayout} lays out a PC's memory and {@link
 * memvisor.boot.E820Entry} describes it to the guest. Deliberately absent: decompression of a
 * bzImage's payload, which needs libraries; {@link memvisor.boot.BzImage} only says where the
 * payload lies.
 */
package memvisor.boot;
