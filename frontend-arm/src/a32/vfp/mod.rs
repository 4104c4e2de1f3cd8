//! VFPv4-D32 with half precision (Arm ARM DDI 0406C, A7 and A8.8), and by features what Armv8 adds: decode tables and their
//! meaning.
//!
//! Rows are A32 encodings whose condition the driver has dealt with. In patterns `d`, `n` and `m` are register numbers
//! with the D, N or M bit on top, `z` is 1 for double precision.

mod arith;
mod armv8;
mod convert;
mod fixed16;
mod half;
mod memory;
mod operands;
mod transfer;

pub use fixed16::vcvt_to_fixed16;

use crate::a32::table::Table;
use emu_ir::pattern::assert_unambiguous;

/// Every row of VFP, and of the Advanced SIMD transfers that share its encoding space.
pub const TABLES: &[Table] = &[
    arith::ARITH,
    convert::CONVERT,
    memory::MEMORY,
    transfer::TRANSFER,
    armv8::CONDITIONAL,
    armv8::JAVASCRIPT,
    half::ARITH,
    half::CONVERT,
    half::TRANSFER,
    half::BRAIN,
];
/// Those that have no condition.
pub const UNCONDITIONAL: &[Table] = &[armv8::UNCONDITIONAL, half::UNCONDITIONAL];
const _: () = assert_unambiguous(TABLES);
const _: () = assert_unambiguous(UNCONDITIONAL);
