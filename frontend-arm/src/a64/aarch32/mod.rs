//! AArch32 state at EL0: 32-bit programs under a 64-bit kernel (Arm ARM DDI 0487, D1.20, G1).
//!
//! AArch64's registers hold AArch32's: R0 to R14 are the low halves of X0 to X14, D0 to D31 are V0 to V15, the pc, flags,
//! exclusive monitor and floating-point status are the same; [`Aarch32`](super::state::Aarch32) has the rest. The code of such
//! programs comes from [`crate::translate`], as for an ARMv7 CPU in User mode, and its slots are renamed ([`code`]). Bit 31 of
//! the mode word says AArch32; the others are then those of [`crate::state::mode`], and the two here. Helpers see a
//! [`crate::Cpu`] made for the call ([`calls`]).

pub mod calls;
pub mod code;
pub mod pstate;

use super::model;
use super::state::mode::AARCH32;
use crate::features::{Feature, Features};
use crate::model::{self as armv7, Model};

/// Bits of the mode word in AArch32 state beside [`AARCH32`] and those of [`crate::state::mode`].
pub mod mode {
    /// PSTATE.IL: every instruction is an Illegal Execution state exception.
    pub const IL: u32 = 1 << 29;
    /// Software step is on: an instruction makes PSTATE.SS 0.
    pub const STEP: u32 = 1 << 30;
}

/// The bits that blocks of AArch32 leave as they are.
pub(super) const UPPER: u32 = AARCH32 | mode::IL | mode::STEP;

/// What such programs find whatever the features: VFPv4 and Advanced SIMD, and no ThumbEE.
pub const MODEL: &Model = &Model {
    id_pfr: [0x0000_0131, 0x0001_0001],
    id_dfr0: 0x0000_0006,
    id_mmfr: [0x1020_1105, 0x4000_0000, 0x0126_0000, 0x0210_2211],
    id_isar: [
        0x0210_1110,
        0x1311_2111,
        0x2123_2042,
        0x0111_2131,
        0x0001_1142,
        0x0000_0001,
    ],
    mvfr1: 0x1211_1111,
    dbgdidr: 0x3516_8000,
    ..ARMV7
};
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const ARMV7: Model = armv7::MODELS[0];

/// What helpers see, by the models of AArch64: their performance monitors are the same.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
static MODELS: [Model; model::MODELS.len()] = {
    let (mut all, mut i) = ([*MODEL; model::MODELS.len()], 0);
    while i < all.len() {
        (all[i].pmcr, all[i].events) = (model::MODELS[i].pmcr, model::MODELS[i].events);
        i += 1;
    }
    all
};

/// What helpers see on a CPU of a model of AArch64.
fn model_of(cpu: &model::Model) -> &'static Model {
    let which = model::MODELS.iter().position(|m| m.name == cpu.name);
    which.and_then(|i| MODELS.get(i)).unwrap_or(MODEL)
}

/// The model that instructions are translated for.
pub(super) fn translated(features: Features) -> Model {
    Model {
        features: features.with(&[Feature::A32V8]),
        ..*MODEL
    }
}
