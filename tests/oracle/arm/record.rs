//! The record that is exchanged with step.c, and the memory that its instructions find.

use super::super::Random;
use super::super::areas::differing;
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// Memory that instructions may access, at the same address here and there; its neighbours are not mapped.
pub const DATA: u32 = 0x1000_0000;
pub const DATA_SIZE: usize = 4 * 4096;
/// Memory that instructions may be fetched from as well. Code is placed in the middle page.
pub const CODE: u32 = 0x2800_0000;
pub const CODE_SIZE: usize = 3 * 4096;

/// Words of code in a record.
pub const CODE_WORDS: usize = 8;
/// How many bytes of changed memory a record holds.
const CHANGED: usize = 512;

/// As in step.c.
#[derive(Clone, Copy, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Record {
    pub code: [u32; CODE_WORDS],
    pub pc: u32,
    pub cpsr: u32,
    /// The row's instruction, of VFP and Advanced SIMD in its A32 form, and how many bytes of code come before it.
    pub word: u32,
    pub lead: u32,
    pub r: [u32; 15],
    pub fpscr: u32,
    pub signal: u32,
    pub address: u32,
    pub d: [u64; 32],
    pub changed_at: u32,
    pub changed_by: u32,
    pub changed: [[u8; 32]; CHANGED / 32],
}

/// The words before R0 say what is executed.
pub const EXECUTED: usize = CODE_WORDS + 4;

/// Signals by Linux's numbers.
pub const SIGILL: u32 = 4;
pub const SIGTRAP: u32 = 5;
pub const SIGBUS: u32 = 7;
pub const SIGSEGV: u32 = 11;
pub const SIGVTALRM: u32 = 26;

/// CPSR bits: Thumb state, and all that a record holds: N, Z, C, V, Q, GE, IT, E, T.
pub const T: u32 = 1 << 5;
pub const CPSR: u32 = 0xfe0f_fe20;

impl Record {
    /// CPSR.IT.
    pub fn it(&self) -> u32 {
        self.cpsr >> 25 & 3 | self.cpsr >> 8 & 0xfc
    }
    pub fn set_it(&mut self, it: u32) {
        self.cpsr |= (it & 3) << 25 | (it & 0xfc) << 8;
    }
    /// Note how an area at `at` differs from what it was.
    pub fn note_changes(&mut self, at: u32, was: &[u8], is: &[u8]) -> Option<Range<usize>> {
        if was == is {
            return None;
        }
        let Range { start, end } = differing(was, is)?;
        (self.changed_at, self.changed_by) = (at + start as u32, (end - start) as u32);
        let held = &is[start..end.min(start + CHANGED)];
        bytemuck::cast_slice_mut(&mut self.changed)[..held.len()].copy_from_slice(held);
        Some(start..end)
    }
}

/// The name of a record's word.
pub fn field(word: usize) -> String {
    match word {
        0..8 => format!("code {word}"),
        8 => "pc".into(),
        9 => "cpsr".into(),
        10 => "instruction".into(),
        11 => "lead".into(),
        12..27 => format!("r{}", word - 12),
        27 => "fpscr".into(),
        28 => "signal".into(),
        29 => "fault address".into(),
        30..94 => format!("d{} {}", (word - 30) / 2, ["low", "high"][word % 2]),
        94 => "memory changed at".into(),
        95 => "memory changed by".into(),
        _ => format!("memory + {:#x}", (word - 96) * 4),
    }
}

/// What data areas hold: random words, among them addresses of code.
pub fn initial_data() -> Vec<u8> {
    let mut random = Random::of("data", 0);
    let word = |random: &mut Random| {
        if random.one_in(8) {
            CODE + random.below(CODE_SIZE as u64) as u32
        } else {
            random.word()
        }
    };
    (0..DATA_SIZE / 4)
        .flat_map(|_| word(&mut random).to_le_bytes())
        .collect()
}

/// What code areas hold: words that are Undefined wherever and in whichever state they are entered. The second halfword
/// is a branch of Thumb's back to a first one, which is Undefined.
pub fn initial_code() -> Vec<u8> {
    let mut random = Random::of("code", 0);
    let word = |random: &mut Random| {
        let back = random.pick(&[1, 3, 5, 7, 9, 11, 13]);
        0xe7f0_def0 | back << 16 | random.below(16) as u32
    };
    (0..CODE_SIZE / 4)
        .flat_map(|_| word(&mut random).to_le_bytes())
        .collect()
}

/// An Undefined instruction of T16.
pub const UDF_NARROW: u16 = 0xdefe;
/// An Undefined instruction of A32.
pub const UDF: u32 = 0xe7fd_defe;
