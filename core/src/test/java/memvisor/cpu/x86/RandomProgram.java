package memvisor.cpu.x86;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * Makes loops of random instructions whose operands mostly stay in memory that is there: RBX points
 * to data and R15 counts the rounds, nothing else writes them.
 */
final class RandomProgram {
  static final int ROUNDS = 100;
  private static final int[] REGISTERS = {0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
  private static final int[] BYTE_REGISTERS = {0, 1, 2, 4, 5, 6};
  private static final int RBX = 3;

  /** Bytes of data around RBX that a memory operand may name; then comes an unmapped page. */
  private static final int REACH = 4096;

  private static final List<InstructionForm> INTEGER =
      InstructionForms.integerForms().stream()
          .filter(f -> f.trait() != InstructionForm.Trait.STRING)
          .filter(f -> f.reg() != InstructionForm.NO_MODRM || (f.opcode() & 7) != RBX)
          .filter(f -> f.reg() != InstructionForm.NO_MODRM || f.opcode() != 0x97)
          .filter(f -> f.opcode() != 0x0FCF)
          .toList();

  private static final List<InstructionForm> VECTOR = InstructionForms.sseForms();

  private static final List<InstructionForm> WITH_MEMORY =
      Stream.concat(INTEGER.stream(), VECTOR.stream())
          .filter(f -> f.rm() <= InstructionForm.MEMORY_ONLY)
          .filter(f -> f.reg() != InstructionForm.NO_MODRM)
          .toList();

  private final SplittableRandom random;
  private final byte[] code = new byte[8192];
  private int length;

  /** Positions of immediates that a store may overwrite. */
  private final List<Integer> patchable = new ArrayList<>();

  /** Forward jumps that wait for a target: where their displacement ends. */
  private final List<Integer> forward = new ArrayList<>();

  RandomProgram(SplittableRandom random) {
    this.random = random;
  }

  /** The program's bytes, to run at {@link TestCpu#CODE} with RBX at {@link TestCpu#DATA}. */
  byte[] make(int instructions) {
    put(0xFB); // STI
    put(0x41, 0xBF); // MOV R15D, ROUNDS
    put32(ROUNDS);
    int again = length;
    for (int n = 0; n < instructions; n++) {
      land(false);
      switch (random.nextInt(16)) {
        case 0 -> jumpForward();
        case 1 -> pushPop();
        case 2 -> callForward();
        case 3 -> patchableMove();
        case 4 -> special();
        case 5 -> jumpForward();
        case 6 -> string();
        case 7, 8 -> instruction(any(VECTOR));
        case 9 -> faultOnce();
        default -> instruction(any(INTEGER));
      }
    }
    land(true);
    put(0x41, 0xFF, 0xCF); // DEC R15D
    put(0x0F, 0x85); // JNZ again
    put32(again - length - 4);
    put(0xF4);
    return java.util.Arrays.copyOf(code, length);
  }

  private void put(int... bytes) {
    for (int b : bytes) {
      code[length++] = (byte) b;
    }
  }

  private void put32(int value) {
    for (int i = 0; i < 4; i++) {
      put(value >> 8 * i);
    }
  }

  /** Lets some waiting jumps come to here. */
  private void land(boolean all) {
    for (int i = forward.size() - 1; i >= 0; i--) {
      if (all || random.nextInt(3) == 0) {
        int end = forward.remove(i);
        int distance = length - end;
        for (int b = 0; b < 4; b++) {
          code[end - 4 + b] = (byte) (distance >> 8 * b);
        }
      }
    }
  }

  private InstructionForm any(List<InstructionForm> forms) {
    return forms.get(random.nextInt(forms.size()));
  }

  private void jumpForward() {
    put(0x0F, 0x80 | random.nextInt(16));
    put32(0);
    forward.add(length);
  }

  private int register() {
    return REGISTERS[random.nextInt(REGISTERS.length)];
  }

  private void pushPop() {
    int from = register();
    int to = register();
    put(from < 8 ? 0x40 : 0x41, 0x50 | from & 7);
    instruction(any(INTEGER));
    put(to < 8 ? 0x40 : 0x41, 0x58 | to & 7);
  }

  /** A call of what follows, which drops the return address or returns to itself once. */
  private void callForward() {
    put(0xE8);
    put32(2); // over the jump
    put(0xEB, 1); // the return comes here and skips the RET
    put(0xC3);
  }

  private void patchableMove() {
    put(0xB8 | random.nextInt(3)); // MOV to EAX, ECX or EDX
    patchable.add(length);
    put32(random.nextInt());
  }

  private void special() {
    switch (random.nextInt(9)) {
      case 6, 7 -> overwriteOnce();
      case 8 -> forbidVectorsOnce();
      case 0 -> put(0xE4, 0x10); // IN AL
      case 1 -> put(0xE6, 0x10); // OUT AL
      case 2 -> put(0x55, 0x48, 0x89, 0xE5, 0xC9); // PUSH RBP; MOV RBP, RSP; LEAVE
      case 3 -> put(0xF5 + 3 * random.nextInt(2) + random.nextInt(2)); // CMC, NOT…; CLC, STC
      default -> overwrite();
    }
  }

  /** MOV [RIP + x], CL onto an immediate of this program, before or after here. */
  private void overwrite() {
    if (patchable.isEmpty()) {
      patchableMove();
    }
    int at = patchable.get(random.nextInt(patchable.size()));
    put(0x88, 0x0D);
    put32(at - length - 4);
  }

  /** In one round only, overwrites the instruction that comes next: by then this is translated. */
  private void overwriteOnce() {
    put(0x48, 0x8D, 0x35); // LEA RSI, [the immediate]
    put32(10 + 1);
    compareRound();
    put(0x48, 0x0F, 0x45, 0xF3); // CMOVNE RSI, RBX
    put(0x88, 0x0E); // MOV [RSI], CL
    patchableMove();
  }

  /** RSI becomes RBX, but in one round an address near the end of the mapped page. */
  private void faultOnce() {
    put(0x48, 0x8D, 0xB3); // LEA RSI, [RBX + x]
    put32(REACH - 1 - random.nextInt(20));
    compareRound();
    put(0x48, 0x0F, 0x45, 0xF3); // CMOVNE RSI, RBX
    instruction(any(WITH_MEMORY), true);
  }

  private void compareRound() {
    put(0x49, 0x83, 0xFF, 1 + random.nextInt(ROUNDS - 10)); // CMP R15, round
  }

  /** Sets CR0.TS in one round. */
  private void forbidVectorsOnce() {
    compareRound();
    put(0x75, 10); // JNE over
    put(0x0F, 0x20, 0xC0, 0x48, 0x83, 0xC8, 8, 0x0F, 0x22, 0xC0);
  }

  /** MOVS or STOS, repeated a few times or not, from and to the data. */
  private void string() {
    put(0x48, 0x8D, 0x73, random.nextInt(100)); // LEA RSI, [RBX + x]
    put(0x48, 0x8D, 0xBB); // LEA RDI, [RBX + x]
    put32(random.nextInt(60) == 0 ? REACH - random.nextInt(40) : random.nextInt(1000));
    put(0xB9); // MOV ECX
    put32(random.nextInt(4) == 0 ? random.nextInt(400) : random.nextInt(20));
    if (random.nextInt(4) != 0) {
      put(0xF3);
    }
    if (random.nextBoolean()) {
      put(0x48);
    }
    put(random.nextInt(2) == 0 ? 0xA4 + random.nextInt(2) : 0xAA + random.nextInt(2));
  }

  private void instruction(InstructionForm form) {
    instruction(form, false);
  }

  private void instruction(InstructionForm form, boolean atRsi) {
    boolean aligned = form.trait() == InstructionForm.Trait.ALIGNED;
    boolean bitOffset = form.trait() == InstructionForm.Trait.BIT_OFFSET;
    int size =
        switch (form.width()) {
          case InstructionForm.BYTE -> 1;
          case InstructionForm.VARIABLE -> 2 << random.nextInt(3);
          case InstructionForm.WIDE -> 4 << random.nextInt(2);
          default -> 0;
        };
    boolean memory =
        switch (form.rm()) {
          case InstructionForm.MEMORY_ONLY -> true;
          case InstructionForm.GENERAL_ONLY, InstructionForm.XMM_ONLY -> false;
          default -> atRsi || random.nextInt(3) == 0;
        };
    boolean extended = size != 1 || random.nextBoolean();
    int reg = form.reg() >= 0 ? form.reg() : extended ? register() : byteRegister();
    int rm = extended ? register() : byteRegister();
    if (form.reg() == InstructionForm.XMM) {
      reg = random.nextInt(16);
    }
    if (form.rm() == InstructionForm.XMM_OR_MEMORY || form.rm() == InstructionForm.XMM_ONLY) {
      rm = random.nextInt(16);
    }
    if (memory && bitOffset) {
      shortOffset(reg);
    }
    if (memory && isLockable(form) && random.nextInt(3) == 0) {
      put(0xF0);
    }
    if (size == 2) {
      put(0x66);
    }
    if (form.opcode() >>> 24 != 0) {
      put(form.opcode() >>> 24);
    }
    boolean indexed = memory && extended && !aligned && !atRsi && random.nextInt(4) == 0;
    int rex = (size == 8 ? 8 : 0) | (reg >= 8 ? 4 : 0) | (indexed ? 2 : 0);
    rex |= !memory && rm >= 8 ? 1 : 0;
    if (extended) {
      put(0x40 | rex);
    }
    opcode(form.opcode() & 0xFFFFFF);
    if (form.reg() != InstructionForm.NO_MODRM) {
      if (atRsi) {
        put((reg & 7) << 3 | 6);
      } else {
        modRm(reg, rm, memory, indexed, aligned);
      }
    }
    int bytes = form.immediateBytes() == 4 ? Math.min(4, size) : form.immediateBytes();
    for (int i = 0; i < bytes; i++) {
      put(random.nextInt(3) == 0 ? random.nextInt(256) : random.nextInt(10));
    }
  }

  /** AND r, 0x7F, and now and then NEG r: a bit offset that stays near the operand. */
  private void shortOffset(int register) {
    int rex = 0x48 | register >>> 3;
    put(rex, 0x83, 0xE0 | register & 7, 0x7F);
    if (random.nextInt(4) == 0) {
      put(rex, 0xF7, 0xD8 | register & 7);
    }
  }

  /** Whether the form may have a LOCK prefix where it writes to memory. */
  private static boolean isLockable(InstructionForm form) {
    int opcode = form.opcode();
    return switch (opcode) {
      case 0x80, 0x81, 0x83 -> form.reg() != 7;
      case 0xF6, 0xF7 -> form.reg() == 2 || form.reg() == 3;
      case 0xFE, 0xFF -> form.reg() < 2;
      case 0x86, 0x87, 0x0FB0, 0x0FB1, 0x0FC0, 0x0FC1, 0x0FC7, 0x0FAB, 0x0FB3, 0x0FBB -> true;
      case 0x0FBA -> form.reg() > 4;
      default -> opcode < 0x38 && (opcode & 7) < 2;
    };
  }

  private int byteRegister() {
    return BYTE_REGISTERS[random.nextInt(BYTE_REGISTERS.length)];
  }

  private void opcode(int opcode) {
    if (opcode > 0xFFFF) {
      put(opcode >> 16);
    }
    if (opcode > 0xFF) {
      put(opcode >> 8);
    }
    put(opcode);
  }

  /** A register, or memory around RBX, now and then across the end of the mapped page. */
  private void modRm(int reg, int rm, boolean memory, boolean indexed, boolean aligned) {
    if (!memory) {
      put(0xC0 | (reg & 7) << 3 | rm & 7);
      return;
    }
    int where = random.nextInt(60) == 0 ? REACH - random.nextInt(9) : random.nextInt(64);
    if (aligned) {
      where &= ~15;
    }
    if (indexed) {
      put(0x84 | (reg & 7) << 3, random.nextInt(4) << 6 | 7 << 3 | RBX); // [RBX + R15 << s + x]
    } else {
      put(0x83 | (reg & 7) << 3);
    }
    put32(where);
  }
}
