//! Cases of vector operations.

use super::Case;
use super::float::environments;
use super::operands::Kind;
use emu_ir::{Aes, Fenv, Lane, Op, Relation, Ty, Val};

const A: Val = Val(0);
const B: Val = Val(1);
const C: Val = Val(2);
const VECTORS: [Ty; 2] = [Ty::V64, Ty::V128];
const LANES: [Lane; 4] = [Lane::I8, Lane::I16, Lane::I32, Lane::I64];
const NARROW: [Lane; 3] = [Lane::I8, Lane::I16, Lane::I32];
const FLOATS: [Lane; 3] = [Lane::F16, Lane::F32, Lane::F64];

pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for ty in VECTORS {
        for e in LANES {
            all.extend(any_lane(e).map(|op| Case::op(op, ty, &[Kind::Vec(ty, e); 2])));
            all.extend(shifts(ty, e));
        }
        for e in NARROW {
            all.extend(narrow_lane(e).map(|op| Case::op(op, ty, &[Kind::Vec(ty, e); 2])));
            let one = [Op::VAbs { a: A, e }, Op::VClz { a: A, e }];
            all.extend(one.map(|op| Case::op(op, ty, &[Kind::Vec(ty, e)])));
        }
        all.push(Case::op(Op::VPopcnt { a: A }, ty, &[Kind::Vec(ty, Lane::I8)]));
        all.extend(products(ty));
        for e in [Lane::I8, Lane::I16] {
            let (a, b, wide) = (A, B, Kind::Vec(ty, e.wider()));
            all.push(Case::op(Op::VAvgU { a, b, e }, ty, &[Kind::Vec(ty, e); 2]));
            all.push(Case::op(Op::VPackS { a, b, e }, ty, &[wide; 2]));
            all.push(Case::op(Op::VPackU { a, b, e }, ty, &[wide; 2]));
        }
        for e in [Lane::I8, Lane::I32, Lane::I64] {
            all.push(Case::op(Op::VSigns { a: A, e }, Ty::I32, &[Kind::Vec(ty, e)]));
        }
        all.extend(moves(ty));
        for e in FLOATS {
            all.extend(floats(ty, e, &environments()));
        }
    }
    all.extend(NARROW.into_iter().flat_map(widths));
    let half = Kind::Vec(Ty::V64, Lane::I64);
    all.push(Case::op(Op::VMulPoly { a: A, b: B }, Ty::V128, &[half; 2]));
    let state = [Kind::Vec(Ty::V128, Lane::I8)];
    all.extend(Aes::ALL.map(|part| Case::op(Op::VAes { a: A, part }, Ty::V128, &state)));
    all
}

fn any_lane(e: Lane) -> [Op; 9] {
    let (a, b) = (A, B);
    [
        Op::VAdd { a, b, e },
        Op::VSub { a, b, e },
        Op::VQAddS { a, b, e },
        Op::VQAddU { a, b, e },
        Op::VQSubS { a, b, e },
        Op::VQSubU { a, b, e },
        Op::VEq { a, b, e },
        Op::VGtS { a, b, e },
        Op::VGtU { a, b, e },
    ]
}

fn narrow_lane(e: Lane) -> [Op; 5] {
    let (a, b) = (A, B);
    [
        Op::VMul { a, b, e },
        Op::VMinS { a, b, e },
        Op::VMinU { a, b, e },
        Op::VMaxS { a, b, e },
        Op::VMaxU { a, b, e },
    ]
}

/// Products whose lanes the operation knows.
fn products(ty: Ty) -> impl Iterator<Item = Case> {
    let (a, b) = (A, B);
    let all = [
        (Op::VMulHiS { a, b }, Lane::I16),
        (Op::VMulHiU { a, b }, Lane::I16),
        (Op::VMulRound { a, b }, Lane::I16),
        (Op::VMulEvenS { a, b }, Lane::I32),
        (Op::VMulEvenU { a, b }, Lane::I32),
        (Op::VMulAdd { a, b }, Lane::I16),
        (Op::VMulAddUS { a, b }, Lane::I8),
        (Op::VSumAbsDiff { a, b }, Lane::I8),
    ];
    all.into_iter()
        .map(move |(op, e)| Case::op(op, ty, &[Kind::Vec(ty, e); 2]))
}

fn shifts(ty: Ty, e: Lane) -> Vec<Case> {
    let (a, b, width) = (A, B, e.bits() as u8);
    let kind = Kind::Vec(ty, e);
    let mut all = vec![
        Case::op(Op::VShlV { a, b, e }, ty, &[kind; 2]),
        Case::op(Op::VShrUV { a, b, e }, ty, &[kind; 2]),
        Case::op(Op::VShrSV { a, b, e }, ty, &[kind; 2]),
    ];
    for n in [0, 1, width / 2, width - 1] {
        all.push(Case::op(Op::VShl { a, n, e }, ty, &[kind]));
    }
    for n in [0, 1, width / 2, width - 1, width] {
        all.push(Case::op(Op::VShrU { a, n, e }, ty, &[kind]));
        all.push(Case::op(Op::VShrS { a, n, e }, ty, &[kind]));
    }
    all
}

