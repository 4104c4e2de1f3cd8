//! The x87 unit: every instruction by itself, and states of the unit. Runs of instructions are made by tests.

use super::{Case, Kind, Random, State, any};
use emu_ir::{Lane, Leave, Op, Ty, Val, X87Form, X87Insn, x87_status};

/// Every instruction that there is, with a ModRM byte that it has.
pub fn instructions() -> impl Iterator<Item = (X87Insn, u8)> {
    let modrms = || (0..0x40).step_by(8).chain(0xc0..=0xff);
    (0xd8..=0xdf)
        .flat_map(move |opcode| modrms().filter_map(move |modrm| X87Insn::new(opcode, modrm).map(|insn| (insn, modrm))))
}

/// The type of an instruction's operand in memory, as operations have it.
pub fn operand(insn: X87Insn) -> Ty {
    match (insn.opcode(), insn.form()) {
        (0xdb, 5 | 7) | (0xdf, 4 | 6) => Ty::V128,
        (0xd8..=0xdb, 5) if insn.opcode() == 0xd9 => Ty::I16,
        (0xd8..=0xdb, _) => Ty::I32,
        (0xdc | 0xdd, _) | (0xdf, 5 | 7) => Ty::I64,
        _ => Ty::I16,
    }
}

/// How an operand of it is made.
pub fn kind(insn: X87Insn) -> Kind {
    match operand(insn) {
        Ty::V128 => Kind::Vec(Ty::V128, Lane::I64),
        ty => Kind::Int(ty),
    }
}

/// Whether it stores.
pub fn stores(insn: X87Insn) -> bool {
    matches!(insn.stack(), Some((X87Form::Store, _)))
}

/// Its operation, with an operand `Val(0)` if it takes one.
pub fn op(insn: X87Insn, modrm: u8, at: u16) -> Op {
    let a = Val(0);
    if insn.compares_to_flags() {
        Op::X87Compare { insn, modrm, at }
    } else if insn.is_conditional() || insn.is_memory() && !stores(insn) {
        Op::X87Operand { insn, modrm, at, a }
    } else {
        Op::X87 { insn, modrm, at }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    // FLDCW is done by writing the slot.
    for (insn, modrm) in instructions().filter(|(insn, _)| (insn.opcode(), insn.form()) != (0xd9, 5)) {
        let operation = op(insn, modrm, 0x10);
        let (ty, kinds) = match operation {
            Op::X87Operand { .. } if insn.is_conditional() => (Ty::I16, vec![Kind::Status]),
            Op::X87Operand { .. } => (operand(insn), vec![kind(insn)]),
            Op::X87Compare { .. } => (Ty::I16, Vec::new()),
            _ => (Ty::I8, Vec::new()),
        };
        all.push(Case::op(operation, ty, &kinds));
        if stores(insn) {
            all.push(Case::op(Op::X87Output { insn }, operand(insn), &[]));
        }
    }
    all.push(Case::build("X87Need", &[], |b, _| {
        let (none, one) = (b.label(), b.i32(1));
        b.x87_need(1, 0x80, none);
        b.set(any(9, Ty::I32), one);
        b.exit(Leave::Yield);
        b.place(none);
        Some(b.get(any(8, Ty::I32)))
    }));
    all
}

/// A number of 80 bits: exponents and significands at which something changes, or that conversions and functions take.
pub fn number(random: &mut Random) -> [u64; 2] {
    const EXPONENTS: [u64; 14] = [
        0, 1, 0x3f80, 0x3ffe, 0x3fff, 0x3fff, 0x4000, 0x4005, 0x401e, 0x403e, 0x407f, 0x43ff, 0x7ffe, 0x7fff,
    ];
    const SIGNIFICANDS: [u64; 6] = [0, 1, 1 << 63, 3 << 62, u64::MAX, 0xc90f_daa2_2168_c235];
    let exponent = random.pick(&EXPONENTS) | (random.next() & 1) << 15;
    let significand = if random.one_in(2) {
        random.next() | 1 << 63
    } else {
        random.pick(&SIGNIFICANDS)
    };
    [significand, exponent]
}

/// A unit in any state in which no exception waits, mostly one in which numbers are computed.
pub fn fill(s: &mut State, random: &mut Random) {
    s.x87 = [[0; 2]; 8].map(|_: [u64; 2]| number(random));
    let masks = if random.one_in(4) { random.word() as u16 } else { 0x3f };
    let control = match random.below(3) {
        0 => 0x37f,
        _ => random.word() as u16 & 0xf00 | masks & x87_status::EXCEPTIONS | 0x40,
    };
    let status = random.word() as u16 & !(x87_status::SUMMARY | x87_status::TOP);
    let waiting = x87_status::EXCEPTIONS & !control;
    s.x87_words = [control, status & !waiting];
    let full = if random.one_in(4) {
        random.word() as u8
    } else {
        random.pick(&[0xff, 0x7f, 0x1f])
    };
    s.x87_stack = [random.below(8) as u8, full];
}
