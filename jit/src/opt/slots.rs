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
