//! Guarded pages and branch types (FEAT_BTI; Arm ARM DDI 0487, D8.4.6, shared pseudocode BranchTo, BTypeCompatible).
//!
//! Programs without guarded pages pay next to nothing. Blocks in guarded pages are blocks of their own
//! ([`emu_ir::Page::marked`]), whatever the mode. An exception level that has met no guarded page yet only notes where its
//! last indirect branch went. The first such page's walk answers [`FIRST_GUARDED`](super::fault::FIRST_GUARDED), and from
//! then on ([`mode::CHECKED`]) PSTATE.BTYPE is in the mode word, so that the block at the branch's target is one that looks
//! at it.

use super::fault::class;
use super::features::Feature;
use super::mmu::canonical_code;
use super::state::{self, Cpu, mode, sctlr};
use super::tx::Tx;
use emu_ir::Val;

impl Cpu {
    /// The bits of the mode word that follow from here, but for PSTATE.BTYPE.
    pub(super) fn guard_bits(&self) -> u32 {
        let el = self.el();
        let strict = if el == 0 { sctlr::BT0 } else { sctlr::BT1 };
        let when = |set: bool, bit: u32| if set { bit } else { 0 };
        when(self.has_met_guarded(el), mode::CHECKED) | when(self.sys.sctlr & strict != 0, mode::STRICT_PADS)
    }

    /// Whether an exception level has met guarded pages.
    pub(super) fn has_met_guarded(&self, el: u32) -> bool {
        self.guarded >> el & 1 != 0
    }

    /// What the last indirect branch gave PSTATE.BTYPE, if it went here and nothing has been executed since: known where
    /// only that is kept ([`Cpu::branch`]).
    pub(super) fn note_branch(&mut self) {
        let kept = !self.is_aarch32() && self.mode & mode::CHECKED == 0;
        if kept && canonical_code(self, self.branch & !3) == self.pc {
            self.mode |= (self.branch as u32 & 3) << mode::BTYPE_SHIFT;
        }
        self.branch = 0;
    }

    /// It has met the first guarded page of its exception level. Those mean nothing in AArch32 state, but may be met there.
    pub(super) fn meet_guarded(&mut self) {
        self.note_branch();
        self.guarded |= 1 << self.el();
        self.update_mode();
    }
}

/// An indirect branch to `address`, which gives PSTATE.BTYPE this value.
fn leave(t: &mut Tx, address: Val, btype: u32) {
    t.depends |= mode::CHECKED;
    if t.mode & mode::CHECKED == 0 {
        let noted = t.plus(address, btype.into());
        t.b.set(state::BRANCH, noted);
        return;
    }
    let (old, bits) = (t.b.get(state::MODE), t.b.i32(btype << mode::BTYPE_SHIFT));
    let new = t.b.or(old, bits);
    t.b.set(state::MODE, new);
}

/// BR by X`n`, and what does the same.
pub fn jump(t: &mut Tx, address: Val, n: u32) {
    if t.has(Feature::Bti) {
        let btype = if t.guarded && !matches!(n, 16 | 17) { 3 } else { 1 };
        leave(t, address, btype);
    }
}
/// BLR, and what does the same.
pub fn call(t: &mut Tx, address: Val) {
    if t.has(Feature::Bti) {
        leave(t, address, 2);
    }
}

/// BRK and HLT.
const fn is_breakpoint(word: u32) -> bool {
    matches!(word & 0xffe0_001f, 0xd420_0000 | 0xd440_0000)
}

/// BTypeCompatible: whether an instruction is where a branch of a type may go.
fn is_pad(word: u32, btype: u32, strict: bool) -> bool {
    const BTI: u32 = 0xd503_241f;
    match word {
        0xd503_233f | 0xd503_237f => btype != 3 || !strict, // PACIASP, PACIBSP
        _ if word & !0xc0 == BTI => match word >> 6 & 3 {
            0 => false,
            1 => btype != 3,
            2 => btype != 2,
            _ => true,
        },
        _ => is_breakpoint(word),
    }
}

/// At the first instruction of a block: PSTATE.BTYPE is looked at where its page is guarded, and becomes zero. Whether it is
/// an exception.
pub fn arrive(t: &mut Tx, word: u32) -> bool {
    let btype = (t.mode & mode::BTYPE) >> mode::BTYPE_SHIFT;
    if btype == 0 {
        return false;
    }
    if t.guarded {
        t.depends |= mode::STRICT_PADS;
        if !is_pad(word, btype, t.mode & mode::STRICT_PADS != 0) {
            t.exception(class::BTI, btype);
            return true;
        }
    }
    if !is_breakpoint(word) {
        // Other exceptions of the instruction itself may find it zero: AArch64.TakeException.
        let (old, others) = (t.b.get(state::MODE), t.b.i32(!mode::BTYPE));
        let new = t.b.and(old, others);
        t.b.set(state::MODE, new);
        t.mode &= !mode::BTYPE;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By type 1 to 3; with SCTLR_EL1.BT0 or BT1.
    #[test]
    fn pads_are_for_some_types() {
        let rows = [
            (0xd503_241f, [false; 3], [false; 3]),                   // BTI
            (0xd503_245f, [true, true, false], [true, true, false]), // BTI c
            (0xd503_249f, [true, false, true], [true, false, true]), // BTI j
            (0xd503_24df, [true; 3], [true; 3]),                     // BTI jc
            (0xd503_233f, [true; 3], [true, true, false]),           // PACIASP
            (0xd503_237f, [true; 3], [true, true, false]),           // PACIBSP
            (0xd503_23bf, [false; 3], [false; 3]),                   // AUTIASP
            (0xd420_0000, [true; 3], [true; 3]),                     // BRK
            (0xd503_201f, [false; 3], [false; 3]),                   // NOP
        ];
        for (word, lenient, strict) in rows {
            let pads = |strict| [1, 2, 3].map(|btype| is_pad(word, btype, strict));
            assert_eq!((pads(false), pads(true)), (lenient, strict), "{word:#x}");
        }
    }
}
