/**
 * The monitor prompt: commands about a running machine in the words of QEMU's monitor, from the
 * console and from a Unix-domain socket.
 *
 * <p>Entry types: {@link memvisor.app.cli.monitor.MonitorPrompt} executes one line, {@link
 * memvisor.app.cli.monitor.MonitorServer} serves a socket, {@link
 * memvisor.app.cli.monitor.ConsoleKeys} finds the escape among what is typed.
 */
package memvisor.app.cli.monitor;
