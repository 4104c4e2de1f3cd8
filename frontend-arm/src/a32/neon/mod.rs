//! Advanced SIMD, of ARMv7 (Arm ARM DDI 0406C, A7 and A8.8) and by features of Armv8: decode tables and their meaning.
//!
//! Rows are A32 encodings (unconditional; the driver maps T32's to them). In patterns `d`, `n` and `m` are register
//! numbers with the D, N or M bit on top, `q` is 1 for quadwords, `s` the size, `u` 1 for unsigned. Functions that need
//! nothing else take the operands from `same` and its like in `operands`, which check them, and say only what is computed.

pub mod calls;
mod crypto;
mod extension;
mod fixed;
mod float;
mod immediate;
mod int;
mod lanes;
mod logic;
mod long;
mod multiply;
mod narrow;
mod operands;
mod permute;
mod round;
mod saturate;
mod shift;
mod structure;
mod structures;

use crate::a32::table::Table;
use emu_ir::pattern::assert_unambiguous;

/// Every row of Advanced SIMD but for the transfers that share VFP's encoding space.
pub const TABLES: &[Table] = &[
    int::INT,
    multiply::MULTIPLY,
    logic::LOGIC,
    saturate::SATURATE,
    float::FLOAT,
    long::LONG,
    narrow::NARROW,
    shift::SHIFT,
    fixed::FIXED,
    immediate::IMMEDIATE,
    permute::PERMUTE,
    lanes::LANES,
    structures::STRUCTURES,
    structure::STRUCTURE,
    round::SINGLES,
    crypto::AES,
    crypto::SHA1,
    crypto::SHA256,
    saturate::RDM,
    float::HALVES,
    fixed::HALVES,
    fixed::BRAIN,
    round::HALVES,
    extension::COMPLEX,
    extension::COMPLEX_HALVES,
    extension::DOT,
    extension::MATRIX,
    extension::BRAIN,
    extension::LONG,
];
const _: () = assert_unambiguous(TABLES);
