//! Scalar floating point, and the loads and stores of V registers (Arm ARM DDI 0487, C4.1, "Data Processing -- Scalar Floating-
//! Point and Advanced SIMD", "Loads and Stores").
//!
//! An argument `z` is 1 for double precision, 0 for single.

pub mod arithmetic;
pub mod convert;
pub mod half;
pub mod memory;
pub mod select;
pub mod size;

use super::state;
use super::table::Table;
use super::tx::Tx;
use emu_ir::{Slot, Ty, Val};

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

/// The type of a float.
pub const fn float(z: u32) -> Ty {
    if z == 0 { Ty::F32 } else { Ty::F64 }
}

/// Write V`d` with a scalar of 32 or 64 bits or a V64, the rest of it zero.
pub fn set(t: &mut Tx, d: u32, v: Val) {
    let low = state::v(d, t.b.ty(v));
    t.b.set(low, v);
    if low.ty.bytes() == 4 {
        let (zero, next) = (t.b.i32(0), Slot::new(low.off as usize + 4, Ty::I32));
        t.b.set(next, zero);
    }
    let (zero, high) = (
        t.i64(0),
        Slot {
            ty: Ty::I64,
            ..state::v_high(d)
        },
    );
    t.b.set(high, zero);
}
