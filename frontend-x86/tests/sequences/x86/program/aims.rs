//! Stores over code.

use super::Writer;
use crate::program::{self, Piece, Set, Task};
use crate::x86::asm::{Asm, BUNDLE};
use crate::x86::layout::*;
use crate::x86::tables::Paging;
use emu_ir::testing::Random;

/// The bytes that are stored.
const PATCH: usize = 8;

/// Somewhere in code, near or far.
pub(super) fn code_place(at: u32, random: &mut Random) -> u32 {
    let near = (at + random.word_below(160)).saturating_sub(64);
    let far = CODE + random.word_below(DATA - CODE);
    let place = if random.one_in(2) { near } else { far };
    place.clamp(CODE, DATA - PATCH as u32)
}

/// Bundles of a piece that are all its own.
fn bundles(piece: &Piece) -> Vec<u32> {
    let end = piece.at + piece.bytes.len() as u32;
    let first = piece.at.next_multiple_of(BUNDLE);
    (first..end)
        .step_by(BUNDLE as usize)
        .filter(|at| at + BUNDLE <= end)
        .collect()
}

impl Writer<'_> {
    /// What is stored at a bundle's start: an instruction, and a jump to the bundle's end.
    fn patch(&self, set: Set, random: &mut Random) -> [u8; PATCH] {
        let insn = self.rows.compute(set, PATCH - 2, random);
        let mut patch = [0x90; PATCH];
        patch[..insn.len()].copy_from_slice(&insn);
        let end = insn.len() + 2;
        patch[insn.len()..end].copy_from_slice(&[0xeb, (BUNDLE as usize - end) as u8]);
        patch
    }
    /// Stores over code of a set.
    pub(super) fn modify(&self, asm: &mut Asm, target: u32, set: Set, random: &mut Random) {
        let [a, b, c, d, rest @ ..] = self.patch(set, random);
        let wide = asm.set != Set::X16 && self.tables.paging != Paging::Off;
        let at = target + if wide && random.one_in(3) { LARGE } else { 0 };
        asm.store(at + 4, u32::from_le_bytes(rest));
        asm.store(at, u32::from_le_bytes([a, b, c, d]));
    }
    /// The same over what comes next.
    pub(super) fn modify_next(&self, asm: &mut Asm, random: &mut Random) {
        let start = asm.clone();
        self.modify(asm, 0, asm.set, random);
        asm.align();
        let target = asm.here();
        *asm = start;
        self.modify(asm, target, asm.set, random);
        asm.align();
        let mut next = Asm::new(asm.set, target);
        while next.bytes.len() < BUNDLE as usize {
            let left = BUNDLE as usize - next.bytes.len();
            let code = self.rows.compute(asm.set, left, random);
            next.put(&code);
        }
        asm.bytes.extend(next.bytes);
    }
    /// Has careful programs store over what computes only: nobody loses his maintenance.
    pub(super) fn aim(&self, pieces: &mut [Piece], random: &mut Random) {
        if !self.careful {
            return;
        }
        let computes = pieces.iter().filter(|p| p.task == Task::Compute);
        let all: Vec<(u32, Set)> = computes
            .flat_map(|p| bundles(p).into_iter().map(|at| (at, p.set)))
            .collect();
        let places: Vec<u32> = all.iter().map(|(at, _)| *at).collect();
        for piece in pieces.iter_mut().filter(|p| p.task == Task::Modify) {
            let Some(target) = program::target(&places, piece.at, random) else {
                piece.bytes = piece.set.nops(piece.bytes.len());
                continue;
            };
            let set = all
                .iter()
                .find(|(at, _)| *at == target)
                .map_or(piece.set, |(_, set)| *set);
            let mut asm = Asm::new(piece.set, piece.at);
            self.modify(&mut asm, target, set, random);
            assert_eq!(asm.bytes.len(), piece.bytes.len(), "every modification has one length");
            piece.bytes = asm.bytes;
        }
    }
}
