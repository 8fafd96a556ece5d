package memvisor.cpu.x86.asm;

import static memvisor.cpu.x86.asm.ControlRegister.CR3;
import static memvisor.cpu.x86.asm.ControlRegister.CR8;
import static memvisor.cpu.x86.asm.Memory.absolute;
import static memvisor.cpu.x86.asm.Memory.at;
import static memvisor.cpu.x86.asm.Memory.scaled;
import static memvisor.cpu.x86.asm.Register.*;
import static memvisor.cpu.x86.asm.SegmentRegister.DS;
import static memvisor.cpu.x86.asm.SegmentRegister.FS;
import static memvisor.cpu.x86.asm.SegmentRegister.GS;
import static memvisor.cpu.x86.asm.Xmm.XMM1;
import static memvisor.cpu.x86.asm.Xmm.XMM12;
import static memvisor.cpu.x86.asm.Xmm.XMM9;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The oracle is GNU objdump: each instruction must read back as what was asked for. */
class AssemblerTest {
  record Case(String disassembly, Consumer<Assembler> emit) {}

  @TempDir Path directory;

  private static Case is(String disassembly, Consumer<Assembler> emit) {
    return new Case(disassembly, emit);
  }

  private static List<Case> integer() {
    return List.of(
        is("mov rax,rbx", a -> a.mov(RAX, RBX)),
        is("mov r9b,sil", a -> a.mov(R9B, SIL)),
        is("mov ah,bl", a -> a.mov(AH, BL)),
        is("mov ax,WORD PTR [rsp]", a -> a.mov(AX, at(RSP))),
        is("mov r12d,DWORD PTR [rbp+0x0]", a -> a.mov(R12D, at(RBP))),
        is("mov QWORD PTR [r13+0x0],r8", a -> a.mov(at(R13), R8)),
        is("mov QWORD PTR [r12+0x8],rax", a -> a.mov(at(R12, 8), RAX)),
        is("mov eax,DWORD PTR [rbx+rcx*4-0x80]", a -> a.mov(EAX, at(RBX, RCX, 4, -128))),
        is("mov eax,DWORD PTR [r11*8+0x1234]", a -> a.mov(EAX, scaled(R11, 8, 0x1234))),
        is("mov eax,DWORD PTR [ebx+0x10]", a -> a.mov(EAX, at(EBX, 16))),
        is("mov rcx,QWORD PTR gs:0x28", a -> a.mov(RCX, absolute(0x28).in(GS))),
        is("mov BYTE PTR [rdi],0xff", a -> a.mov(at(RDI).byteWide(), 0xFF)),
        is("mov QWORD PTR [rdi],0xffffffffffffffff", a -> a.mov(at(RDI).qword(), -1)),
        is("mov ecx,0xffffffff", a -> a.mov(RCX, 0xFFFF_FFFFL)),
        is("mov rcx,0xffffffffffffffff", a -> a.mov(RCX, -1)),
        is("movabs r10,0x123456789abcdef0", a -> a.mov(R10, 0x123456789ABCDEF0L)),
        is("movabs al,ds:0x1122334455667788", a -> a.movAbsolute(AL, 0x1122334455667788L, false)),
        is("mov ds,eax", a -> a.mov(DS, EAX)),
        is("mov ax,fs", a -> a.mov(AX, FS)),
        is("mov WORD PTR [rbx],fs", a -> a.mov(at(RBX), FS)),
        is("mov cr3,rdi", a -> a.mov(CR3, RDI)),
        is("mov r9,cr8", a -> a.mov(R9, CR8)),
        is("mov dr7,rax", a -> a.mov(DebugRegister.DR7, RAX)),
        is("movzx eax,BYTE PTR [rsi]", a -> a.movzx(EAX, at(RSI).byteWide())),
        is("movzx r8d,r9w", a -> a.movzx(R8D, R9W)),
        is("movsx rax,dil", a -> a.movsx(RAX, DIL)),
        is("movsxd rdx,DWORD PTR [rcx]", a -> a.movsx(RDX, at(RCX).dword())),
        is("lea r15,[rsp+0x100]", a -> a.lea(R15, at(RSP, 0x100))),
        is("xchg QWORD PTR [rdx],rax", a -> a.xchg(at(RDX), RAX)),
        is("bswap r11", a -> a.bswap(R11)),
        is("push r14", a -> a.push(R14)),
        is("push ax", a -> a.push(AX)),
        is("push fs", a -> a.push(FS)),
        is("pop gs", a -> a.pop(GS)),
        is("push 0x12345678", a -> a.push(0x12345678)),
        is("push QWORD PTR [rax]", a -> a.push(at(RAX).qword())),
        is("pop QWORD PTR [rax]", a -> a.pop(at(RAX).qword())),
        is("add eax,0x7f", a -> a.add(EAX, 127)),
        is("add rax,0x80", a -> a.add(RAX, 128)),
        is("or BYTE PTR [rbx],0x80", a -> a.or(at(RBX).byteWide(), 0x80)),
        is("adc bl,BYTE PTR [rax]", a -> a.adc(BL, at(RAX))),
        is("sbb rdx,rdx", a -> a.sbb(RDX, RDX)),
        is("and esp,0xfffffff0", a -> a.and(ESP, -16)),
        is("sub WORD PTR [rbx],0x1234", a -> a.sub(at(RBX).word(), 0x1234)),
        is("xor r8d,r8d", a -> a.xor(R8D, R8D)),
        is("cmp dh,0x1", a -> a.cmp(DH, 1)),
        is("test rax,rax", a -> a.test(RAX, RAX)),
        is("test BYTE PTR [rdi],0x1", a -> a.test(at(RDI).byteWide(), 1)),
        is("inc QWORD PTR [rax]", a -> a.inc(at(RAX).qword())),
        is("dec r8w", a -> a.dec(R8W)),
        is("not cl", a -> a.not(CL)),
        is("neg rbx", a -> a.neg(RBX)),
        is("mul r9", a -> a.mul(R9)),
        is("imul cl", a -> a.imul(CL)),
        is("div ecx", a -> a.div(ECX)),
        is("idiv QWORD PTR [rbx]", a -> a.idiv(at(RBX).qword())),
        is("imul rax,rbx", a -> a.imul(RAX, RBX)),
        is("imul eax,DWORD PTR [rdi],0x64", a -> a.imul(EAX, at(RDI), 100)),
        is("imul rax,rax,0x12345", a -> a.imul(RAX, RAX, 0x12345)),
        is("cdqe", Assembler::cdqe),
        is("cqo", Assembler::cqo),
        is("cwde", a -> a.extendAccumulator(4)),
        is("cwd", a -> a.extendIntoDx(2)));
  }

