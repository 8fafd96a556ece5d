/**
 * Unix-domain sockets that only their owner may use.
 *
 * <p>Entry type: {@link memvisor.app.cli.socket.LocalServer}.
 */
package memvisor.app.cli.socket;