fn widths(e: Lane) -> Vec<Case> {
    let (a, b) = (A, B);
    let (half, wide) = (Kind::Vec(Ty::V64, e), Kind::Vec(Ty::V128, e.wider()));
    vec![
        Case::op(Op::VMulWideS { a, b, e }, Ty::V128, &[half; 2]),
        Case::op(Op::VMulWideU { a, b, e }, Ty::V128, &[half; 2]),
        Case::op(Op::VWidenS { a, e }, Ty::V128, &[half]),
        Case::op(Op::VWidenU { a, e }, Ty::V128, &[half]),
        Case::op(Op::VNarrow { a, e }, Ty::V64, &[wide]),
        Case::op(Op::VNarrowSS { a, e }, Ty::V64, &[wide]),
        Case::op(Op::VNarrowSU { a, e }, Ty::V64, &[wide]),
        Case::op(Op::VNarrowUU { a, e }, Ty::V64, &[wide]),
    ]
}

fn moves(ty: Ty) -> Vec<Case> {
    let (a, b) = (A, B);
    let vec = Kind::Vec(ty, Lane::I32);
    let bytes = Kind::Vec(ty, Lane::I8);
    let mut all = Vec::new();
    for e in LANES.into_iter().chain(FLOATS) {
        let (scalar, kind) = (e.scalar(), super::integer::of(e.scalar()));
        all.push(Case::op(Op::VDup { a, e }, ty, &[kind]));
        for i in 0..(ty.bits() / e.bits()) as u8 {
            all.push(Case::op(Op::VGetLane { a, i }, scalar, &[vec]));
            all.push(Case::op(Op::VSetLane { a, b, i }, ty, &[vec, kind]));
        }
    }
    for pattern in PATTERNS {
        all.push(Case::pooled(
            Op::VPerm { a, b, pool: 0 },
            ty,
            &[vec; 2],
            u128::from_le_bytes(pattern),
        ));
    }
    for op in [Op::VLookup { a, idx: b }, Op::VShuffle { a, idx: b }] {
        all.push(Case::op(op, ty, &[Kind::Vec(Ty::V128, Lane::I32), bytes]));
    }
    if ty == Ty::V128 {
        let half = Kind::Vec(Ty::V64, Lane::I32);
        all.push(Case::op(Op::VConcat { lo: a, hi: b }, ty, &[half; 2]));
        all.push(Case::op(Op::VHalf { a, hi: false }, Ty::V64, &[vec]));
        all.push(Case::op(Op::VHalf { a, hi: true }, Ty::V64, &[vec]));
    }
    all
}

/// Byte permutations: reversal, halves exchanged, interleavings and the reverse, extractions, words and double words
/// everywhere, from one operand only, with zeros; some of what one or two host instructions do.
const PATTERNS: [[u8; 16]; 27] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    [16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31],
    [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
    [3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26],
    [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11],
    [0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29],
    [255, 0, 32, 31, 16, 128, 15, 8, 7, 24, 23, 64, 1, 1, 1, 200],
    [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
    [16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16],
    [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
    [4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7],
    [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7],
    [24, 8, 25, 9, 26, 10, 27, 11, 28, 12, 29, 13, 30, 14, 31, 15],
    [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31],
    [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23],
    [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31],
    [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30],
    [0, 2, 4, 6, 16, 18, 20, 22, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27],
    [20, 21, 22, 23, 28, 29, 30, 31, 4, 5, 6, 7, 12, 13, 14, 15],
    [0, 1, 18, 19, 20, 21, 6, 7, 24, 25, 10, 11, 12, 13, 30, 31],
    [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 0, 1, 2, 3],
    [3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26],
    [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 32, 32, 32, 32, 32],
    [40, 40, 40, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28],
    [255; 16],
];

pub(super) fn floats(ty: Ty, e: Lane, environments: &[Fenv]) -> Vec<Case> {
    let (a, b) = (A, B);
    let kind = Kind::Vec(ty, e);
    let int = Kind::Vec(ty, Lane::int(e.bits().ilog2() - 3));
    let mut all = Vec::new();
    for &env in environments {
        let two = [
            Op::VFAdd { a, b, e, env },
            Op::VFSub { a, b, e, env },
            Op::VFMul { a, b, e, env },
            Op::VFDiv { a, b, e, env },
            Op::VFMax { a, b, e, env },
            Op::VFMin { a, b, e, env },
            Op::VFEq { a, b, e, env },
            Op::VFGt { a, b, e, env },
            Op::VFGe { a, b, e, env },
        ];
        all.extend(two.map(|op| Case::op(op, ty, &[kind; 2])));
        all.extend(Relation::all().map(|is| Case::op(Op::VFCmp { a, b, is, e, env }, ty, &[kind; 2])));
        let one = [Op::VFSqrt { a, e, env }, Op::VFRound { a, e, env }];
        all.extend(one.map(|op| Case::op(op, ty, &[kind])));
        all.push(Case::op(
            Op::VFMulAdd {
                c: A,
                a: B,
                b: C,
                env,
                e,
            },
            ty,
            &[kind; 3],
        ));
        for frac in [0, 7, 32] {
            all.push(Case::op(Op::VFToS { a, frac, e, env }, ty, &[kind]));
            all.push(Case::op(Op::VFToU { a, frac, e, env }, ty, &[kind]));
            all.push(Case::op(Op::VSToF { a, frac, e, env }, ty, &[int]));
            all.push(Case::op(Op::VUToF { a, frac, e, env }, ty, &[int]));
        }
    }
    all
}
