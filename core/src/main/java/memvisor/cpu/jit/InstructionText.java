package memvisor.cpu.jit;

import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.StringJoiner;
import memvisor.cpu.x86.Lowered;
import memvisor.cpu.x86.Lowered.Address;
import memvisor.cpu.x86.Lowered.HighByte;
import memvisor.cpu.x86.Lowered.Immediate;
import memvisor.cpu.x86.Lowered.Memory;
import memvisor.cpu.x86.Lowered.Register;

/**
 * Lowered operations as an assembler would have them, destination first: {@code add rax, qword
 * [rbx+0x8]}. Where a form has no mnemonic of its own its name stands for it.
 */
final class InstructionText {
  private static final String[] LEGACY = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
  private static final String[] LOW = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
  private static final String[] HIGH = {"ah", "ch", "dh", "bh"};
  private static final String[] CONDITIONS = {
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"
  };
  private static final String[] SEGMENTS = {"es", "cs", "ss", "ds", "fs", "gs"};
  private static final String[] SIZES = {"byte", "word", "dword", "qword"};

  private static final Set<Lowered.Operation> UNARY =
      EnumSet.of(
          Lowered.Operation.INC,
          Lowered.Operation.DEC,
          Lowered.Operation.NOT,
          Lowered.Operation.NEG);

  /** RIP of the block's first instruction. */
  private final long blockStart;

  InstructionText(long blockStart) {
    this.blockStart = blockStart;
  }

  /** The instruction's text; {@code name} is what an operation without a form is called. */
  String of(Lowered lowered, String name) {
    if (lowered instanceof Lowered.Opaque) {
      return "(" + name + ")";
    }
    return (mnemonic(lowered) + " " + operands(lowered)).strip();
  }

  private static String mnemonic(Lowered lowered) {
    return switch (lowered) {
      case Lowered.Alu o -> word(o.operation());
      case Lowered.Shift o -> word(o.operation());
      case Lowered.Rotate o -> word(o.operation());
      case Lowered.Move o -> move(o);
      case Lowered.JumpIf o -> "j" + CONDITIONS[o.condition() & 15];
      case Lowered.SetCondition o -> "set" + CONDITIONS[o.condition() & 15];
      case Lowered.ConditionalMove o -> "cmov" + CONDITIONS[o.condition() & 15];
      case Lowered.Jump unused -> "jmp";
      case Lowered.JumpIndirect unused -> "jmp";
      case Lowered.CallIndirect unused -> "call";
      case Lowered.Return unused -> "ret";
      case Lowered.Multiply unused -> "imul";
      case Lowered.MultiplyWide o -> o.signed() ? "imul" : "mul";
      case Lowered.BitTest unused -> "bt";
      case Lowered.SwapBytes unused -> "bswap";
      default -> lowered.getClass().getSimpleName().toLowerCase(Locale.ROOT);
    };
  }

  private static String word(Enum<?> operation) {
    return operation.name().toLowerCase(Locale.ROOT);
  }

  private static String move(Lowered.Move o) {
    boolean widens = o.destination().sizeBytes() > o.source().sizeBytes();
    return !widens || o.source() instanceof Immediate ? "mov" : o.signed() ? "movsx" : "movzx";
  }

  private String operands(Lowered lowered) {
    if (lowered instanceof Lowered.Alu unary && UNARY.contains(unary.operation())) {
      return operand("destination", unary.destination()).getFirst();
    }
    StringJoiner text = new StringJoiner(", ");
    for (RecordComponent component : lowered.getClass().getRecordComponents()) {
      operand(component.getName(), value(component, lowered)).forEach(text::add);
    }
    return text.toString();
  }

  private static Object value(RecordComponent component, Lowered lowered) {
    try {
      return component.getAccessor().invoke(lowered);
    } catch (ReflectiveOperationException impossible) {
      throw new IllegalStateException("unreadable " + component, impossible);
    }
  }

  /** The text of a component; none for what the mnemonic says. */
  private List<String> operand(String name, Object value) {
    return switch (value) {
      case Register r -> List.of(register(r.number(), r.sizeBytes()));
      case HighByte r -> List.of(HIGH[r.number()]);
      case Immediate i ->
          List.of("0x" + Long.toHexString(i.value() & -1L >>> 64 - 8 * i.sizeBytes()));
      case Memory m -> List.of(size(m.sizeBytes()) + " " + address(m.address()));
      case Address a -> List.of(address(a));
      case Long target -> List.of("0x" + Long.toHexString(blockStart + target));
      case Integer number -> number(name, number);
      default -> List.of();
    };
  }

  private static List<String> number(String name, int number) {
    return switch (name) {
      case "register" -> List.of(register(number, 8));
      case "condition" -> List.of();
      case "releasedBytes" -> number == 0 ? List.of() : List.of(hex(number));
      default -> List.of(hex(number));
    };
  }

  private static String size(int bytes) {
    return SIZES[Integer.numberOfTrailingZeros(bytes)];
  }

  private static String hex(long value) {
    return value < 0 ? "-0x" + Long.toHexString(-value) : "0x" + Long.toHexString(value);
  }

  private static String register(int number, int sizeBytes) {
    if (number >= 8) {
      String suffix =
          switch (sizeBytes) {
            case 1 -> "b";
            case 2 -> "w";
            case 4 -> "d";
            default -> "";
          };
      return "r" + number + suffix;
    }
    return switch (sizeBytes) {
      case 1 -> LOW[number];
      case 2 -> LEGACY[number];
      case 4 -> "e" + LEGACY[number];
      default -> "r" + LEGACY[number];
    };
  }

  private String address(Address a) {
    List<String> terms = new ArrayList<>();
    long displacement = a.displacement();
    int size = a.mask() == -1L ? 8 : 4;
    if (a.base() == Address.BLOCK) {
      terms.add("0x" + Long.toHexString(blockStart + displacement)); // RIP-relative
      displacement = 0;
    } else if (a.base() != Address.NONE) {
      terms.add(register(a.base(), size));
    }
    if (a.index() != Address.NONE) {
      terms.add(register(a.index(), size) + (a.scale() == 0 ? "" : "*" + (1 << a.scale())));
    }
    String sum = String.join("+", terms);
    if (sum.isEmpty()) {
      sum = "0x" + Long.toHexString(displacement);
    } else if (displacement != 0) {
      sum += displacement < 0 ? hex(displacement) : "+" + hex(displacement);
    }
    String segment = a.hasSegmentBase() ? SEGMENTS[a.segment()] + ":" : "";
    return segment + "[" + sum + "]";
  }
}
