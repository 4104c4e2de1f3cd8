//! Cases of constants, slots and integer operations.

use super::operands::Kind;
use super::{Build, Case};
use emu_ir::{Arith, Builder, Imm, Op, Slot, Ty, Val};

const A: Val = Val(0);
const B: Val = Val(1);
const C: Val = Val(2);
const INTS: [Ty; 4] = [Ty::I8, Ty::I16, Ty::I32, Ty::I64];
const WIDE: [Ty; 2] = [Ty::I32, Ty::I64];

pub(super) fn cases() -> Vec<Case> {
    let mut all = constants();
    for ty in INTS {
        all.extend(binary().map(|op| Case::op(op, ty, &[Kind::Int(ty); 2])));
        all.extend([Op::Neg { a: A }, Op::Not { a: A }].map(|op| Case::op(op, ty, &[Kind::Int(ty)])));
        let carried = [
            Op::Adc { a: A, b: B, c: C },
            Op::AdcCarry { a: A, b: B, c: C },
            Op::AdcOvf { a: A, b: B, c: C },
            Op::Sbb { a: A, b: B, c: C },
        ];
        all.extend(carried.map(|op| Case::op(op, ty, &[Kind::Int(ty), Kind::Int(ty), Kind::Bool])));
        all.extend(Arith::ALL.map(|how| status(how, ty)));
        all.extend(insertions(ty));
        all.extend(flags(ty));
        all.extend(extensions(ty));
    }
    for ty in WIDE {
        let two = [
            Op::MulHiU { a: A, b: B },
            Op::MulHiS { a: A, b: B },
            Op::DivU { a: A, b: B },
            Op::DivS { a: A, b: B },
        ];
        all.extend(two.map(|op| Case::op(op, ty, &[Kind::Int(ty); 2])));
        let scaled = [1, 2, 3].map(|n| Op::AddShl { a: A, b: B, n });
        all.extend(scaled.map(|op| Case::op(op, ty, &[Kind::Int(ty); 2])));
        let one = [
            Op::Clz { a: A },
            Op::Ctz { a: A },
            Op::Popcnt { a: A },
            Op::BitRev { a: A },
        ];
        all.extend(one.map(|op| Case::op(op, ty, &[Kind::Int(ty)])));
    }
    all.extend((0..16).map(|cc| Case::op(Op::Cond { a: A, cc }, Ty::I16, &[Kind::Status])));
    all.extend([Ty::I16, Ty::I32, Ty::I64].map(|ty| Case::op(Op::Bswap { a: A }, ty, &[Kind::Int(ty)])));
    for ty in [Ty::V64, Ty::V128] {
        let e = emu_ir::Lane::I32;
        let two = [
            Op::And { a: A, b: B },
            Op::Or { a: A, b: B },
            Op::Xor { a: A, b: B },
            Op::AndNot { a: A, b: B },
        ];
        all.extend(two.map(|op| Case::op(op, ty, &[Kind::Vec(ty, e); 2])));
        all.push(Case::op(Op::Not { a: A }, ty, &[Kind::Vec(ty, e)]));
    }
    for ty in Ty::ALL {
        let kind = of(ty);
        all.push(Case::op(Op::Select { c: A, a: B, b: C }, ty, &[Kind::Bool, kind, kind]));
        let same = Ty::ALL.iter().filter(|t| t.bytes() == ty.bytes());
        all.extend(same.map(|t| Case::op(Op::Bitcast { a: A }, ty, &[of(*t)])));
    }
    all
}

/// Any values of a type.
pub(super) fn of(ty: Ty) -> Kind {
    match ty {
        Ty::I8 | Ty::I16 | Ty::I32 | Ty::I64 => Kind::Int(ty),
        Ty::F32 | Ty::F64 => Kind::Float(ty),
        Ty::V64 | Ty::V128 => Kind::Vec(ty, emu_ir::Lane::I32),
    }
}

