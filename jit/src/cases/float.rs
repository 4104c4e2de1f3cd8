//! Cases of scalar floating-point operations, each in several environments.

use super::Case;
use super::operands::Kind;
use emu_ir::{Fenv, Op, Round, Ty, Val};

const A: Val = Val(0);
const B: Val = Val(1);
const C: Val = Val(2);

/// Environments: the guest's current rounding and NEON's, every fixed rounding, each switch on and off.
pub(super) fn environments() -> Vec<Fenv> {
    let env = |round, flush, default_nan, flag| Fenv {
        round,
        flush,
        default_nan,
        flag,
    };
    vec![
        Fenv::IEEE,
        Fenv::STANDARD,
        env(Round::Current, true, false, true),
        env(Round::Nearest, false, true, true),
        env(Round::Zero, false, false, true),
        env(Round::Up, true, true, false),
        env(Round::Down, false, false, false),
        env(Round::Away, false, false, true),
    ]
}

/// Environments of x86: quiet and not, every rounding of its own, exceptions that are not masked.
pub(super) fn of_x86() -> Vec<Fenv> {
    let flag = Fenv {
        flag: true,
        ..Fenv::IEEE
    };
    let rounds = [
        Round::Nearest,
        Round::Down,
        Round::Up,
        Round::Zero,
        Round::Away,
        Round::Unmasked,
    ];
    let mut all = vec![Fenv::IEEE, flag];
    all.extend(rounds.map(|round| Fenv { round, ..flag }));
    all.extend(rounds.map(|round| Fenv { round, ..Fenv::IEEE }));
    all
}

pub(super) fn cases(environments: &[Fenv]) -> Vec<Case> {
    let mut all = Vec::new();
    for ty in [Ty::F32, Ty::F64] {
        let kind = Kind::Float(ty);
        all.extend([Op::FNeg { a: A }, Op::FAbs { a: A }].map(|op| Case::op(op, ty, &[kind])));
        for &env in environments {
            all.extend(binary(env).map(|op| Case::op(op, ty, &[kind; 2])));
            all.push(Case::op(Op::FSqrt { a: A, env }, ty, &[kind]));
            all.push(Case::op(Op::FRound { a: A, env }, ty, &[kind]));
            all.push(Case::op(Op::FMulAdd { c: A, a: B, b: C, env }, ty, &[kind; 3]));
            all.extend(conversions(ty, env));
        }
    }
    all
}

fn binary(env: Fenv) -> [Op; 9] {
    let (a, b) = (A, B);
    [
        Op::FAdd { a, b, env },
        Op::FSub { a, b, env },
        Op::FMul { a, b, env },
        Op::FDiv { a, b, env },
        Op::FEq { a, b, env },
        Op::FLt { a, b, env },
        Op::FLe { a, b, env },
        Op::FUn { a, b, env },
        Op::FStatus { a, b, env },
    ]
}

fn conversions(ty: Ty, env: Fenv) -> Vec<Case> {
    let a = A;
    let other = if ty == Ty::F32 { Ty::F64 } else { Ty::F32 };
    let mut all = vec![
        Case::op(Op::FCvt { a, env }, ty, &[Kind::Float(other)]),
        Case::op(Op::FFromHalf { a, env }, ty, &[Kind::Half]),
        Case::op(Op::FToHalf { a, env }, Ty::I16, &[Kind::Float(ty)]),
    ];
    for int in [Ty::I32, Ty::I64] {
        for frac in [0, 1, 16, 32] {
            all.push(Case::op(Op::FToS { a, frac, env }, int, &[Kind::Float(ty)]));
            all.push(Case::op(Op::FToU { a, frac, env }, int, &[Kind::Float(ty)]));
            all.push(Case::op(Op::SToF { a, frac, env }, ty, &[Kind::Int(int)]));
            all.push(Case::op(Op::UToF { a, frac, env }, ty, &[Kind::Int(int)]));
        }
    }
    all
}
