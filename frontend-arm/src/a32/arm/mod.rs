//! A32: the rows of 32-bit ARM instructions.

pub mod armv8;
pub mod branch;
pub mod data_processing;
pub mod load_store;
pub mod media;

use crate::a32::table::Table;

/// Rows that have a condition in bits 31 to 28.
pub const CONDITIONAL: &[Table] = &[
    data_processing::REGISTER,
    data_processing::REGISTER_SHIFTED,
    data_processing::IMMEDIATE,
    data_processing::HINTS,
    data_processing::MISCELLANEOUS,
    load_store::WORDS,
    load_store::EXTRA,
    load_store::SYNCHRONIZATION,
    load_store::BLOCKS,
    media::MULTIPLY,
    media::PARALLEL,
    media::PACKING,
    branch::BRANCH,
    armv8::ORDERED,
    armv8::HALT,
    armv8::CRC32,
];

/// Rows whose bits 31 to 28 are ones.
pub const UNCONDITIONAL: &[Table] = &[branch::UNCONDITIONAL, armv8::SB, armv8::PAN];
