//! The vectors and handlers, at address 0.

use super::code::{Asm, ELR, EQ, ESR, EXCEPTIONS_LEFT, LE, SCTLR, SPSR};
use super::service::{ENDING, ENTRY, SERVICE};
use crate::memory::DEVICE;

/// Where a program goes to end.
pub const END: u32 = 0xb00;
/// Where handlers find what they go on by: the value for SCTLR_EL1, and how to recover: ELR_EL1 and SPSR_EL1.
pub const CONTROL: u32 = 0xbf0;
pub const RECOVERY: u32 = 0xc00;
/// How many ways there are to recover: as many as fit.
pub const WAYS: u32 = 64;
const SYNCHRONOUS: u32 = 0x800;
const INTERRUPT: u32 = 0xa00;
const LAST: u32 = 0xa80;

/// The registers that handlers have for themselves.
const A: u32 = 23;
const B: u32 = 24;

/// Fills the page: SVC has its low bits for PSTATE.M; fetches that fail, what is illegal, and every other branch that was
/// to go elsewhere go on at a place and in a state to recover; other exceptions skip their instruction. In a program of a
/// pair (`paired`) other numbers are for what the CPUs do for one another.
pub fn put_all(page: &mut [u8], paired: bool) {
    for from in (0..0x800).step_by(0x200) {
        for (vector, to) in [(0, SYNCHRONOUS), (0x80, INTERRUPT), (0x100, LAST), (0x180, LAST)] {
            let mut asm = Asm::default();
            asm.branch(to.wrapping_sub(from + vector), false);
            put(page, from + vector, asm);
        }
    }
    put(page, SYNCHRONOUS, synchronous(paired));
    put(page, INTERRUPT, interrupt());
    put(page, LAST, last(paired));
    let mut end = Asm::default();
    end.set(EXCEPTIONS_LEFT, 1);
    end.svc(0);
    end.branch(0u32.wrapping_sub(20), false);
    put(page, END, end);
}

fn put(page: &mut [u8], at: u32, asm: Asm) {
    page[at as usize..][..asm.bytes.len()].copy_from_slice(&asm.bytes);
}

/// Where the parts of the synchronous handler lie behind its start.
const RECOVER: u32 = 0x60;
const SVC: u32 = 0xa0;
const TARGET: u32 = 0xc0;

fn synchronous(paired: bool) -> Asm {
    let mut asm = Asm::default();
    asm.decrement(EXCEPTIONS_LEFT);
    asm.branch_if(LE, LAST - SYNCHRONOUS - asm.len());
    asm.read(ESR, A);
    asm.word(0xd35a_fc00 | A << 5 | B); // LSR B, A, #26
    for (class, to) in [
        (0x15, SVC),
        (0x0d, TARGET),
        (0x0e, RECOVER),
        (0x20, RECOVER),
        (0x21, RECOVER),
        (0x22, RECOVER),
    ] {
        asm.word(0xf100_001f | class << 10 | B << 5); // CMP B, #class
        asm.branch_if(EQ, to - asm.len());
    }
    asm.read(ELR, A);
    asm.word(0x9100_1000 | A << 5 | A); // ADD A, A, #4
    asm.write(ELR, A);
    asm.eret();
    fill(&mut asm, RECOVER);
    recover(&mut asm);
    fill(&mut asm, SVC);
    if paired {
        asm.word(0x3600_0000 | 4 << 19 | 2 << 5 | A); // TBZ A, #4, #8
        asm.branch((SERVICE + ENTRY).wrapping_sub(SYNCHRONOUS + asm.len()), false);
    }
    asm.read(SPSR, B);
    asm.word(0xb340_0c00 | A << 5 | B); // BFI B, A, #0, #4
    asm.write(SPSR, B);
    asm.eret();
    fill(&mut asm, TARGET);
    asm.word(0x3600_0000 | (RECOVER.wrapping_sub(asm.len()) >> 2 & 0x3fff) << 5 | EXCEPTIONS_LEFT); // TBZ
    asm.read(SPSR, A);
    asm.word(0x9274_f400 | A << 5 | A); // AND A, A, #~(3 << 10)
    asm.write(SPSR, A);
    asm.eret();
    asm
}

pub(super) fn fill(asm: &mut Asm, to: u32) {
    assert!(asm.len() <= to, "{:#x} of {to:#x}", asm.len());
    while asm.len() < to {
        asm.word(0xd503_201f);
    }
}

fn recover(asm: &mut Asm) {
    // EL0 runs this page, too: EPAN would keep EL1 from reading it.
    asm.field((0, 4), 0); // MSR PAN, #0
    asm.word(0x9240_1400 | EXCEPTIONS_LEFT << 5 | A); // AND A, left, #63
    asm.word(0xd280_0000 | RECOVERY << 5 | B); // MOVZ B, #RECOVERY
    asm.word(0x8b00_1000 | A << 16 | B << 5 | A); // ADD A, B, A, LSL #4
    asm.word(0xa940_0000 | B << 10 | A << 5 | A); // LDP A, B, [A]
    asm.write(ELR, A);
    asm.write(SPSR, B);
    asm.word(0xd280_0000 | CONTROL << 5 | A);
    asm.word(0xf940_0000 | A << 5 | A); // LDR A, [A]
    asm.write(SCTLR, A);
    asm.eret();
}

/// Lowers the device's interrupt.
pub(super) fn lower(asm: &mut Asm) {
    asm.word(0xd2a0_0000 | (DEVICE >> 16) << 5 | A);
    asm.word(0xb900_041f | A << 5); // STR WZR, [A, #4]
}

fn interrupt() -> Asm {
    let mut asm = Asm::default();
    lower(&mut asm);
    asm.eret();
    asm
}

fn last(paired: bool) -> Asm {
    let mut asm = Asm::default();
    if paired {
        asm.branch((SERVICE + ENDING).wrapping_sub(LAST), false);
        return asm;
    }
    lower(&mut asm);
    asm.word(0xd503_207f); // WFI
    asm.branch(0u32.wrapping_sub(12), false);
    asm
}