  private static List<Case> bits() {
    return List.of(
        is("shl rax,1", a -> a.shl(RAX, 1)),
        is("sar eax,0x1f", a -> a.sar(EAX, 31)),
        is("shr BYTE PTR [rdi],cl", a -> a.shrCl(at(RDI).byteWide())),
        is("ror r8w,0x3", a -> a.ror(R8W, 3)),
        is("rcl edx,cl", a -> a.rclCl(EDX)),
        is("shld rax,rbx,0x4", a -> a.shld(RAX, RBX, 4)),
        is("shrd DWORD PTR [rax],ecx,cl", a -> a.shrdCl(at(RAX), ECX)),
        is("bt QWORD PTR [rdi],rsi", a -> a.bt(at(RDI), RSI)),
        is("bts eax,0x5", a -> a.bts(EAX, 5)),
        is("btc QWORD PTR [rax],0x3f", a -> a.btc(at(RAX).qword(), 63)),
        is("bsf rax,rcx", a -> a.bsf(RAX, RCX)),
        is("tzcnt ax,cx", a -> a.tzcnt(AX, CX)),
        is("popcnt r8,QWORD PTR [rdi]", a -> a.popcnt(R8, at(RDI))),
        is("cmovne rax,QWORD PTR [rbx]", a -> a.cmov(Condition.NE, RAX, at(RBX))),
        is("sete r10b", a -> a.set(Condition.E, R10B)),
        is("setg BYTE PTR [rax]", a -> a.set(Condition.G, at(RAX))),
        is(
            "lock xadd QWORD PTR [rdi],rax",
            a -> {
              a.lock();
              a.xadd(at(RDI), RAX);
            }),
        is("cmpxchg BYTE PTR [rdi],cl", a -> a.cmpxchg(at(RDI), CL)),
        is("cmpxchg16b OWORD PTR [r8]", a -> a.cmpxchg16b(at(R8))),
        is(
            "rep movs QWORD PTR es:[rdi],QWORD PTR ds:[rsi]",
            a -> {
              a.rep();
              a.movs(8);
            }),
        is(
            "repnz scas al,BYTE PTR es:[rdi]",
            a -> {
              a.repne();
              a.scas(1);
            }));
  }

