/**
 * What a Linux guest boots from: getting Debian's kernel and busybox with apt, and packing initial
 * RAM disks.
 *
 * <p>Entry types: {@link memvisor.app.cli.guest.GuestFetcher}, {@link
 * memvisor.app.cli.guest.Initramfs}. Other distributions' packages are deliberately absent: a user
 * there brings a kernel and a static busybox.
 */
package memvisor.app.cli.guest;
