//! Thumb: the rows of 16-bit and 32-bit instructions.

pub mod armv8;
pub mod branch;
pub mod data_processing;
pub mod load_store;
pub mod narrow;

use crate::a32::table::Table;

/// Rows of 16-bit instructions.
pub const T16: &[Table] = &[narrow::T16, armv8::HALT, armv8::PAN];

/// Rows of 32-bit instructions, the first halfword on top. Coprocessor, VFP and Advanced SIMD instructions are not among
/// them: A32 has them bit for bit or after a few moves (Arm ARM DDI 0406C, A6.3.18, A7.1).
pub const T32: &[Table] = &[
    data_processing::IMMEDIATE,
    data_processing::REGISTER,
    data_processing::REGISTERS,
    data_processing::PARALLEL,
    data_processing::MULTIPLY,
    load_store::BLOCKS,
    load_store::DUAL,
    load_store::STORES,
    load_store::LOADS,
    branch::BRANCH,
    armv8::ORDERED,
    armv8::CRC32,
    armv8::SB,
];

/// Rows of loads whose base is R15, which stand before all other rows.
pub const LITERALS: &[Table] = &[load_store::LITERALS];