  private static List<Case> system() {
    return List.of(
        is("jmp QWORD PTR [rax]", a -> a.jmp(at(RAX))),
        is("call r11", a -> a.call(R11)),
        is("jmp FWORD PTR [rbx]", a -> a.jmpFar(at(RBX), 4)),
        is("rex.W jmp FWORD PTR [rbx]", a -> a.jmpFar(at(RBX), 8)),
        is("retfq", Assembler::retfq),
        is("iretq", Assembler::iretq),
        is("sysretq", Assembler::sysretq),
        is("swapgs", Assembler::swapgs),
        is("invlpg BYTE PTR [rdi]", a -> a.invlpg(at(RDI))),
        is("invpcid rax,[rsi]", a -> a.invpcid(RAX, at(RSI))),
        is("lgdt [rsp+0x4]", a -> a.lgdt(at(RSP, 4))),
        is("lidt [rax]", a -> a.lidt(at(RAX))),
        is("ltr cx", a -> a.ltr(CX)),
        is("wrgsbase rax", a -> a.wrgsbase(RAX)),
        is("in al,dx", a -> a.in(AL)),
        is("out 0x80,eax", a -> a.out(0x80, EAX)),
        is("endbr64", Assembler::endbr64),
        is("pause", Assembler::pause),
        is("nop DWORD PTR [rax+rax*1]", a -> a.nop(at(RAX, RAX, 1, 0).dword())),
        is("mfence", Assembler::mfence),
        is("stac", Assembler::stac),
        is("int 0x80", a -> a.int_(0x80)),
        is("enter 0x20,0x0", a -> a.enter(32)));
  }

  private static List<Case> sse() {
    return List.of(
        is("movaps xmm1,XMMWORD PTR [rdi]", a -> a.movaps(XMM1, at(RDI))),
        is("movdqu XMMWORD PTR [r9],xmm12", a -> a.movdqu(at(R9), XMM12)),
        is("movq xmm9,rax", a -> a.movq(XMM9, RAX)),
        is("movq r8,xmm1", a -> a.movq(R8, XMM1)),
        is("movd eax,xmm1", a -> a.movd(EAX, XMM1)),
        is("movq QWORD PTR [rax],xmm1", a -> a.movq(at(RAX), XMM1)),
        is("addsd xmm1,xmm9", a -> a.addsd(XMM1, XMM9)),
        is("cvtsi2sd xmm1,r8", a -> a.cvtsi2sd(XMM1, R8)),
        is("cvttsd2si rax,xmm12", a -> a.cvttsd2si(RAX, XMM12)),
        is("pmovmskb eax,xmm9", a -> a.pmovmskb(EAX, XMM9)),
        is("pshufd xmm1,xmm9,0x1b", a -> a.pshufd(XMM1, XMM9, 0x1B)),
        is("pshufb xmm12,XMMWORD PTR [r12]", a -> a.sse(0x660F_3800, XMM12, at(R12))),
        is("pcmpistri xmm1,xmm9,0x1a", a -> a.sse(0x660F_3A63, XMM1, XMM9, 0x1A)),
        is("fxsave64 [rdi]", a -> a.fxsave64(at(RDI))),
        is("fxrstor [rdi]", a -> a.fxrstor(at(RDI))),
        is("ldmxcsr DWORD PTR [rsp-0x8]", a -> a.ldmxcsr(at(RSP, -8))),
        is("fninit", Assembler::fninit),
        is("fld TBYTE PTR [rax]", a -> a.x87(0xDB, 5, at(RAX))));
  }

  @Test
  void everyInstructionReadsBackAsWritten() throws Exception {
    List<Case> cases = new ArrayList<>();
    cases.addAll(integer());
    cases.addAll(bits());
    cases.addAll(system());
    cases.addAll(sse());
    Assembler a = new Assembler(0);
    for (Case one : cases) {
      one.emit.accept(a);
    }
    assertThat(disassemble(a.assemble(), "i386:x86-64"))
        .containsExactlyElementsOf(cases.stream().map(Case::disassembly).toList());
  }

