package memvisor.cpu.x86;

import org.jspecify.annotations.Nullable;

/**
 * Decodes system instructions: control and debug registers, descriptor tables, MSRs, far transfers,
 * interrupts, I/O.
 */
final class SystemOps {
  private static final int RAX_RDX = 1 << Vcpu.RAX | 1 << Vcpu.RDX;

  private SystemOps() {}

  /** The operation for {@code i}, or null if the opcode is not of this group. */
  static @Nullable MicroOp decode(Instruction i) {
    return switch (i.map) {
      case Instruction.MAP_PRIMARY -> primary(i);
      case Instruction.MAP_0F -> secondary(i);
      case Instruction.MAP_0F38 -> invpcid(i);
      default -> null;
    };
  }

  /** An operation that ends its block: it transfers control or changes what decoding knows. */
  private static MicroOp last(Instruction i, SystemOp.Action action) {
    return new SystemOp(i, action, 0, true);
  }

  private static MicroOp last(Instruction i, SystemOp.Action action, long immediate) {
    return new SystemOp(i, action, immediate, true);
  }

  /** An operation that usually goes on with the next one. */
  private static MicroOp op(Instruction i, SystemOp.Action action) {
    return new SystemOp(i, action, 0, false);
  }

  private static MicroOp op(Instruction i, SystemOp.Action action, long immediate) {
    return new SystemOp(i, action, immediate, false);
  }

  /** An operation that reads and writes general registers of these bit sets at most. */
  private static MicroOp op(Instruction i, SystemOp.Action action, int reads, int writes) {
    return new SystemOp(i, action, false, reads, writes);
  }

  private static MicroOp undefined(Instruction i) {
    return new Decoder.Raise(i, Vector.UD);
  }

  private static @Nullable MicroOp primary(Instruction i) {
    return switch (i.opcode) {
      case 0x06, 0x0E, 0x16, 0x1E -> legacy(i, SegmentOps::push, i.opcode >>> 3);
      case 0x07, 0x17, 0x1F -> legacy(i, SegmentOps::pop, i.opcode >>> 3);
      case 0x6C, 0x6D -> last(i, IoOps::inString);
      case 0x6E, 0x6F -> last(i, IoOps::outString);
      case 0x8C -> i.reg < 6 ? op(i, SegmentOps::store) : undefined(i);
      case 0x8E -> i.reg < 6 && i.reg != Vcpu.CS ? op(i, SegmentOps::load) : undefined(i);
      case 0x9A -> farPointer(i, FarTransfers::callImmediate);
      case 0xEA -> farPointer(i, FarTransfers::jumpImmediate);
      case 0xC4 -> loadPointer(i, Vcpu.ES);
      case 0xC5 -> loadPointer(i, Vcpu.DS);
      case 0xCA -> last(i, FarTransfers::farReturn, i.immediate(2) & 0xFFFF);
      case 0xCB -> last(i, FarTransfers::farReturn);
      case 0xE4, 0xE5 -> last(i, IoOps::in, i.immediate(1) & 0xFF);
      case 0xE6, 0xE7 -> last(i, IoOps::out, i.immediate(1) & 0xFF);
      case 0xEC, 0xED -> last(i, IoOps::in, IoOps.PORT_IN_DX);
      case 0xEE, 0xEF -> last(i, IoOps::out, IoOps.PORT_IN_DX);
      case 0xFF -> farMemory(i);
      case 0xCC -> last(i, ControlOps::softwareInterrupt, 3);
      case 0xCD -> last(i, ControlOps::softwareInterrupt, i.immediate(1));
      case 0xCE -> i.longMode ? undefined(i) : last(i, ControlOps::into);
      case 0xCF -> last(i, InterruptReturn::perform);
      case 0xF4 -> last(i, ControlOps::hlt);
      case 0xFA -> op(i, ControlOps::cli, 0, 0);
      case 0xFB -> new SystemOp(i, ControlOps::sti, true, 0, 0);
      default -> null;
    };
  }

  /** PUSH and POP of ES, CS, SS and DS, which 64-bit code does not have. */
  private static MicroOp legacy(Instruction i, SystemOp.Action action, int segment) {
    return i.longMode ? undefined(i) : last(i, action, segment);
  }

  /** CALL and JMP ptr16:16 and ptr16:32. */
  private static MicroOp farPointer(Instruction i, SystemOp.Action action) {
    if (i.longMode) {
      return undefined(i);
    }
    long offset = i.immediate(i.operandSize) & 0xFFFF_FFFFL;
    long masked = i.operandSize == 2 ? offset & 0xFFFF : offset;
    return last(i, action, (i.immediate(2) & 0xFFFF) << 32 | masked);
  }

  private static @Nullable MicroOp farMemory(Instruction i) {
    return switch (i.extension()) {
      case 3 -> i.isMemory() ? last(i, FarTransfers::callMemory) : undefined(i);
      case 5 -> i.isMemory() ? last(i, FarTransfers::jumpMemory) : undefined(i);
      default -> null;
    };
  }

