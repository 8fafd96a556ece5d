package memvisor.cpu.x86.asm;

/** The debug registers. */
public enum DebugRegister implements Operand {
  DR0(0),
  DR1(1),
  DR2(2),
  DR3(3),
  DR6(6),
  DR7(7);

  final int code;

  DebugRegister(int code) {
    this.code = code;
  }
}
