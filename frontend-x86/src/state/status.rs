//! The status flags as the host gives and takes them: AH as LAHF leaves it above AL as SETO does, `emu_ir::STATUS_OVERFLOW`
//! and the others.

use super::bits::eflags::{AF, CF, OF, PF, SF, ZF};
use emu_ir::{STATUS_CARRY, STATUS_FIXED, STATUS_OVERFLOW};

const CARRY_SHIFT: u32 = STATUS_CARRY.trailing_zeros();
const OF_SHIFT: u32 = OF.trailing_zeros();

/// The status flags among EFLAGS.
pub const fn of_eflags(eflags: u32) -> u32 {
    let low = eflags & (CF | PF | AF | ZF | SF);
    let overflow = if eflags & OF != 0 { STATUS_OVERFLOW } else { 0 };
    low << CARRY_SHIFT | (overflow | STATUS_FIXED) as u32
}

/// They at their places in EFLAGS, the others 0.
pub const fn to_eflags(status: u32) -> u32 {
    let low = status >> CARRY_SHIFT & (CF | PF | AF | ZF | SF);
    low | (status & STATUS_OVERFLOW as u32) << OF_SHIFT
}
