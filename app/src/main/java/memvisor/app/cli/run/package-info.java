/**
 * Running one guest in the foreground: its console on standard input and output, its end as an exit
 * status.
 *
 * <p>Entry type: {@link memvisor.app.cli.run.GuestRun}.
 */
package memvisor.app.cli.run;
