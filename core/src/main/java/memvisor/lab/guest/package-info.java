/**
 * The built-in guest: a small 64-bit kernel, assembled for one workload, so that everything runs
 * with no kernel at hand.
 *
 * <p>It boots by PVH (32-bit protected mode) or straight in long mode, builds its own GDT, IDT and
 * page tables, talks on COM1, marks its measured section on the debug console and ends by the
 * debug-exit port. A second build is a Xen PV guest, which does all that by hypercalls; what
 * differs is {@code GuestPlatform}'s. {@link memvisor.lab.guest.BuiltinGuest} is the entry; {@code
 * KernelRuntime} is what every workload stands on. Deliberately absent: user mode, interrupts, a
 * second processor.
 */
package memvisor.lab.guest;
