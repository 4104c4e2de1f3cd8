//! What a random program is, whatever it is for.

use super::trial::Pieces;
use capstone::prelude::*;
use emu_ir::testing::Random;

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    A32,
    Thumb,
    A64,
    /// x86's code of 16, 32 and 64 bits.
    X16,
    X32,
    X64,
}

impl Set {
    /// NOPs in place of as many bytes.
    pub fn nops(self, bytes: usize) -> Vec<u8> {
        let nop: &[u8] = match self {
            Set::A32 => &[0x00, 0xf0, 0x20, 0xe3],
            Set::Thumb => &[0x00, 0xbf],
            Set::A64 => &[0x1f, 0x20, 0x03, 0xd5],
            Set::X16 | Set::X32 | Set::X64 => &[0x90],
        };
        nop.iter().copied().cycle().take(bytes).collect()
    }
    /// What waits, WFI or HLT, as often as it fits.
    pub fn ends(self, bytes: usize) -> Vec<u8> {
        let wfi: &[u8] = match self {
            Set::A32 => &[0x03, 0xf0, 0x20, 0xe3],
            Set::Thumb => &[0x30, 0xbf],
            Set::A64 => &[0x7f, 0x20, 0x03, 0xd5],
            Set::X16 | Set::X32 | Set::X64 => &[0xf4],
        };
        wfi.iter().copied().cycle().take(bytes).collect()
    }
    /// The bytes that its instructions have at least.
    pub fn unit(self) -> usize {
        match self {
            Set::A32 | Set::Thumb => 2,
            Set::A64 => 4,
            Set::X16 | Set::X32 | Set::X64 => 1,
        }
    }
    /// Who lists its code.
    pub fn lister(self) -> Capstone {
        let made = match self {
            Set::A32 => Capstone::new().arm().mode(arch::arm::ArchMode::Arm).build(),
            Set::Thumb => Capstone::new().arm().mode(arch::arm::ArchMode::Thumb).build(),
            Set::A64 => Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build(),
            Set::X16 => Capstone::new().x86().mode(arch::x86::ArchMode::Mode16).build(),
            Set::X32 => Capstone::new().x86().mode(arch::x86::ArchMode::Mode32).build(),
            Set::X64 => Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build(),
        };
        made.expect("a disassembler")
    }
}

/// What a piece is for, to those that may replace it.
#[derive(Clone, Copy, PartialEq)]
pub enum Task {
    /// Computes, which other instructions may as well.
    Compute,
    /// Stores an instruction over code.
    Modify,
    /// Something that may not be left out.
    Other,
}

/// A piece of a program that can be taken out.
#[derive(Clone)]
pub struct Piece {
    pub at: u32,
    pub set: Set,
    pub bytes: Vec<u8>,
    pub task: Task,
}

impl Piece {
    /// Whether it has been taken out.
    pub fn is_out(&self) -> bool {
        self.bytes == self.set.nops(self.bytes.len())
    }
}

/// A program and what it starts with.
#[derive(Clone)]
pub struct Program<S> {
    /// Memory without the pieces.
    pub base: Vec<u8>,
    pub pieces: Vec<Piece>,
    pub start: S,
    pub careful: bool,
}

impl<S: Copy> Program<S> {
    /// What RAM is at the start.
    pub fn memory(&self) -> Vec<u8> {
        let mut memory = self.base.clone();
        for piece in &self.pieces {
            let at = piece.at as usize;
            memory[at..at + piece.bytes.len()].copy_from_slice(&piece.bytes);
        }
        memory
    }
}

impl<S: Clone> Pieces for Program<S> {
    fn count(&self) -> usize {
        self.pieces.len()
    }
    fn is_out(&self, piece: usize) -> bool {
        self.pieces[piece].is_out()
    }
    fn without(&self, piece: usize) -> Program<S> {
        let mut shorter = self.clone();
        let p = &mut shorter.pieces[piece];
        p.bytes = p.set.nops(p.bytes.len());
        shorter
    }
}

/// Those of the first come first.
impl<S: Clone> Pieces for [Program<S>; 2] {
    fn count(&self) -> usize {
        self.iter().map(Pieces::count).sum()
    }
    fn is_out(&self, piece: usize) -> bool {
        match piece.checked_sub(self[0].count()) {
            None => self[0].is_out(piece),
            Some(piece) => self[1].is_out(piece),
        }
    }
    fn without(&self, piece: usize) -> [Program<S>; 2] {
        let [first, second] = self;
        match piece.checked_sub(first.count()) {
            None => [first.without(piece), second.clone()],
            Some(piece) => [first.clone(), second.without(piece)],
        }
    }
}

/// Puts a word into memory.
pub fn put(memory: &mut [u8], at: u32, word: u32) {
    memory[at as usize..at as usize + 4].copy_from_slice(&word.to_le_bytes());
}

/// Which of some places a piece stores over: one near it as often as any. `None`: there are none.
pub fn target(targets: &[u32], piece: u32, random: &mut Random) -> Option<u32> {
    let near = targets.iter().copied().filter(|t| t.abs_diff(piece) < 0x100);
    let near: Vec<u32> = near.collect();
    let some = if near.is_empty() || random.one_in(2) {
        targets
    } else {
        &near
    };
    (!some.is_empty()).then(|| random.pick(some))
}
