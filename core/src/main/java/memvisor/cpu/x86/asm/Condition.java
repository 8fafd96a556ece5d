package memvisor.cpu.x86.asm;

/** Conditions of Jcc, SETcc and CMOVcc, in the order of their encoding (SDM vol. 1, B.1). */
public enum Condition {
  O,
  NO,
  B,
  AE,
  E,
  NE,
  BE,
  A,
  S,
  NS,
  P,
  NP,
  L,
  GE,
  LE,
  G
}
