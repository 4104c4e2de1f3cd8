//! V registers as what holds a scalar.

use super::super::state;
use super::super::tx::Tx;
use emu_ir::{Slot, Ty, Val};

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
