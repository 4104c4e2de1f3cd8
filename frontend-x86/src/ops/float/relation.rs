//! Comparison (SDM 1, 5.5.1.3, 5.6.1.4; SDM 2, CMPPD, COMISD).

use super::number::lowest;
use crate::tx::Tx;
use emu_ir::{Fenv, Lane, Relation, Round, Ty};

const LESS: Relation = Relation::LESS;
const EQUAL: Relation = Relation::EQUAL;
const GREATER: Relation = Relation::GREATER;
const UNORDERED: Relation = Relation::UNORDERED;

/// The first sixteen predicates of SDM 2, table 3-1: which relations they are of, and whether a quiet NaN is invalid, too. The
/// others are the same but for that.
const PREDICATES: [(Relation, bool); 16] = [
    (EQUAL, false),
    (LESS, true),
    (LESS.or(EQUAL), true),
    (UNORDERED, false),
    (EQUAL.not(), false),
    (LESS.not(), true),
    (LESS.or(EQUAL).not(), true),
    (UNORDERED.not(), false),
    (EQUAL.or(UNORDERED), false),
    (LESS.or(UNORDERED), true),
    (GREATER.not(), true),
    (Relation::NEVER, false),
    (LESS.or(GREATER), false),
    (GREATER.or(EQUAL), true),
    (GREATER, true),
    (Relation::NEVER.not(), false),
];

/// The instruction's predicate: without VEX there are eight.
fn predicate(t: &Tx) -> (Relation, Fenv) {
    let bits = if t.insn.vex.is_some() { 31 } else { 7 };
    let number = t.insn.immediate & bits;
    let found = PREDICATES.get(number as usize & 15).copied();
    let (is, signals) = found.unwrap_or((Relation::NEVER, false));
    (is, Tx::fenv_of(Round::Current, signals != (number >= 16)))
}
fn packed(t: &mut Tx, e: Lane) {
    let (is, env) = predicate(t);
    t.float_of_two(|t, a, b| t.b.vfcmp(e, a, b, is, env));
}
fn scalar(t: &mut Tx, e: Lane) {
    let (is, env) = predicate(t);
    lowest(t, e, |t, a, b| t.b.vfcmp(e, a, b, is, env));
}
pub fn cmpps(t: &mut Tx) {
    packed(t, Lane::F32);
}
pub fn cmppd(t: &mut Tx) {
    packed(t, Lane::F64);
}
pub fn cmpss(t: &mut Tx) {
    scalar(t, Lane::F32);
}
pub fn cmpsd(t: &mut Tx) {
    scalar(t, Lane::F64);
}

/// The status flags become those of a comparison.
fn status(t: &mut Tx, ty: Ty, signals: bool) {
    let (a, b) = (t.scalar(0, ty), t.scalar(1, ty));
    let env = Tx::fenv_of(Round::Current, signals);
    let status = t.checked(|t| t.b.fstatus(a, b, env));
    t.set_status(status);
}
pub fn comiss(t: &mut Tx) {
    status(t, Ty::F32, true);
}
pub fn comisd(t: &mut Tx) {
    status(t, Ty::F64, true);
}
pub fn ucomiss(t: &mut Tx) {
    status(t, Ty::F32, false);
}
pub fn ucomisd(t: &mut Tx) {
    status(t, Ty::F64, false);
}