fn binary() -> [Op; 21] {
    let (a, b) = (A, B);
    [
        Op::Add { a, b },
        Op::Sub { a, b },
        Op::Mul { a, b },
        Op::And { a, b },
        Op::Or { a, b },
        Op::Xor { a, b },
        Op::AndNot { a, b },
        Op::Shl { a, b },
        Op::ShrU { a, b },
        Op::ShrS { a, b },
        Op::Rotr { a, b },
        Op::AddCarry { a, b },
        Op::AddOvf { a, b },
        Op::SubOvf { a, b },
        Op::Eq { a, b },
        Op::Ne { a, b },
        Op::Ult { a, b },
        Op::Ule { a, b },
        Op::Slt { a, b },
        Op::Sle { a, b },
        // The other way round, for an emitter of two-operand instructions.
        Op::Sub { a: b, b: a },
    ]
}

fn status(how: Arith, ty: Ty) -> Case {
    let (int, word) = (Kind::Int(ty), Kind::Status);
    let (b, c, operands): (_, _, &[Kind]) = match (how.takes_b(), how.takes_status()) {
        (true, true) => (B, C, &[int, int, word]),
        (true, false) => (B, A, &[int, int]),
        (false, true) => (A, B, &[int, word]),
        (false, false) => (A, A, &[int]),
    };
    Case::op(Op::Status { how, a: A, b, c }, ty, operands)
}

/// Flags next to what makes them, stored on the way, and looked at near and far.
fn flags(ty: Ty) -> Vec<Case> {
    let operands = [Kind::Int(ty), Kind::Int(ty), Kind::Status];
    let all: [Build; 5] = [
        |b, v| {
            let sum = b.add(v[0], v[1]);
            let f = b.status(Arith::Add, v[0], v[1], v[0]);
            b.set(super::any(8, Ty::I16), f);
            b.set(super::any(9, b.ty(sum)), sum);
            Some(conditions(b, f))
        },
        |b, v| {
            let difference = b.sub(v[0], v[1]);
            let f = b.status(Arith::Sub, v[0], v[1], v[0]);
            let less = b.cond(f, 12);
            b.set(super::any(8, Ty::I8), less);
            b.set(super::any(9, b.ty(difference)), difference);
            let stepped = b.status(Arith::Inc, v[1], v[1], f);
            let again = b.status(Arith::Dec, difference, difference, stepped);
            b.set(super::any(10, Ty::I16), stepped);
            Some(conditions(b, again))
        },
        |b, v| {
            let c = b.cond(v[2], 2);
            let sum = b.adc(v[0], v[1], c);
            let f = b.status(Arith::Adc, v[0], v[1], v[2]);
            b.set(super::any(8, Ty::I16), f);
            let c = b.cond(f, 2);
            let more = b.adc(sum, v[1], c);
            let f = b.status(Arith::Adc, sum, v[1], f);
            b.set(super::any(9, b.ty(more)), more);
            Some(f)
        },
        |b, v| {
            let c = b.cond(v[2], 2);
            let difference = b.sbb(v[0], v[1], c);
            let f = b.status(Arith::Sbb, v[0], v[1], v[2]);
            let c = b.cond(f, 2);
            let less = b.sbb(difference, v[0], c);
            b.set(super::any(9, b.ty(less)), less);
            Some(b.status(Arith::Sbb, difference, v[0], f))
        },
        |b, v| {
            let (label, both) = (b.label(), b.and(v[0], v[1]));
            let f = b.status(Arith::Logic, both, both, both);
            b.set(super::any(8, Ty::I16), f);
            let c = b.cond(f, 5);
            b.br_if(c, label);
            let compared = b.status(Arith::Sub, v[0], v[1], f);
            b.set(super::any(9, Ty::I16), compared);
            b.place(label);
            b.insn(0x14, 0x77);
            None
        },
    ];
    all.map(|f| Case::build("Status", &operands, f)).to_vec()
}

/// All conditions of status flags, a bit each.
fn conditions(b: &mut Builder, f: Val) -> Val {
    let mut all = b.i32(0);
    for cc in [12, 4, 2, 15, 6, 0, 8, 10, 1, 3, 5, 7, 9, 11, 13, 14] {
        let holds = b.cond(f, cc);
        let (holds, at) = (b.zext(Ty::I32, holds), b.i32(cc.into()));
        let bit = b.shl(holds, at);
        all = b.or(all, bit);
    }
    all
}

