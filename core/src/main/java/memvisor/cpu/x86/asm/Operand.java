package memvisor.cpu.x86.asm;

/** What an instruction may name: a register of some file, or memory. */
public sealed interface Operand
    permits Register, Xmm, SegmentRegister, ControlRegister, DebugRegister, Memory {}
