package memvisor.boot;

/**
 * The general registers a boot protocol sets; the others start at 0.
 *
 * @param rax RAX
 * @param rbx RBX
 * @param rsi RSI
 * @param rdi RDI
 * @param rsp RSP
 */
public record GeneralRegisters(long rax, long rbx, long rsi, long rdi, long rsp) {}
