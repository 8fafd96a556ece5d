package memvisor.lab.guest;

import static memvisor.cpu.x86.asm.Register.*;

import memvisor.cpu.x86.asm.Assembler;
import memvisor.cpu.x86.asm.Condition;
import memvisor.cpu.x86.asm.Label;
import memvisor.cpu.x86.asm.Memory;

/** Output on COM1, a 16550 UART, by polling (TI PC16550D data sheet, section 8). */
final class ConsoleCode {
  private static final int COM1 = 0x3F8;
  private static final int LINE_STATUS = COM1 + 5;
  private static final int TRANSMITTER_EMPTY = 0x20;

  private final Assembler a;

  ConsoleCode(Assembler a) {
    this.a = a;
  }

  /** 115,200 baud, 8 data bits, no parity, FIFOs on, no interrupts. */
  void emitInitialisation() {
    int[][] writes = {{1, 0}, {3, 0x80}, {0, 1}, {1, 0}, {3, 3}, {2, 7}, {4, 3}};
    for (int[] write : writes) {
      a.mov(DX, COM1 + write[0]);
      a.mov(AL, write[1]);
      a.out(AL);
    }
  }

  void emitRoutines(Label puts, Label putHex) {
    Label putCharacter = a.label();
    a.align(16);
    a.bind(puts);
    Label next = a.labelHere();
    Label end = a.label();
    a.movzx(ECX, Memory.at(RDI).byteWide());
    a.inc(RDI);
    a.test(ECX, ECX);
    a.j(Condition.E, end);
    a.call(putCharacter);
    a.jmp(next);
    a.bind(end);
    a.ret();
    emitPutHex(putHex, putCharacter);
    emitPutCharacter(putCharacter);
  }

  private void emitPutHex(Label putHex, Label putCharacter) {
    a.align(16);
    a.bind(putHex);
    a.mov(R8D, 16);
    Label digit = a.labelHere();
    Label decimal = a.label();
    a.rol(RDI, 4);
    a.mov(ECX, EDI);
    a.and(ECX, 15);
    a.add(ECX, '0');
    a.cmp(ECX, '9');
    a.j(Condition.BE, decimal);
    a.add(ECX, 'a' - '9' - 1);
    a.bind(decimal);
    a.call(putCharacter);
    a.dec(R8D);
    a.j(Condition.NE, digit);
    a.mov(ECX, '\n');
    a.call(putCharacter);
    a.ret();
  }

  /** Puts the character in CL. */
  private void emitPutCharacter(Label putCharacter) {
    a.align(16);
    a.bind(putCharacter);
    a.mov(DX, LINE_STATUS);
    Label wait = a.labelHere();
    a.in(AL);
    a.test(AL, TRANSMITTER_EMPTY);
    a.j(Condition.E, wait);
    a.mov(DX, COM1);
    a.mov(AL, CL);
    a.out(AL);
    a.ret();
  }
}
