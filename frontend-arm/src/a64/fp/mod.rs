//! Scalar floating point, and the loads and stores of V registers (Arm ARM DDI 0487, C4.1, "Data Processing -- Scalar Floating-
//! Point and Advanced SIMD", "Loads and Stores").
//!
//! An argument `z` is 1 for double precision, 0 for single.

pub mod arithmetic;
pub mod convert;
pub mod half;
pub mod memory;
pub mod register;
pub mod select;
pub mod size;

use super::table::Table;

pub use register::{float, set};

/// Every table but those of half precision.
pub const TABLES: &[Table] = &[
    arithmetic::ONE_SOURCE,
    arithmetic::TWO_SOURCES,
    arithmetic::THREE_SOURCES,
    arithmetic::IMMEDIATE,
    convert::PRECISION,
    convert::INTEGER,
    convert::FIXED,
    convert::TRANSFER,
    convert::ROUND,
    size::ROUND,
    size::JAVASCRIPT,
    select::COMPARE,
    select::SELECT,
    memory::SINGLE,
    memory::LITERAL,
    memory::PAIRS,
];

/// Half precision.
pub const HALVES: &[Table] = &[half::ARITHMETIC, half::COMPARE, half::CONVERT];
