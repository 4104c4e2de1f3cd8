//! The 32-bit instruction sets: A32, and Thumb's T32 and T16. `arm` and `thumb` hold rows only; what they mean is shared,
//! one file a chapter of the manual.

pub mod arm;
pub mod block_transfer;
pub mod branch;
pub mod crc32;
pub mod data_processing;
pub mod exclusive;
pub mod load_store;
pub mod media;
pub mod multiply;
pub mod neon;
pub mod parallel;
pub mod system;
pub mod table;
pub mod thumb;
pub mod vfp;

use emu_ir::pattern::{Decoder, assert_unambiguous};
use std::sync::LazyLock;
pub use table::{Insn, Row, Table};

/// VFP and Advanced SIMD rows of A32, with a condition.
const SIMD_CONDITIONAL: &[Table] = vfp::TABLES;
/// VFP and Advanced SIMD rows of A32, without a condition.
const SIMD_UNCONDITIONAL: &[Table] =
    &joined::<{ neon::TABLES.len() + vfp::UNCONDITIONAL.len() }>(neon::TABLES, vfp::UNCONDITIONAL);

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn joined<const N: usize>(first: &[Table], second: &[Table]) -> [Table; N] {
    let (mut all, mut k): ([Table; N], usize) = ([&[]; N], 0);
    while k < N {
        all[k] = if k < first.len() {
            first[k]
        } else {
            second[k - first.len()]
        };
        k += 1;
    }
    all
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// 32-bit ARM.
    A32,
    /// 32-bit Thumb.
    T32,
    /// 16-bit Thumb.
    T16,
}

#[allow(long_running_const_eval)]
const _: () = {
    assert_unambiguous(arm::CONDITIONAL);
    assert_unambiguous(arm::UNCONDITIONAL);
    assert_unambiguous(thumb::T32);
    assert_unambiguous(thumb::LITERALS);
    assert_unambiguous(thumb::T16);
};

/// Every row of a set. A32's come with and without a condition; Thumb has Advanced SIMD, VFP and coprocessor
/// instructions through A32's rows.
pub fn rows(set: Set) -> impl Iterator<Item = &'static Row<Insn>> {
    let tables: &[&[Table]] = match set {
        Set::A32 => &[
            arm::CONDITIONAL,
            SIMD_CONDITIONAL,
            arm::UNCONDITIONAL,
            SIMD_UNCONDITIONAL,
        ],
        Set::T32 => &[thumb::T32, thumb::LITERALS],
        Set::T16 => &[thumb::T16],
    };
    tables
        .iter()
        .flat_map(|group| group.iter())
        .flat_map(|table| table.iter())
}

/// The decoders of all sets.
pub struct Decoders {
    conditional: Decoder<Insn>,
    unconditional: Decoder<Insn>,
    t32: Decoder<Insn>,
    literals: Decoder<Insn>,
    t16: Decoder<Insn>,
}

static DECODERS: LazyLock<Decoders> = LazyLock::new(|| Decoders {
    conditional: Decoder::new(&[arm::CONDITIONAL, SIMD_CONDITIONAL].concat(), 0x0ff0_00f0),
    unconditional: Decoder::new(&[arm::UNCONDITIONAL, SIMD_UNCONDITIONAL].concat(), 0x0fb0_0f70),
    t32: Decoder::new(thumb::T32, 0x1ff0_d000),
    literals: Decoder::new(thumb::LITERALS, 0x01f0_f000),
    t16: Decoder::new(thumb::T16, 0xffc0),
});

/// The decoders, made at the first call.
pub fn decoders() -> &'static Decoders {
    &DECODERS
}

impl Decoders {
    /// The row of an A32 instruction.
    pub fn a32(&self, word: u32) -> Option<&'static Row<Insn>> {
        if word >> 28 == 15 {
            self.unconditional.find(word)
        } else {
            self.conditional.find(word)
        }
    }
    /// The row of a 32-bit Thumb instruction, and the word to run it with: its A32 form where it has the row from there.
    pub fn t32(&self, word: u32) -> (Option<&'static Row<Insn>>, u32) {
        if word & 0xef00_0000 == 0xef00_0000 {
            let arm = 0xf200_0000 | word >> 4 & 0x0100_0000 | word & 0x00ff_ffff;
            return (self.unconditional.find(arm), arm);
        }
        if word >> 26 == 0b111011 {
            return (self.conditional.find(word), word);
        }
        if word >> 26 == 0b111111 {
            // Armv8's of VFP and Advanced SIMD.
            return (self.unconditional.find(word), word);
        }
        if word & 0xff10_0000 == 0xf900_0000 {
            let arm = 0xf400_0000 | word & 0x00ff_ffff;
            return (self.unconditional.find(arm), arm);
        }
        if word & 0xfe0f_0000 == 0xf80f_0000 {
            return (self.literals.find(word), word);
        }
        (self.t32.find(word), word)
    }
    /// The row of a 16-bit Thumb instruction.
    pub fn t16(&self, word: u32) -> Option<&'static Row<Insn>> {
        self.t16.find(word)
    }
    /// The row of an instruction of a set, and the word to run it with.
    pub fn find(&self, set: Set, word: u32) -> (Option<&'static Row<Insn>>, u32) {
        match set {
            Set::A32 => (self.a32(word), word),
            Set::T32 => self.t32(word),
            Set::T16 => (self.t16(word), word),
        }
    }
}

#[cfg(test)]
mod tests;
