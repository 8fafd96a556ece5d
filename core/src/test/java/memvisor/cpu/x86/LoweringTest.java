package memvisor.cpu.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which form the translator is given for an instruction: what is hot must not be opaque. */
class LoweringTest {
  @ParameterizedTest(name = "{0}: {2}")
  @CsvSource({
    "48 01 18, Alu, 'ADD [RAX], RBX'",
    "11 d8, Alu, 'ADC EAX, EBX'",
    "f0 48 01 18, LockedAlu, 'LOCK ADD [RAX], RBX'",
    "f0 ff 08, LockedAlu, 'LOCK DEC DWORD [RAX]'",
    "87 18, Exchange, 'XCHG [RAX], EBX'",
    "f0 0f c1 18, ExchangeAdd, 'LOCK XADD [RAX], EBX'",
    "f0 0f b1 18, CompareExchange, 'LOCK CMPXCHG [RAX], EBX'",
    "0f b1 d8, Opaque, 'CMPXCHG EAX, EBX'",
    "48 d3 e0, ShiftByCl, 'SHL RAX, CL'",
    "d3 28, ShiftByCl, 'SHR DWORD [RAX], CL'",
    "66 d1 e8, Shift, 'SHR AX, 1'",
    "d0 20, Shift, 'SHL BYTE [RAX], 1'",
    "c1 00 05, Rotate, 'ROL DWORD [RAX], 5'",
    "d3 d0, Opaque, 'RCL EAX, CL'",
    "48 0f ac d8 03, DoubleShift, 'SHRD RAX, RBX, 3'",
    "48 0f a5 d8, DoubleShift, 'SHLD RAX, RBX, CL'",
    "0f ba 20 03, BitTest, 'BT DWORD [RAX], 3'",
    "0f a3 18, BitTest, 'BT [RAX], EBX'",
    "f0 48 0f ab 18, BitChange, 'LOCK BTS [RAX], RBX'",
    "48 0f bc c3, Scan, 'BSF RAX, RBX'",
    "f7 f3, Divide, 'DIV EBX'",
    "48 f7 38, Divide, 'IDIV QWORD [RAX]'",
    "f7 e3, MultiplyWide, 'MUL EBX'",
    "48 f7 e3, MultiplyWide, 'MUL RBX'",
    "f2 0f 10 00, SetHalf, 'MOVSD XMM0, [RAX]'",
    "f2 0f 11 00, GetHalf, 'MOVSD [RAX], XMM0'",
    "f3 0f 6f 00, LoadVector, 'MOVDQU XMM0, [RAX]'",
    "0f 29 00, StoreVector, 'MOVAPS [RAX], XMM0'",
    "0f 28 c1, CopyVector, 'MOVAPS XMM0, XMM1'",
    "66 48 0f 6e c0, SetHalf, 'MOVQ XMM0, RAX'",
    "66 0f ef c1, LaneWise, 'PXOR XMM0, XMM1'",
    "66 0f 74 c1, LaneWise, 'PCMPEQB XMM0, XMM1'",
    "66 0f 72 f0 07, LaneWise, 'PSLLD XMM0, 7'",
    "66 0f d7 c1, ByteMask, 'PMOVMSKB EAX, XMM1'",
    "66 0f 61 c1, Shuffle, 'PUNPCKLWD XMM0, XMM1'",
    "66 0f 38 00 c1, Shuffle, 'PSHUFB XMM0, XMM1'",
    "66 0f 70 c1 4e, Shuffle, 'PSHUFD XMM0, XMM1, 0x4E'",
    "66 0f 63 c1, Opaque, 'PACKSSWB XMM0, XMM1'",
    "f2 0f 59 c1, FloatArithmetic, 'MULSD XMM0, XMM1'",
    "f3 0f 5e 00, FloatArithmetic, 'DIVSS XMM0, [RAX]'",
    "66 0f 59 c1, Opaque, 'MULPD XMM0, XMM1'",
    "66 0f 2e c1, FloatOrder, 'UCOMISD XMM0, XMM1'",
    "f2 48 0f 2a c0, IntegerToFloat, 'CVTSI2SD XMM0, RAX'",
    "f2 48 0f 2c c0, FloatToInteger, 'CVTTSD2SI RAX, XMM0'",
    "f2 0f 5a c1, ConvertFloat, 'CVTSD2SS XMM0, XMM1'",
    "f3 aa, Fill, 'REP STOSB'",
    "f3 48 a5, CopyString, 'REP MOVSQ'",
    "67 f3 aa, Opaque, 'REP STOSB to [EDI]'",
    "64 f3 a4, Opaque, 'REP MOVSB from FS'",
    "0f a2, Opaque, 'CPUID'",
  })
  void formOf(String bytes, String form, String text) {
    assertThat(Lowering.lower(decode(bytes)).getClass().getSimpleName()).as(text).isEqualTo(form);
  }

  private static MicroOp decode(String text) {
    byte[] bytes = HexFormat.ofDelimiter(" ").parseHex(text);
    Instruction instruction = new Instruction();
    CodeMode.describe(CodeMode.of(new TestCpu().c), instruction);
    System.arraycopy(bytes, 0, instruction.bytes, 0, bytes.length);
    instruction.offset = 0;
    instruction.available = bytes.length;
    MicroOp op = Decoder.decode(instruction);
    assertThat(op).isNotNull();
    return op;
  }
}
