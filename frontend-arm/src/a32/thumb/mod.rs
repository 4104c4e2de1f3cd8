//! Thumb: the rows of 16-bit and 32-bit instructions.

pub mod narrow;

use super::Table;

/// Rows of 16-bit instructions.
pub const T16: &[Table] = &[narrow::T16];

/// Rows of 32-bit instructions, the first halfword on top. Coprocessor, VFP and Advanced SIMD instructions are not among
/// them: A32 has them bit for bit or after a few moves (Arm ARM DDI 0406C, A6.3.18, A7.1).
pub const T32: &[Table] = &[];
