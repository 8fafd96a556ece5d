package memvisor.cpu.jit;

import java.lang.classfile.ClassFile;
import java.lang.classfile.Instruction;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.FieldInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import memvisor.cpu.x86.CompiledCode;
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
    appendStatus(text, code);
    appendGuest(text, code, rip);
    if (code.isTranslatable()) {
      appendBytecode(text, UnitEmitter.emit(code, false).classFile());
    } else {
      text.append("never translated: not 64-bit code in one page%n".formatted());
    }
    return text.toString();
  }

  private static void appendStatus(StringBuilder text, HotCode code) {
    Optional<CompiledCode> translation = code.translation();
    if (translation.isPresent()) {
      CompiledCode made = translation.get();
      text.append(
          "translated: %d %s of %s, a class of %,d bytes, entered %,d times%s%n"
              .formatted(
                  code.blocks(),
                  code.blocks() == 1 ? "block" : "blocks",
                  pages(code),
                  made.sizeBytes(),
                  made.runs(),
                  made.isAdopted() ? "; its class was there already" : ""));
    } else {
      text.append(
          code.interpretations() == 0
              ? "not executed yet%n".formatted()
              : "executed %,d times, by interpretation%n".formatted(code.interpretations()));
    }
  }

  private static String pages(HotCode code) {
    long pages =
        IntStream.range(0, code.blocks()).map(b -> code.page(code.start(b))).distinct().count();
    return pages == 1 ? "one page" : pages + " pages";
  }

  private static void appendGuest(StringBuilder text, HotCode code, long rip) {
    HexFormat hex = HexFormat.of();
    for (int block = 0; block < code.blocks(); block++) {
      long start = rip + code.start(block);
      InstructionText instructions = new InstructionText(start);
      text.append("block %d at 0x%x%n".formatted(block, start));
      text.append(
          "  %-18s  %-30s  %-36s  %s%n"
              .formatted("address", "bytes", "instruction", "micro-operation"));
      int offset = 0;
      for (int i = 0; i < code.instructions(block); i++) {
        String name = code.name(block, i);
        text.append(
            "  0x%016x  %-30s  %-36s  %s%n"
                .formatted(
                    start + offset,
                    hex.formatHex(code.bytes(block, i)),
                    instructions.of(code.lowered(block, i), name),
                    name));
        offset = code.after(block, i);
      }
    }
  }

  private static void appendBytecode(StringBuilder text, byte[] classFile) {
    for (MethodModel method : ClassFile.of().parse(classFile).methods()) {
      if (method.methodName().equalsString("run")) {
        text.append(
            "%nbytecode of run(Vcpu); opaque() executes a micro-operation that has no translation%n"
                .formatted());
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
          text.append("  %5d  %s L%d%n".formatted(position, mnemonic(branch), target));
          position += branch.sizeInBytes();
        }
        case Instruction instruction -> {
          text.append(
              "  %5d  %s%s%n".formatted(position, mnemonic(instruction), operand(instruction)));
          position += instruction.sizeInBytes();
        }
        default -> {
          // frames and line numbers
        }
      }
    }
  }

  private static String mnemonic(Instruction instruction) {
    return instruction.opcode().name().toLowerCase(Locale.ROOT);
  }

  /** What follows the mnemonic, as javap has it; owners without their package. */
  private static String operand(Instruction instruction) {
    return switch (instruction) {
      case LoadInstruction load -> local(instruction, load.slot());
      case StoreInstruction store -> local(instruction, store.slot());
      case FieldInstruction field ->
          " " + simple(field.owner().asInternalName()) + "." + field.name().stringValue();
      case InvokeInstruction call ->
          " " + simple(call.owner().asInternalName()) + "." + call.name().stringValue();
      case ConstantInstruction constant ->
          instruction.sizeInBytes() == 1 ? "" : " " + constant.constantValue();
      default -> "";
    };
  }

  /** The slot, where it is no part of the mnemonic. */
  private static String local(Instruction instruction, int slot) {
    return instruction.sizeInBytes() == 1 ? "" : " " + slot;
  }

  private static String simple(String internalName) {
    return internalName.substring(internalName.lastIndexOf('/') + 1);
  }
}
