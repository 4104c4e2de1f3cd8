//! Cases of constants, slots and integer operations.

use super::operands::Kind;
use super::{Build, Case};
use emu_ir::{Imm, Op, Slot, Ty, Val};

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
        ];
        all.extend(carried.map(|op| Case::op(op, ty, &[Kind::Int(ty), Kind::Int(ty), Kind::Bool])));
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
