/**
 * A host of many VMs as its user sees it: control over a local socket, answers as records that are
 * also the JSON, and their text.
 *
 * <p>Entry types: {@link memvisor.app.cli.host.ControlServer} on the host's side, {@link
 * memvisor.app.cli.host.ControlClient} on that of the commands. Both speak JSON, one object per
 * line: a {@link memvisor.app.cli.host.Request}, then a {@link memvisor.app.cli.host.Reply}.
 */
package memvisor.app.cli.host;
