package memvisor.cpu.x86.asm;

/** The segment registers, in the order of their encoding. */
public enum SegmentRegister implements Operand {
  ES(0x26),
  CS(0x2E),
  SS(0x36),
  DS(0x3E),
  FS(0x64),
  GS(0x65);

  final int overridePrefix;

  SegmentRegister(int overridePrefix) {
    this.overridePrefix = overridePrefix;
  }
}
