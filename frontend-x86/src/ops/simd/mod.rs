//! What MMX, SSE and AVX do with integers and with bits, whatever these are of.
//!
//! One function does an instruction's three forms: of MMX, without VEX and with it. How long vectors are, and where operands
//! stand, its row and the prefixes say.

pub(super) mod compare;
pub(super) mod crypto;
pub(super) mod elements;
pub(super) mod logic;
pub(super) mod masked;
pub(super) mod packed;
pub(super) mod shifts;
pub(super) mod shuffle;
pub(super) mod state;
pub(super) mod text;
pub(super) mod transfer;

use crate::tx::Tx;
use emu_ir::{Ty, Val};

/// Instructions by what they do with halves of their operand.
macro_rules! one {
    ($( $name:ident |$t:ident, $a:ident| $what:expr; )*) => {
        $( pub fn $name(t: &mut $crate::tx::Tx) { t.of_one(|$t, $a| $what); } )*
    };
}
/// Instructions by what they do with halves of their two operands.
macro_rules! two {
    ($( $name:ident |$t:ident, $a:ident, $b:ident| $what:expr; )*) => {
        $( pub fn $name(t: &mut $crate::tx::Tx) { t.of_two(|$t, $a, $b| $what); } )*
    };
}
use {one, two};

/// The low 64 bits of a vector.
fn low(t: &mut Tx, v: Val) -> Val {
    match t.b.ty(v) {
        Ty::V128 => t.b.vhalf(v, false),
        _ => v,
    }
}
/// The number in the instruction, a byte.
fn immediate(t: &Tx) -> u8 {
    t.insn.immediate as u8
}
