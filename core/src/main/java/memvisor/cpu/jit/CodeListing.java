package memvisor.cpu.jit;

import java.lang.classfile.ClassFile;
import java.lang.classfile.Instruction;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import memvisor.cpu.x86.HotCode;

/**
 * Shows what becomes of a piece of guest code: the instructions with the forms they were lowered
 * to, and the bytecode generated from them.
 */
public final class CodeListing {
  private CodeListing() {}

  /** The listing, {@code rip} being where the code starts. */
  public static String of(HotCode code, long rip) {
    StringBuilder text = new StringBuilder();
    appendGuest(text, code, rip);
    if (code.isTranslatable()) {
      appendBytecode(text, UnitEmitter.emit(code).classFile());
    } else {
      text.append("not translated: not 64-bit code in one page%n".formatted());
    }
    return text.toString();
  }

  private static void appendGuest(StringBuilder text, HotCode code, long rip) {
    HexFormat hex = HexFormat.of();
    for (int block = 0; block < code.blocks(); block++) {
      long start = rip + code.start(block);
      text.append("block %d at 0x%x%n".formatted(block, start));
      int offset = 0;
      for (int i = 0; i < code.instructions(block); i++) {
        text.append(
            "  0x%x  %-30s  %-16s  %s%n"
                .formatted(
                    start + offset,
                    hex.formatHex(code.bytes(block, i)),
                    code.name(block, i),
                    code.lowered(block, i)));
        offset = code.after(block, i);
      }
    }
  }

  private static void appendBytecode(StringBuilder text, byte[] classFile) {
    for (MethodModel method : ClassFile.of().parse(classFile).methods()) {
      if (method.methodName().equalsString("run")) {
        text.append("bytecode of run(Vcpu)%n".formatted());
        method.code().ifPresent(body -> appendCode(text, body));
      }
    }
  }

  private static void appendCode(StringBuilder text, java.lang.classfile.CodeModel body) {
    Map<java.lang.classfile.Label, Integer> labels = new HashMap<>();
    int position = 0;
    for (var element : body) {
      switch (element) {
        case LabelTarget target -> {
          labels.putIfAbsent(target.label(), labels.size());
          text.append(" L%d:%n".formatted(labels.get(target.label())));
        }
        case BranchInstruction branch -> {
          labels.putIfAbsent(branch.target(), labels.size());
          int target = labels.get(branch.target());
          text.append("  %5d  %s L%d%n".formatted(position, branch.opcode(), target));
          position += branch.sizeInBytes();
        }
        case Instruction instruction -> {
          text.append("  %5d  %s%n".formatted(position, instruction));
          position += instruction.sizeInBytes();
        }
        default -> {
          // frames and line numbers
        }
      }
    }
  }
}