  @Test
  void labelsResolveInBothDirections() throws Exception {
    Assembler a = new Assembler(0);
    Label data = a.label();
    Label top = a.labelHere();
    a.lea(RAX, at(data));
    a.cmp(at(data).dword(), 0x12345678);
    a.j(Condition.NE, top);
    a.jmp(data);
    a.call(top);
    a.mov(RAX, data);
    a.bind(data);
    a.nop();
    int end = a.size() - 1;
    String to = "0x" + Integer.toHexString(end);
    List<String> lines = disassemble(a.assemble(), "i386:x86-64");
    assertThat(lines.get(0)).startsWith("lea rax,[rip+").endsWith("# " + to);
    assertThat(lines.get(1)).startsWith("cmp DWORD PTR [rip+").endsWith("# " + to);
    assertThat(lines.subList(2, 7))
        .containsExactly("jne 0x0", "jmp " + to, "call 0x0", "movabs rax," + to, "nop");
  }

  @Test
  void code32UsesThirtyTwoBitDefaults() throws Exception {
    Assembler a = new Assembler(0);
    a.code32();
    Label far = a.label();
    a.mov(EAX, at(ESP, 4));
    a.mov(AX, absolute(0x1234));
    a.push(EBX);
    a.push(DS);
    a.lea(EDI, at(EBX, ECX, 2, 0));
    a.mov(at(far).dword(), 7);
    a.mov(AL, at(BX, SI, 1, 0));
    a.jmpFar(8, far);
    a.bind(far);
    a.nop();
    assertThat(disassemble(a.assemble(), "i386"))
        .containsExactly(
            "mov eax,DWORD PTR [esp+0x4]",
            "mov ax,WORD PTR ds:0x1234",
            "push ebx",
            "push ds",
            "lea edi,[ebx+ecx*2]",
            "mov DWORD PTR ds:0x24,0x7",
            "mov al,BYTE PTR [bx+si]",
            "jmp 0x8:0x24",
            "nop");
  }

  @Test
  void code16UsesSixteenBitDefaults() throws Exception {
    Assembler a = new Assembler(0);
    a.code16();
    a.mov(EAX, ControlRegister.CR0);
    a.or(EAX, 1);
    a.mov(AX, at(BP));
    a.mov(at(DI, 0x20), BX);
    a.mov(ECX, at(EBX, 4));
    assertThat(disassemble(a.assemble(), "i8086"))
        .containsExactly(
            "mov eax,cr0",
            "or eax,0x1",
            "mov ax,WORD PTR [bp+0x0]",
            "mov WORD PTR [di+0x20],bx",
            "mov ecx,DWORD PTR [ebx+0x4]");
  }

  @Test
  void directivesPlaceData() {
    Assembler a = new Assembler(0x1001);
    a.db(1);
    a.align(4);
    a.dw(0x0302);
    a.org(0x1008);
    Label here = a.labelHere();
    a.dq(here, 1);
    a.ascii("ab");
    assertThat(a.assemble())
        .containsExactly(1, 0, 0, 2, 3, 0, 0, 9, 0x10, 0, 0, 0, 0, 0, 0, 'a', 'b');
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 4})
  void whatCannotBeEncodedIsRejected(int which) {
    Assembler a = new Assembler(0);
    List<Runnable> attempts =
        List.of(
            () -> a.mov(AH, R8B),
            () -> a.mov(RAX, EBX),
            () -> a.inc(at(RAX)),
            () -> a.add(RAX, 0x1_0000_0000L),
            () -> a.mov(EAX, at(BX)));
    assertThatThrownBy(attempts.get(which)::run).isInstanceOf(IllegalArgumentException.class);
  }

  /** Lines of objdump without addresses and bytes, blanks made single. */
  private List<String> disassemble(byte[] code, String machine)
      throws IOException, InterruptedException {
    Path objdump = Path.of("/usr/bin/objdump");
    assumeTrue(Files.isExecutable(objdump), "no objdump on this machine");
    Path file = Files.write(directory.resolve("code"), code);
    Process process =
        new ProcessBuilder(
                objdump.toString(),
                "-D",
                "-b",
                "binary",
                "-m",
                machine,
                "-M",
                "intel",
                "-w",
                "--no-show-raw-insn",
                file.toString())
            .redirectErrorStream(true)
            .start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(text).isZero();
    return text.lines()
        .filter(line -> line.matches("\\s*[0-9a-f]+:\\s.*"))
        .map(line -> line.replaceFirst("^\\s*[0-9a-f]+:\\s*", "").replaceAll("\\s+", " ").strip())
        .toList();
  }
}
