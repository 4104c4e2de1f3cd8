//! VFPv4-D32 with half precision (Arm ARM DDI 0406C, A7 and A8.8): decode tables and their meaning.
//!
//! Rows are A32 encodings whose condition the driver has dealt with. In patterns `d`, `n` and `m` are register numbers
//! with the D, N or M bit on top, `z` is 1 for double precision.

mod arith;
mod convert;
mod fixed16;
mod memory;
mod transfer;

pub use fixed16::vcvt_to_fixed16;

use crate::a32::Table;
use crate::state::{self, mode};
use crate::tx::Tx;
use emu_ir::Slot;
use emu_ir::pattern::assert_unambiguous;

/// Every row of VFP, and of the Advanced SIMD transfers that share its encoding space.
pub const TABLES: &[Table] = &[arith::ARITH, convert::CONVERT, memory::MEMORY, transfer::TRANSFER];
const _: () = assert_unambiguous(TABLES);

/// The single (`z` = 0) or double register of field `r`.
fn reg(z: u32, r: u32) -> Slot {
    if z == 1 { state::d(r) } else { single(r) }
}

/// The single register of field `r`, whose low bit is in the D, N or M bit.
fn single(r: u32) -> Slot {
    state::s((r & 15) << 1 | r >> 4)
}

/// Go on if `ok`, else the instruction is Undefined.
fn require(t: &mut Tx, ok: bool) -> Option<()> {
    if !ok {
        t.undefined();
    }
    ok.then_some(())
}

/// CheckVFPEnabled.
fn enabled(t: &mut Tx) -> Option<()> {
    require(t, t.mode & mode::VFP != 0)
}

/// CheckVFPEnabled for instructions that could work on short vectors, which these CPUs do not have.
fn enabled_scalar(t: &mut Tx) -> Option<()> {
    require(t, t.mode & (mode::VFP | mode::SHORT_VECTORS) == mode::VFP)
}
