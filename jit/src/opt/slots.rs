//! What is known of the contents of slots, by byte, without hashing and without clearing between blocks.

use emu_ir::{Slot, Val};

#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: Slot,
    value: Val,
    /// Position where this became known.
    since: u16,
    alive: bool,
}

/// Known contents of slots: live entries never overlap.
#[derive(Debug, Default)]
pub(super) struct Contents {
    entries: Vec<Entry>,
    /// How many entries there were before these: entries are numbered on from there, the very first is 1.
    before: u32,
    /// The number of the last entry made over each byte, 0 if there never was one.
    owner: Vec<u32>,
}

impl Contents {
    /// Know nothing.
    pub(super) fn forget_all(&mut self) {
        self.before += self.entries.len() as u32;
        self.entries.clear();
        if self.before > u32::MAX / 2 {
            self.owner.clear();
            self.before = 0;
        }
    }
    /// Keep only what was known before position `from`.
    pub(super) fn forget_since(&mut self, from: u16) {
        for e in &mut self.entries {
            e.alive &= e.since < from;
        }
    }
    #[inline]
    fn covering(&self, byte: usize) -> Option<usize> {
        let at = self.owner.get(byte)?.checked_sub(self.before + 1)? as usize;
        self.entries.get(at)?.alive.then_some(at)
    }
    /// The value that lies in exactly these bytes (perhaps of another type).
    pub(super) fn value(&self, slot: Slot) -> Option<Val> {
        let e = &self.entries[self.covering(slot.off as usize)?];
        (e.slot.off == slot.off && e.slot.ty.bytes() == slot.ty.bytes()).then_some(e.value)
    }
    /// Know nothing of these bytes any more.
    pub(super) fn forget(&mut self, slot: Slot) {
        let (mut byte, end) = (slot.off as usize, slot.off as usize + slot.ty.bytes() as usize);
        while byte < end {
            byte += 1;
            if let Some(at) = self.covering(byte - 1) {
                let e = &mut self.entries[at];
                e.alive = false;
                byte = e.slot.off as usize + e.slot.ty.bytes() as usize;
            }
        }
    }
    /// From position `since` on the slot holds `value`.
    pub(super) fn learn(&mut self, slot: Slot, value: Val, since: u16) {
        let (start, end) = (slot.off as usize, slot.off as usize + slot.ty.bytes() as usize);
        if self.owner.len() < end {
            self.owner.resize(end, 0);
        }
        if self.owner[start..end].iter().any(|&number| number > self.before) {
            self.forget(slot);
        }
        self.entries.push(Entry {
            slot,
            value,
            since,
            alive: true,
        });
        self.owner[start..end].fill(self.before + self.entries.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::Ty;

    const fn slot(off: u16, ty: Ty) -> Slot {
        Slot { off, ty }
    }

    #[test]
    fn a_value_lies_in_exactly_its_bytes() {
        let mut known = Contents::default();
        known.learn(slot(8, Ty::I64), Val(3), 3);

        assert_eq!(known.value(slot(8, Ty::F64)), Some(Val(3)), "of whatever type");
        for other in [
            slot(8, Ty::I32),
            slot(12, Ty::I32),
            slot(0, Ty::I64),
            slot(16, Ty::I64),
            slot(9, Ty::I64),
        ] {
            assert_eq!(known.value(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_overlaps_is_forgotten_and_its_neighbours_are_not() {
        for (ty, off) in [(Ty::I8, 12), (Ty::I8, 19), (Ty::I32, 16), (Ty::V128, 8), (Ty::I64, 11)] {
            let mut known = Contents::default();
            for (n, off) in [0, 12, 16, 24].into_iter().enumerate() {
                known.learn(slot(off, Ty::I32), Val(n as u16), n as u16);
            }
            let stays = |at: u16| at + 4 <= off || off + ty.bytes() as u16 <= at;

            known.learn(slot(off, ty), Val(9), 9);

            for (n, at) in [0, 12, 16, 24].into_iter().enumerate() {
                let there = known.value(slot(at, Ty::I32)) == Some(Val(n as u16));
                assert_eq!(there, stays(at), "{ty:?} at {off}: {at}");
            }
            assert_eq!(known.value(slot(off, ty)), Some(Val(9)));
            known.forget(slot(off, ty));
            assert_eq!(known.value(slot(off, ty)), None);
        }
    }

    #[test]
    fn all_that_lies_there_is_forgotten() {
        for (off, left) in [(8, [false; 2]), (16, [true, false]), (0, [true, true])] {
            let mut known = Contents::default();
            known.learn(slot(12, Ty::I32), Val(4), 4);
            known.learn(slot(16, Ty::I32), Val(5), 5);

            known.forget(slot(off, if off == 0 { Ty::I64 } else { Ty::V128 }));

            let there = [12, 16].map(|off| known.value(slot(off, Ty::I32)).is_some());
            assert_eq!(there, left, "from {off}");
        }
    }

    #[test]
    fn what_became_known_since_a_branch_is_forgotten() {
        let mut known = Contents::default();
        known.learn(slot(0, Ty::I32), Val(4), 4);
        known.learn(slot(4, Ty::I32), Val(5), 5);

        known.forget_since(5);

        let left = [0, 4].map(|off| known.value(slot(off, Ty::I32)));
        assert_eq!(left, [Some(Val(4)), None]);
    }

    #[test]
    fn nothing_comes_back_however_often_all_is_forgotten() {
        let mut known = Contents::default();
        for before in [0, 1, u32::MAX / 2, u32::MAX / 2 + 1, u32::MAX / 2 + 2] {
            known.learn(slot(0, Ty::I32), Val(1), 1);
            known.before = known.before.max(before);
            known.owner.fill(known.before + 1);

            known.forget_all();

            assert_eq!(known.value(slot(0, Ty::I32)), None, "{before}");
            known.learn(slot(4, Ty::I32), Val(2), 2);
            assert_eq!(known.value(slot(0, Ty::I32)), None, "{before}");
            assert_eq!(known.value(slot(4, Ty::I32)), Some(Val(2)));
            assert!(known.before <= u32::MAX / 2 + 1, "numbers start over in time");
        }
    }
}
