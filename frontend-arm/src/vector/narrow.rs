//! Results of half the operands' width.

use super::{every, saturated_unless_equal, widen};
use emu_ir::{Builder, Lane, Op, Slot, Ty, Val};

/// How wide lanes become narrow ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Truncated.
    Low,
    /// Signed to signed, saturating.
    Signed,
    /// Signed to unsigned, saturating.
    SignedToUnsigned,
    /// Unsigned, saturating.
    Unsigned,
}

/// A V128 narrowed to lanes `e` of a V64, gathering saturation.
pub fn narrow(b: &mut Builder, qc: Slot, to: To, e: Lane, a: Val) -> Val {
    let (op, u) = match to {
        To::Low => return b.push(Ty::V64, Op::VNarrow { a, e }),
        To::Signed => (Op::VNarrowSS { a, e }, 0),
        To::SignedToUnsigned => (Op::VNarrowSU { a, e }, 1),
        To::Unsigned => (Op::VNarrowUU { a, e }, 1),
    };
    let r = b.push(Ty::V64, op);
    let back = widen(b, u, e, r);
    saturated_unless_equal(b, qc, a, back);
    r
}

/// The high halves of wide lanes as lanes `e` of a V64.
pub fn high(b: &mut Builder, e: Lane, wide: Val) -> Val {
    let top = b.vshr_u(e.wider(), wide, e.bits() as u8);
    b.push(Ty::V64, Op::VNarrow { a: top, e })
}

/// As [`high`], rounded half up.
pub fn high_rounded(b: &mut Builder, e: Lane, wide: Val) -> Val {
    let half = every(b, Ty::V128, e.wider(), 1 << (e.bits() - 1));
    let wide = b.vadd(e.wider(), wide, half);
    high(b, e, wide)
}
