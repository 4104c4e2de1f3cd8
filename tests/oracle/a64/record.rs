//! The record that is exchanged with step.c, and the memory that its instructions find.

use super::super::Random;
use super::super::areas::differing;
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

/// Memory that instructions may access, at the same address here and there; its neighbours are not mapped.
pub const DATA: u64 = 0x1000_0000;
pub const DATA_SIZE: usize = 4 * 4096;
/// Memory that instructions may be fetched from as well. Code is placed in the middle page.
pub const CODE: u64 = 0x2800_0000;
pub const CODE_SIZE: usize = 3 * 4096;

/// Words of code in a record.
pub const CODE_WORDS: usize = 4;
/// How many bytes of changed memory a record holds.
const CHANGED: usize = 256;

/// As in step.c.
#[derive(Clone, Copy, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Record {
    pub code: [u32; CODE_WORDS],
    pub pc: u64,
    pub nzcv: u32,
    /// The row's instruction.
    pub word: u32,
    /// X0 to X30, SP.
    pub x: [u64; 32],
    pub fpcr: u32,
    pub fpsr: u32,
    pub signal: u32,
    pub changed_by: u32,
    pub address: u64,
    pub changed_at: u64,
    pub v: [[u64; 2]; 32],
    pub changed: [[u8; 32]; CHANGED / 32],
}

/// The words before X0 say what is executed.
pub const EXECUTED: usize = CODE_WORDS + 4;

/// Signals by Linux's numbers.
pub const SIGILL: u32 = 4;
pub const SIGTRAP: u32 = 5;
pub const SIGBUS: u32 = 7;
pub const SIGSEGV: u32 = 11;
pub const SIGVTALRM: u32 = 26;

impl Record {
    /// Bytes of code before the row's instruction.
    pub fn lead(&self) -> u64 {
        let at = self.code.iter().position(|w| *w == self.word);
        4 * at.unwrap_or(0) as u64
    }
    /// Note how an area at `at` differs from what it was.
    pub fn note_changes(&mut self, at: u64, was: &[u8], is: &[u8]) {
        let Some(Range { start, end }) = differing(was, is) else {
            return;
        };
        (self.changed_at, self.changed_by) = (at + start as u64, (end - start) as u32);
        let held = &is[start..end.min(start + CHANGED)];
        bytemuck::cast_slice_mut(&mut self.changed)[..held.len()].copy_from_slice(held);
    }
}

/// The name of a record's word.
pub fn field(word: usize) -> String {
    let half = ["low", "high"][word % 2];
    match word {
        0..4 => format!("code {word}"),
        4 | 5 => format!("pc {half}"),
        6 => "nzcv".into(),
        7 => "instruction".into(),
        8..72 => format!("x{} {half}", (word - 8) / 2),
        72 => "fpcr".into(),
        73 => "fpsr".into(),
        74 => "signal".into(),
        75 => "memory changed by".into(),
        76 | 77 => format!("fault address {half}"),
        78 | 79 => format!("memory changed at {half}"),
        80..208 => format!("v{} word {}", (word - 80) / 4, word % 4),
        _ => format!("memory + {:#x}", (word - 208) * 4),
    }
}

/// What data areas hold: random words.
pub fn initial_data() -> Vec<u8> {
    let mut random = Random::of("data", 0);
    (0..DATA_SIZE / 4).flat_map(|_| random.word().to_le_bytes()).collect()
}

/// What code areas hold: words that are Undefined.
pub fn initial_code() -> Vec<u8> {
    let mut random = Random::of("code", 0);
    let words = (0..CODE_SIZE / 4).map(|_| random.word_below(0x1_0000));
    words.flat_map(u32::to_le_bytes).collect()
}

/// An Undefined instruction.
pub const UDF: u32 = 0xdef0;
