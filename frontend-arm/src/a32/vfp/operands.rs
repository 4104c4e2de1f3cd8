//! Operands of VFP instructions, and whether these are enabled.

use crate::state::{self, mode};
use crate::tx::Tx;
use emu_ir::Slot;

/// The single (`z` = 0) or double register of field `r`.
pub(super) fn reg(z: u32, r: u32) -> Slot {
    if z == 1 { state::d(r) } else { single(r) }
}

/// The single register of field `r`, whose low bit is in the D, N or M bit.
pub(super) fn single(r: u32) -> Slot {
    state::s((r & 15) << 1 | r >> 4)
}

/// Go on if `ok`, else the instruction is Undefined.
pub(super) fn require(t: &mut Tx, ok: bool) -> Option<()> {
    if !ok {
        t.undefined();
    }
    ok.then_some(())
}

/// CheckVFPEnabled.
pub(super) fn enabled(t: &mut Tx) -> Option<()> {
    require(t, t.floating(mode::VFP) != 0)
}

/// CheckVFPEnabled for instructions that could work on short vectors, which these CPUs do not have.
pub(super) fn enabled_scalar(t: &mut Tx) -> Option<()> {
    require(t, t.floating(mode::VFP | mode::SHORT_VECTORS) == mode::VFP)
}
