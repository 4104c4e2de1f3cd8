//! MXCSR (SDM 1, 5.5.2).

use crate::calls;
use crate::fault::vector;
use crate::state::bits::mxcsr;
use crate::tx::Tx;
use emu_ir::Ty;

/// LDMXCSR: what rounding, DAZ, FTZ and the masks are is part of the mode, or is read where code is entered.
pub fn ldmxcsr(t: &mut Tx) {
    if !t.admits_simd(true) {
        return;
    }
    let value = t.read(0);
    let reserved = t.mask(value, u64::from(!mxcsr::ALL));
    let none = t.is_zero(reserved);
    t.fault_unless(none, vector::GP, 0);
    t.leave_by(calls::LDMXCSR, &[value]);
}

/// STMXCSR.
pub fn stmxcsr(t: &mut Tx) {
    if !t.admits_simd(true) {
        return;
    }
    let value = t.b.call(Ty::I32, calls::STMXCSR, &[]);
    t.write(0, value);
}