  private static MicroOp loadPointer(Instruction i, int segment) {
    boolean legacyOnly = segment == Vcpu.ES || segment == Vcpu.DS;
    return !i.isMemory() || legacyOnly && i.longMode
        ? undefined(i)
        : last(i, SegmentOps::loadPointer, segment);
  }

  /** 0F 00. */
  private static MicroOp group6(Instruction i) {
    return switch (i.extension()) {
      case 0 -> op(i, TableOps::sldt);
      case 1 -> op(i, TableOps::str);
      case 2 -> op(i, TableOps::lldt);
      case 3 -> op(i, TableOps::ltr);
      case 4 -> op(i, TableOps::verr);
      case 5 -> op(i, TableOps::verw);
      default -> undefined(i);
    };
  }

  private static @Nullable MicroOp secondary(Instruction i) {
    return switch (i.opcode) {
      case 0x00 -> group6(i);
      case 0x02 -> op(i, TableOps::lar);
      case 0x03 -> op(i, TableOps::lsl);
      case 0xA0, 0xA8 -> op(i, SegmentOps::push, i.opcode >>> 3 & 1 | 4);
      case 0xA1, 0xA9 -> last(i, SegmentOps::pop, i.opcode >>> 3 & 1 | 4);
      case 0xB2 -> loadPointer(i, Vcpu.SS);
      case 0xB4 -> loadPointer(i, Vcpu.FS);
      case 0xB5 -> loadPointer(i, Vcpu.GS);
      case 0xC7 -> i.isMemory() || i.extension() != 6 ? null : op(i, ControlOps::rdrand);
      case 0x01 -> group7(i);
      case 0x05 -> last(i, FastCalls::syscall);
      case 0x06 -> last(i, ControlOps::clts);
      case 0x07 -> last(i, FastCalls::sysret);
      case 0x08, 0x09 -> op(i, ControlOps::privilegedNop);
      case 0x0B, 0xB9, 0xFF -> undefined(i);
      case 0x20 -> control(i, ControlOps::readControl);
      case 0x22 -> control(i, ControlOps::writeControl);
      case 0x21 -> op(i, ControlOps::readDebug);
      case 0x23 -> op(i, ControlOps::writeDebug);
      case 0x30 -> last(i, ControlOps::wrmsr);
      case 0x31 -> op(i, ControlOps::rdtsc, 0, RAX_RDX);
      case 0x32 -> op(i, ControlOps::rdmsr);
      case 0x33 -> last(i, ControlOps::rdpmc);
      case 0x34 -> last(i, FastCalls::sysenter);
      case 0x35 -> last(i, FastCalls::sysexit);
      case 0xA2 -> op(i, ControlOps::cpuid);
      case 0xAA -> undefined(i); // RSM outside system-management mode
      case 0xAE -> segmentBase(i);
      default -> null;
    };
  }

  /** CR1, CR5–CR7 and CR9–CR15 do not exist. */
  private static MicroOp control(Instruction i, SystemOp.Action action) {
    boolean exists = i.reg == 0 || i.reg >= 2 && i.reg <= 4 || i.reg == 8 && i.longMode;
    return exists ? last(i, action) : undefined(i);
  }

  private static @Nullable MicroOp segmentBase(Instruction i) {
    boolean mine = !i.isMemory() && i.prefix == Instruction.PREFIX_F3 && i.extension() < 4;
    return mine ? op(i, ControlOps::segmentBase, 1 << i.rm, 1 << i.rm) : null;
  }

  private static @Nullable MicroOp invpcid(Instruction i) {
    boolean mine = i.opcode == 0x82 && i.prefix == Instruction.PREFIX_66 && i.isMemory();
    return mine ? last(i, ControlOps::invpcid) : null;
  }

  /** 0F 01: memory forms by extension, register forms one by one. */
  private static MicroOp group7(Instruction i) {
    if (i.isMemory()) {
      return switch (i.extension()) {
        case 0 -> op(i, TableOps::sgdt);
        case 1 -> op(i, TableOps::sidt);
        case 2 -> op(i, TableOps::lgdt);
        case 3 -> op(i, TableOps::lidt);
        case 4 -> op(i, ControlOps::smsw);
        case 6 -> last(i, ControlOps::lmsw);
        case 7 -> last(i, ControlOps::invlpg);
        default -> undefined(i);
      };
    }
    return switch (i.extension()) {
      case 4 -> op(i, ControlOps::smsw);
      case 6 -> last(i, ControlOps::lmsw);
      default -> group7Register(i);
    };
  }

  private static MicroOp group7Register(Instruction i) {
    return switch (i.extension() << 3 | i.rm & 7) {
      case 0x0A -> op(i, ControlOps::clac, 0, 0); // 0F 01 CA
      case 0x0B -> op(i, ControlOps::stac, 0, 0); // 0F 01 CB
      case 0x10 -> op(i, ControlOps::xgetbv); // 0F 01 D0
      case 0x11 -> last(i, ControlOps::xsetbv); // 0F 01 D1
      case 0x38 -> op(i, ControlOps::swapgs, 0, 0); // 0F 01 F8
      case 0x39 -> op(i, ControlOps::rdtscp, 0, RAX_RDX | 1 << Vcpu.RCX); // 0F 01 F9
      default -> undefined(i);
    };
  }
}
