/** The command line: one class per command. */
package memvisor.app.cli;
