package memvisor.cpu.x86.asm;

/** The control registers that MOV can name. */
public enum ControlRegister implements Operand {
  CR0(0),
  CR2(2),
  CR3(3),
  CR4(4),
  CR8(8);

  final int code;

  ControlRegister(int code) {
    this.code = code;
  }
}
