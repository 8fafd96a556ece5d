/**
 * The file that describes a host and its VMs.
 *
 * <p>Entry type: {@link memvisor.app.cli.host.config.HostConfig}. Every error names the line it is
 * about and says what to write there.
 */
package memvisor.app.cli.host.config;
