/**
 * The pages of one VM: the entry of each, why it has it, the frames behind them in small and large,
 * and moving them.
 */
package memvisor.host.page;
