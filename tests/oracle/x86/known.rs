//! What the manuals say of operands and states on which emulators were found to be wrong, by hand: the processor that this
//! runs on confirms it, and the emulator must do it.

use super::super::Oracle;
use super::machine::{self, Machine};
use super::record::{
    CODE, CODE_BYTES, CODE_SIZE, CODE32, CODE64, ENDLESS, FLAT, HLT, READ_ONLY, Record, WINDOW, WINDOW_SIZE, field,
    vector,
};
use super::words::{insn, row_of};
use super::{host, oracle};
use bytemuck::Zeroable;
use emu_frontend_x86::state::bits::eflags::{AF, CF, OF, PF, SF, ZF};
use emu_jit::engine::Accel;

/// A part of a state: given before, or what becomes of it.
#[derive(Clone, Copy)]
enum Part {
    /// A general register.
    R(usize, u64),
    /// Flags, and what they are; the others are not looked at.
    F(u32, u32),
    /// Bytes of the window, from a distance from its start on.
    M(usize, &'static [u8]),
    /// Bytes of the window that are not looked at.
    Any(usize, usize),
    /// A vector register.
    Y(usize, [u64; 4]),
    /// ST(n): its significand, and sign and exponent.
    St(usize, u64, u16),
    /// x87's control word, status word, and which registers are not empty.
    X87(u16, u16, u16),
    /// x87's last instruction: opcode and address.
    Last(u16, u64),
    Mxcsr(u32),
    /// Bytes outside of the window that change.
    Change(u64, &'static [u8]),
    /// An exception with its error code and CR2, instead of HLT's.
    Stop(u32, u32, u64),
    /// Where it is then: so many bytes of code were done.
    After(u64),
    /// Where it is then.
    At(u64),
    /// Where it starts.
    From(u64),
    /// What kind of code it is.
    Cs(u16),
}
use Part::*;

/// What the case is about, code, the state before, and what differs after it. All else is as it was.
type Case = (&'static str, &'static [u8], &'static [Part], &'static [Part]);

const START: u64 = CODE + 0x1000;
const END: u64 = CODE + CODE_SIZE as u64;
const FLAGS: u32 = CF | PF | AF | ZF | SF | OF;
/// Where the stack is before.
const STACK: u64 = WINDOW + 512;
const ABSENT: u64 = 0x6000_0000;
const ONE: u32 = 0x3f80_0000;
const UD: Part = Stop(vector::UD, 0, 0);

const fn f32s(low: u32) -> [u64; 4] {
    [low as u64, 0, 0, 0]
}
/// A page fault of a store to a page that is there, or of another access to one that is not.
const fn write_fault(at: u64) -> Part {
    Stop(vector::PF, 7, at)
}

const RAX: usize = 0;
const RCX: usize = 1;
const RDX: usize = 2;
const RSP: usize = 4;
const RBP: usize = 5;
const RSI: usize = 6;
const RDI: usize = 7;

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Stores that cross into a page that may not be written, or is not there: nothing is stored. SDM 3, "Interrupt 14".
    ("mov [rdi], rax", &[0x48, 0x89, 0x07], &[R(RAX, !0), R(RDI, READ_ONLY - 4)], &[write_fault(READ_ONLY), After(0)]),
    ("mov [rdi], rax", &[0x48, 0x89, 0x07], &[R(RAX, !0), R(RDI, END - 4)], &[Stop(vector::PF, 6, END), After(0)]),
    ("add [rdi], rax", &[0x48, 0x01, 0x07], &[R(RAX, !0), R(RDI, READ_ONLY - 1)], &[write_fault(READ_ONLY), After(0)]),
    // So is what compares, even if the comparison fails, and what is locked. SDM 2, CMPXCHG8B; SDM 3, "Interrupt 14".
    ("cmpxchg8b [rdi]", &[0x0f, 0xc7, 0x0f], &[R(RAX, 5), R(RDI, READ_ONLY - 4)], &[write_fault(READ_ONLY), After(0)]),
    ("lock cmpxchg [rdi], rcx", &[0xf0, 0x48, 0x0f, 0xb1, 0x0f], &[R(RAX, 5), R(RDI, END - 4)], &[Stop(vector::PF, 6, END), After(0)]),
    ("lock add [rdi], rax", &[0xf0, 0x48, 0x01, 0x07], &[R(RAX, !0), R(RDI, END - 4)], &[Stop(vector::PF, 6, END), After(0)]),
    // Flags are as before an instruction that faults.
    ("cmp eax, eax; sub [rdi], eax", &[0x39, 0xc0, 0x29, 0x07], &[R(RAX, 5), R(RDI, READ_ONLY), F(FLAGS, CF)],
        &[F(FLAGS, ZF | PF), write_fault(READ_ONLY), After(2)]),
    // A count of 0 changes no flag, but the register's upper half. SDM 2, SAL/SAR/SHL/SHR.
    ("xor ecx, ecx; shl eax, cl", &[0x31, 0xc9, 0xd3, 0xe0], &[R(RAX, 0xffff_ffff_0000_0001), R(RCX, 7)],
        &[R(RAX, 1), R(RCX, 0), F(FLAGS, ZF | PF)]),
    ("rol eax, 32", &[0xc1, 0xc0, 0x20], &[R(RAX, !0), F(FLAGS, CF | OF)], &[R(RAX, 0xffff_ffff), F(FLAGS, CF | OF)]),
    // REX does not count unless it is last. SDM 2, 2.2.1.
    ("rex.w 66 mov ax, cx", &[0x48, 0x66, 0x89, 0xc8], &[R(RAX, !0), R(RCX, 0x1234_5678_9abc_def0)], &[R(RAX, 0xffff_ffff_ffff_def0)]),
    ("66 rex.w mov rax, rcx", &[0x66, 0x48, 0x89, 0xc8], &[R(RAX, !0), R(RCX, 0x1234_5678_9abc_def0)], &[R(RAX, 0x1234_5678_9abc_def0)]),
    // At most 15 bytes. SDM 3, "Interrupt 13".
    ("14 prefixes, nop", &[0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90], &[], &[]),
    ("15 prefixes, nop", &[0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90], &[],
        &[After(0)]),
    // Of 15 bytes, one that cannot be fetched comes first.
    ("15 prefixes across a page", &[0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90],
        &[From(END - 4)], &[Stop(vector::PF, 0x14, END), After(0)]),
    // No byte is fetched that the instruction does not need.
    ("ret in the last byte", &[0xc3], &[From(END - 1), M(512, &[0x10, 0, 0, 0x28])], &[R(RSP, STACK + 8), At(CODE + 0x10)]),
    ("mov eax, cut", &[0xb8, 0], &[From(END - 2)], &[Stop(vector::PF, 0x14, END), After(0)]),
    // 66 before a near branch, as AMD has it; in 32-bit code all do so. APM 3, "Near branches"; SDM 2, JMP.
    ("66 jmp +0", &[0x66, 0xe9, 0, 0, 0, 0], &[], &[Stop(vector::PF, 0x14, 0x1004), At(0x1004)]),
    ("66 jmp +0", &[0x66, 0xe9, 0, 0], &[Cs(CODE32)], &[Stop(vector::PF, 0x14, 0x1004), At(0x1004)]),
    // VEX: vvvv that is not used, prefixes before it. SDM 2, 2.3.
    ("vmovaps with vvvv", &[0xc5, 0x70, 0x28, 0xc1], &[], &[UD, After(0)]),
    ("66 vmovaps", &[0x66, 0xc5, 0xf8, 0x28, 0xc1], &[], &[UD, After(0)]),
    ("rex vmovaps", &[0x40, 0xc5, 0xf8, 0x28, 0xc1], &[], &[UD, After(0)]),
    ("les of a register", &[0xc4, 0xc0, 0, 0], &[Cs(CODE32)], &[UD, After(0)]),
    // Forms that do not exist.
    ("lea eax, eax", &[0x8d, 0xc0], &[], &[UD, After(0)]),
    ("c6 /1", &[0xc6, 0xc8, 0], &[], &[UD, After(0)]),
    ("movmskps of memory", &[0x0f, 0x50, 0x07], &[R(RDI, WINDOW)], &[UD, After(0)]),
    ("xchg r8d, eax", &[0x41, 0x90], &[R(RAX, 0xa_0000_0001), R(8, 0xb_0000_0002)], &[R(RAX, 2), R(8, 1)]),
    ("pause", &[0xf3, 0x90], &[R(RAX, 0xa_0000_0001)], &[]),
    // What the manual leaves open and processors agree upon.
    ("bsf edx, ecx of 0", &[0x0f, 0xbc, 0xd1], &[R(RDX, 0x1122_3344_5566_7788)], &[F(ZF, ZF)]),
    ("bsr edx, ecx of 0", &[0x0f, 0xbd, 0xd1], &[R(RDX, 0x1122_3344_5566_7788)], &[F(ZF, ZF)]),
    ("and eax, ecx", &[0x21, 0xc8], &[R(RAX, 0xf0), R(RCX, 0x80), F(FLAGS, FLAGS)], &[R(RAX, 0x80), F(FLAGS, 0)]),
    ("bswap ax", &[0x66, 0x0f, 0xc8], &[R(RAX, 0x1_1234)], &[R(RAX, 0x1_0000)]),
    // Carry out of the sum of three.
    ("adc al, ff", &[0x14, 0xff], &[F(FLAGS, CF)], &[F(FLAGS, CF | AF | ZF | PF)]),
    ("sbb al, ff", &[0x1c, 0xff], &[F(FLAGS, CF)], &[F(FLAGS, CF | AF | ZF | PF)]),
    // A bit's index in a register is signed; one in the instruction is cut. SDM 2, BT.
    ("bt [rdi], rax", &[0x48, 0x0f, 0xa3, 0x07], &[R(RAX, !0), R(RDI, WINDOW + 8), M(7, &[0x80])], &[F(CF | ZF, CF)]),
    ("btr [rdi], 64", &[0x48, 0x0f, 0xba, 0x37, 0x40], &[R(RDI, WINDOW + 8), M(8, &[3])], &[F(CF | ZF, CF), M(8, &[2])]),
    // BMI. SDM 2, BLSMSK, BZHI, ADOX.
    ("blsmsk ecx, edx of 0", &[0xc4, 0xe2, 0x70, 0xf3, 0xd2], &[], &[R(RCX, 0xffff_ffff), F(CF | ZF | SF | OF, CF | SF)]),
    ("bzhi eax, ecx, edx", &[0xc4, 0xe2, 0x68, 0xf5, 0xc1], &[R(RCX, 0x1234_5678), R(RDX, 0xc6)],
        &[R(RAX, 0x1234_5678), F(CF | ZF | SF | OF, CF)]),
    ("bzhi eax, ecx, edx", &[0xc4, 0xe2, 0x68, 0xf5, 0xc1], &[R(RCX, 0x1234_5678), R(RDX, 0x100)],
        &[R(RAX, 0), F(CF | ZF | SF | OF, ZF)]),
    ("adox eax, ecx", &[0xf3, 0x0f, 0x38, 0xf6, 0xc1], &[R(RAX, 0xffff_ffff), R(RCX, 1), F(FLAGS, CF | SF)],
        &[R(RAX, 0), F(FLAGS, CF | SF | OF)]),
    // Quotients that do not fit, and one that just does. SDM 2, IDIV, AAM.
    ("idiv rcx", &[0x48, 0xf7, 0xf9], &[R(RAX, 1 << 63), R(RDX, !0), R(RCX, !0)], &[Stop(vector::DE, 0, 0), After(0)]),
    ("idiv cl", &[0xf6, 0xf9], &[R(RAX, 0xfd80), R(RCX, 5)], &[R(RAX, 0x80), F(0, 0)]),
    ("div ecx of 0", &[0xf7, 0xf1], &[R(RAX, 9)], &[Stop(vector::DE, 0, 0), After(0)]),
    ("aam 0", &[0xd4, 0], &[R(RAX, 9), Cs(CODE32)], &[Stop(vector::DE, 0, 0), After(0)]),
    // POP addresses memory after it adds, and adds nothing if that faults; 66 does not cut the stack pointer. SDM 2, POP, LEAVE.
    ("pop qword [rsp]", &[0x8f, 0x04, 0x24], &[M(512, &[0x5a])], &[M(520, &[0x5a]), R(RSP, STACK + 8)]),
    ("pop qword [rdi]", &[0x8f, 0x07], &[R(RDI, READ_ONLY)], &[write_fault(READ_ONLY), After(0)]),
    ("push rax", &[0x50], &[R(RSP, READ_ONLY + 8)], &[write_fault(READ_ONLY), After(0)]),
    ("66 leave", &[0x66, 0xc9], &[R(RBP, WINDOW + 600), M(600, &[0x34, 0x12])],
        &[R(RSP, WINDOW + 602), R(RBP, 0x1000_1234)]),
    // What pushes several faults where the first that cannot be pushed would be, and has pushed none. SDM 2, PUSHA, ENTER.
    ("pushad", &[0x60], &[R(RSP, READ_ONLY + 0x10), Cs(CODE32)], &[write_fault(READ_ONLY + 0xc), After(0)]),
    ("enter 0, 1", &[0xc8, 0, 0, 1], &[R(RSP, READ_ONLY + 8), R(RBP, WINDOW + 512)], &[write_fault(READ_ONLY), After(0)]),
    // Strings: at a fault the elements that are done are; none touches nothing; an overlap repeats. SDM 2, REP.
    ("rep movsb", &[0xf3, 0xa4], &[R(RCX, 10), R(RSI, WINDOW), R(RDI, READ_ONLY - 3), M(0, &[1, 2, 3, 4])],
        &[R(RCX, 7), R(RSI, WINDOW + 3), R(RDI, READ_ONLY), Change(READ_ONLY - 3, &[1, 2, 3]), write_fault(READ_ONLY), After(0)]),
    ("rep stosb of none", &[0xf3, 0xaa], &[R(RDI, ABSENT)], &[]),
    ("rep movsb over itself", &[0xf3, 0xa4], &[R(RCX, 5), R(RSI, WINDOW + 8), R(RDI, WINDOW + 9), M(8, &[0xab, 1, 2])],
        &[R(RCX, 0), R(RSI, WINDOW + 13), R(RDI, WINDOW + 14), M(9, &[0xab, 0xab, 0xab, 0xab, 0xab])]),
    // Two forms of tags. SDM 1, "x87 FPU Tag Word".
    ("fninit; fld1; fldz; fnstenv [rdi]", &[0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xee, 0xd9, 0x37], &[R(RDI, WINDOW), X87(0, 0, 0)],
        &[X87(0x37f, 0x3000, 0xc0), St(1, 1 << 63, 0x3fff), Any(12, 16),
            M(0, &[0x7f, 3, 0xff, 0xff, 0, 0x30, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff])]),
    // Precision control is of arithmetic, not of loads; remainders and their quotients' bits. SDM 1, 8.1.5.2; SDM 2, FPREM.
    ("fld1; fldpi; fdivp", &[0xd9, 0xe8, 0xd9, 0xeb, 0xde, 0xf9], &[X87(0x7f, 0, 0)],
        &[X87(0x7f, 0x3820, 0x80), St(0, 0xa2f9_8300_0000_0000, 0x3ffd), St(7, 0xc90f_daa2_2168_c235, 0x4000)]),
    ("fprem of 7 by 4", &[0xd9, 0xf8], &[X87(0x37f, 0, 3), St(0, 7 << 61, 0x4001), St(1, 1 << 63, 0x4001)],
        &[X87(0x37f, 0x200, 3), St(0, 3 << 62, 0x4000)]),
    ("fprem of 13 by 2", &[0xd9, 0xf8], &[X87(0x37f, 0, 3), St(0, 13 << 60, 0x4002), St(1, 1 << 63, 0x4000)],
        &[X87(0x37f, 0x4100, 3), St(0, 1 << 63, 0x3fff)]),
    ("fprem twice of 2^100 by 3", &[0xd9, 0xf8, 0xd9, 0xf8], &[X87(0x37f, 0, 3), St(0, 1 << 63, 0x3fff + 100), St(1, 3 << 62, 0x4000)],
        &[X87(0x37f, 0x300, 3), St(0, 1 << 63, 0x3fff)]),
    // An unmasked exception is reported by the next instruction that waits. SDM 1, 8.7.
    ("fld1; fldz; fdivp; mov [rdi], eax; fwait", &[0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x89, 0x07, 0x9b],
        &[R(RAX, 0x1234), R(RDI, WINDOW), X87(0x37b, 0, 0)],
        &[X87(0x37b, 0xb084, 0xc0), St(1, 1 << 63, 0x3fff), Last(0x6f9, START + 4), M(0, &[0x34, 0x12]), Stop(vector::MF, 0, 0), After(8)]),
    // Stack faults, and what is empty. SDM 1, 8.5.1.1; SDM 2, FXAM.
    ("fld1 on a full stack", &[0xd9, 0xe8], &[X87(0x37f, 0, 0xff)], &[X87(0x37f, 0x3a41, 0xff), St(0, 3 << 62, 0xffff)]),
    ("faddp on an empty stack", &[0xde, 0xc1], &[X87(0x37f, 0, 0)], &[X87(0x37f, 0x841, 2), St(0, 3 << 62, 0xffff)]),
    ("fninit; fxam", &[0xdb, 0xe3, 0xd9, 0xe5], &[X87(0, 0, 0xff)], &[X87(0x37f, 0x4100, 0)]),
    // MMX takes the stack only if it is carried out. SDM 3, 12.2.
    ("fninit; movq mm1, [0]", &[0xdb, 0xe3, 0x0f, 0x6f, 0x0c, 0x25, 0, 0, 0, 0], &[X87(0, 0x3800, 0xff)],
        &[X87(0x37f, 0, 0), Stop(vector::PF, 4, 0), After(2)]),
    ("movq mm1, rax", &[0x48, 0x0f, 0x6e, 0xc8], &[R(RAX, 0x1234), X87(0x37f, 0x1800, 0)],
        &[X87(0x37f, 0, 0xff), St(1, 0x1234, 0xffff)]),
    // NaNs, MIN, conversions. SDM 1, 4.8.3.4; SDM 2, MINSS, CVTTSS2SI.
    ("addss xmm0, xmm1", &[0xf3, 0x0f, 0x58, 0xc1], &[Y(0, f32s(0x7fa0_0001)), Y(1, f32s(0xffc0_0002))],
        &[Y(0, f32s(0x7fe0_0001)), Mxcsr(0x1f81)]),
    ("minss xmm0, xmm1", &[0xf3, 0x0f, 0x5d, 0xc1], &[Y(0, f32s(ONE)), Y(1, f32s(0x7fa0_0001))],
        &[Y(0, f32s(0x7fa0_0001)), Mxcsr(0x1f81)]),
    ("minss xmm0, xmm1", &[0xf3, 0x0f, 0x5d, 0xc1], &[Y(1, f32s(1 << 31))], &[Y(0, f32s(1 << 31))]),
    ("cvttss2si eax, xmm1", &[0xf3, 0x0f, 0x2c, 0xc1], &[Y(1, f32s(0x4f80_0000))], &[R(RAX, 1 << 31), Mxcsr(0x1f81)]),
    ("subss xmm0, xmm1", &[0xf3, 0x0f, 0x5c, 0xc1], &[Y(0, f32s(0x7f80_0000)), Y(1, f32s(0x7f80_0000))],
        &[Y(0, f32s(0xffc0_0000)), Mxcsr(0x1f81)]),
    // Alignment is of operands without VEX. SDM 2, 2.4.
    ("paddd xmm0, [rdi+8]", &[0x66, 0x0f, 0xfe, 0x47, 0x08], &[R(RDI, WINDOW)], &[After(0)]),
    ("vpaddd xmm0, xmm1, [rdi+8]", &[0xc5, 0xf1, 0xfe, 0x47, 0x08], &[R(RDI, WINDOW), M(8, &[5]), Y(0, [1; 4]), Y(1, [1; 4])],
        &[Y(0, [6, 1, 0, 0])]),
    // MXCSR. SDM 1, 10.2.3.
    ("ldmxcsr of a reserved bit", &[0x0f, 0xae, 0x17], &[R(RDI, WINDOW), M(2, &[1])], &[After(0)]),
    ("mulss, DAZ", &[0xf3, 0x0f, 0x59, 0xc1], &[Y(0, f32s(1)), Y(1, f32s(ONE)), Mxcsr(0x1fc0)], &[Y(0, f32s(0))]),
    ("mulss of a denormal", &[0xf3, 0x0f, 0x59, 0xc1], &[Y(0, f32s(1)), Y(1, f32s(ONE))], &[Mxcsr(0x1f82)]),
    ("mulss, FTZ", &[0xf3, 0x0f, 0x59, 0xc1], &[Y(0, f32s(0x0080_0000)), Y(1, f32s(0x3f00_0000)), Mxcsr(0x9f80)],
        &[Y(0, f32s(0)), Mxcsr(0x9fb0)]),
    ("divss by 0, unmasked", &[0xf3, 0x0f, 0x5e, 0xc1], &[Y(0, f32s(ONE)), Mxcsr(0x1d80)],
        &[Mxcsr(0x1d84), Stop(vector::XM, 0, 0), After(0)]),
    // Upper halves. SDM 1, 14.1.1, 13.8.
    ("vmovaps xmm0, xmm1", &[0xc5, 0xf8, 0x28, 0xc1], &[Y(0, [1; 4]), Y(1, [2; 4])], &[Y(0, [2, 2, 0, 0])]),
    ("movaps xmm0, xmm1", &[0x0f, 0x28, 0xc1], &[Y(0, [1; 4]), Y(1, [2; 4])], &[Y(0, [2, 2, 1, 1])]),
    ("vzeroupper of 32-bit code", &[0xc5, 0xf8, 0x77], &[Y(7, [1; 4]), Y(8, [1; 4]), Cs(CODE32)], &[Y(7, [1, 1, 0, 0])]),
    ("xsavec [rdi]; and byte [rdi+512], ~4; xrstor [rdi]",
        &[0x0f, 0xc7, 0x27, 0x80, 0xa7, 0, 2, 0, 0, 0xfb, 0x0f, 0xae, 0x2f], &[R(RAX, 6), R(RDI, WINDOW), Y(5, [1, 2, 3, 4])],
        &[Y(5, [1, 2, 0, 0]), F(0, 0), Any(0, WINDOW_SIZE)]),
    ("xsave, misaligned", &[0x0f, 0xae, 0x27], &[R(RAX, 7), R(RDI, WINDOW + 16)], &[After(0)]),
];

impl Part {
    /// Make it so.
    fn set(self, r: &mut Record) {
        match self {
            R(n, value) => r.regs[n] = value,
            F(mask, value) => r.flags = r.flags & !mask | value,
            M(at, bytes) => r.memory()[at..at + bytes.len()].copy_from_slice(bytes),
            Y(n, value) => r.ymm[n] = bytemuck::cast(value),
            St(n, significand, exponent) => {
                r.st[n] = (u128::from(exponent) << 64 | u128::from(significand)).to_le_bytes();
            }
            X87(control, status, tags) => (r.control, r.status, r.tags) = (control, status, tags),
            Last(opcode, at) => (r.opcode, r.pointers[0]) = (opcode, at),
            Mxcsr(value) => r.mxcsr = value,
            Change(at, bytes) => {
                (r.changed_at, r.changed_by) = (at, bytes.len() as u32);
                r.changed[..bytes.len()].copy_from_slice(bytes);
            }
            Stop(vector, error, cr2) => (r.vector, r.error, r.cr2) = (vector, error, cr2),
            After(bytes) => r.rip -= u64::from(r.length) - bytes,
            At(rip) | From(rip) => r.rip = rip,
            Cs(selector) => {
                r.cs = selector;
                (r.ds, r.es) = (FLAT, FLAT);
            }
            Any(..) => {}
        }
    }
}

/// The state before, and what is to become of it.
fn records((_, code, given, then): &Case) -> (Record, Record) {
    let mut before = Record {
        code: [HLT; CODE_BYTES],
        rip: START,
        cs: CODE64,
        length: code.len() as u16,
        ss: FLAT,
        mxcsr: 0x1f80,
        control: 0x37f,
        ..Record::zeroed()
    };
    before.code[..code.len()].copy_from_slice(code);
    before.regs[RSP] = STACK;
    given.iter().for_each(|part| part.set(&mut before));
    let mut after = before;
    after.rip += u64::from(before.length);
    after.vector = vector::GP;
    then.iter().for_each(|part| part.set(&mut after));
    (before, after)
}

/// What differs from what the case says, in words.
fn differences(case: &Case, want: &Record, got: &Record) -> String {
    let mut got = *got;
    let mut want = *want;
    for part in case.3 {
        match *part {
            F(mask, _) => (got.flags, want.flags) = (got.flags & mask, want.flags & mask),
            Any(at, count) => {
                let held = got.memory()[at..at + count].to_vec();
                want.memory()[at..at + count].copy_from_slice(&held);
            }
            Last(..) => want.pointers[1] = got.pointers[1],
            _ => {}
        }
    }
    let words = |r: &Record| bytemuck::cast_slice::<u8, u32>(bytemuck::bytes_of(r)).to_vec();
    let pairs = words(&want).into_iter().zip(words(&got)).enumerate();
    let differ = pairs.filter(|(_, (w, g))| w != g);
    differ
        .map(|(i, (w, g))| format!("\n    {}: is {g:#x}, should be {w:#x}", field(i)))
        .collect()
}

/// Whether the case is of what other makers do otherwise.
fn is_of_amd(case: &Case) -> bool {
    case.0 == "66 jmp +0" && case.2.is_empty()
}

/// What is wrong with what a case became.
fn wrong(what: &str, case: &Case, want: &Record, got: &Record) -> Option<String> {
    let text = differences(case, want, got);
    (!text.is_empty()).then(|| format!("{what}: {}{text}", case.0))
}

#[test]
fn this_processor_does_what_the_manuals_say() {
    let oracle: Oracle = match oracle() {
        Ok(oracle) => oracle,
        Err(reason) => return crate::guest::skipped("what the manuals say, by this processor", &reason),
    };
    let cases: Vec<_> = CASES.iter().filter(|case| host::is_amd() || !is_of_amd(case)).collect();
    let pairs: Vec<_> = cases.iter().map(|case| records(case)).collect();
    let befores: Vec<_> = pairs.iter().map(|(before, _)| *before).collect();

    let afters = oracle.run(&befores);

    let each = cases.iter().zip(&pairs).zip(&afters);
    let mut all = Vec::new();
    for ((case, (_, want)), got) in each {
        let got = got.as_ref().expect("it lives");
        // Linux makes programs wait that lock what crosses lines, where the processor tells it (split_lock_detect).
        if got.vector == ENDLESS && case.0.starts_with("lock ") {
            crate::guest::skipped(case.0, "the kernel is in no hurry with split locks");
            continue;
        }
        all.extend(wrong("this processor", case, want, got));
    }
    assert!(all.is_empty(), "{} of {}:\n{}", all.len(), cases.len(), all.join("\n"));
}

/// Whether an instruction of the case is not translated yet.
fn is_not_yet(case: &Case) -> bool {
    let (mut r, _) = records(case);
    let mut rest = case.1;
    while let Ok(insn) = insn(&r) {
        if rest.is_empty() || machine::is_not_yet(&row_of(insn.row)) {
            return !rest.is_empty();
        }
        rest = rest.get(usize::from(insn.length)..).unwrap_or_default();
        r.code = [HLT; CODE_BYTES];
        r.code[..rest.len()].copy_from_slice(rest);
    }
    false
}

#[test]
fn emu_does_what_the_manuals_say() {
    let accelerators = [Accel::Interp, Accel::Jit].map(|accel| (accel, Machine::new(accel)));
    // The emulated CPU is none of AMD's.
    let (later, now): (Vec<_>, Vec<_>) = CASES
        .iter()
        .filter(|case| !is_of_amd(case))
        .partition(|case| is_not_yet(case));
    let mut all = Vec::new();
    for (accel, mut machine) in accelerators.into_iter().filter_map(|(accel, m)| Some((accel, m?))) {
        for case in &now {
            let (before, want) = records(case);
            let got = machine.run(&before);
            all.extend(wrong(&format!("{accel:?}"), case, &want, &got));
        }
    }
    if !later.is_empty() {
        let reason = format!("{} of {} are not translated yet", later.len(), CASES.len());
        crate::guest::skipped("what the manuals say, in part", &reason);
    }
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n"));
}