fn insertions(ty: Ty) -> Vec<Case> {
    let narrower = INTS.into_iter().filter(|from| from.bytes() < ty.bytes());
    let at = |from: Ty| [0, 8, (ty.bits() - from.bits()) as u8].map(|at| (from, at));
    let fit = narrower
        .flat_map(at)
        .filter(|&(from, at)| u32::from(at) + from.bits() <= ty.bits());
    let mut all: Vec<_> = fit
        .map(|(from, at)| Case::op(Op::Insert { a: A, b: B, at }, ty, &[Kind::Int(ty), Kind::Int(from)]))
        .collect();
    all.push(Case::build("Insert", &[Kind::Int(ty)], |b, v| Some(own_parts(b, v[0]))));
    all
}

/// A value's own low parts in its other places: part and whole may be in one register.
fn own_parts(b: &mut Builder, mut v: Val) -> Val {
    let ty = b.ty(v);
    for from in INTS.into_iter().filter(|from| from.bytes() < ty.bytes()) {
        for at in [8, (ty.bits() - from.bits()) as u8, 0] {
            if u32::from(at) + from.bits() <= ty.bits() {
                let part = b.trunc(from, v);
                v = b.insert(v, part, at);
            }
        }
    }
    v
}

fn extensions(ty: Ty) -> Vec<Case> {
    let mut all = Vec::new();
    for from in INTS {
        let kind = [Kind::Int(from)];
        if from.bytes() < ty.bytes() {
            all.push(Case::op(Op::Zext { a: A }, ty, &kind));
            all.push(Case::op(Op::Sext { a: A }, ty, &kind));
        } else if from.bytes() > ty.bytes() {
            all.push(Case::op(Op::Trunc { a: A }, ty, &kind));
        }
    }
    all
}

fn constants() -> Vec<Case> {
    let mut all = Vec::new();
    for ty in Ty::ALL.iter().filter(|t| **t != Ty::V128) {
        for v in [
            0,
            1,
            0x7f,
            0x8000_0000,
            0xffff_ffff_8000_0000,
            0x1234_5678_9abc_def0,
            u64::MAX,
        ] {
            let imm = Imm::new(v & ty.mask() as u64);
            all.push(Case::op(Op::Const { imm }, *ty, &[]));
        }
    }
    for v in [0, u128::MAX, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10] {
        all.push(Case::pooled(Op::Const128 { pool: 0 }, Ty::V128, &[], v));
    }
    for offset in [0, 4, 0xffc, 0x1000, -8, i32::MAX, i32::MIN] {
        all.extend(WIDE.map(|ty| Case::op(Op::PcRel { offset }, ty, &[])));
    }
    for ty in Ty::ALL {
        let slot = super::any(6, ty).off;
        all.push(Case::op(Op::Get { slot }, ty, &[]));
        all.push(Case::op(Op::Set { slot, a: A }, ty, &[of(ty)]));
    }
    let overlapping: [(&'static str, Build); 2] = [
        ("Get", |b, v| {
            // The halves of a wide slot just written, and the whole after one half is.
            b.set(super::any(6, Ty::V128), v[0]);
            let hi = b.get(Slot {
                off: super::any(6, Ty::I32).off + 4,
                ty: Ty::I32,
            });
            b.set(super::any(6, Ty::I32), hi);
            Some(b.get(super::any(6, Ty::V128)))
        }),
        ("Set", |b, v| {
            let whole = b.get(super::any(6, Ty::V64));
            let part = b.vget_lane(Ty::I16, v[0], 3);
            b.set(
                Slot {
                    off: super::any(6, Ty::I16).off + 2,
                    ty: Ty::I16,
                },
                part,
            );
            b.set(super::any(7, Ty::V64), whole);
            Some(b.get(super::any(6, Ty::F64)))
        }),
    ];
    all.extend(overlapping.map(|(name, f)| Case::build(name, &[of(Ty::V128)], f)));
    all
}
