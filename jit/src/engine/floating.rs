//! Floating point between the guest's state and the host's MXCSR, in which translated code computes.

use super::Vcpu;
use crate::fp::X86;
use crate::interp::{self, peek};
use emu_ir::{FP_DENORMAL, Guest, Layout, Rules, Ty};

/// Where MXCSR has the rounding mode.
const ROUND_SHIFT: u32 = 13;

/// The bits of MXCSR by which the host computes as a guest's state says.
pub fn control<S: bytemuck::Pod>(state: &S, layout: &Layout) -> u32 {
    let round = peek(state, layout.fp_round.off, Ty::I32) as u32 & 3;
    let flushes = match layout.rules {
        // What is flushed is seen to out of line.
        Rules::Arm => 0,
        Rules::X86 { mxcsr } => X86::of(peek(state, mxcsr.off, Ty::I32) as u32, false).to_mxcsr(),
    };
    round << ROUND_SHIFT | flushes
}

impl<G: Guest> Vcpu<G> {
    /// Cumulative flags from the host's control word into the state.
    pub(super) fn collect_flags(&mut self) {
        let flags = self.own.take_flags();
        let told = match G::LAYOUT.rules {
            Rules::Arm => flags & !FP_DENORMAL,
            Rules::X86 { .. } => flags,
        };
        let state = self.own.state_mut();
        interp::raise_flags(bytemuck::bytes_of_mut(state), G::LAYOUT, told);
    }
}
