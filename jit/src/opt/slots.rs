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
    /// The last entry made over each byte; valid only if that entry exists and covers the byte.
    owner: Vec<u16>,
}

impl Contents {
    /// Know nothing.
    pub(super) fn forget_all(&mut self) {
        self.entries.clear();
    }
    /// Keep only what was known before position `from`.
    pub(super) fn forget_since(&mut self, from: u16) {
        for e in &mut self.entries {
            e.alive &= e.since < from;
        }
    }
    fn covering(&self, byte: usize) -> Option<usize> {
        let at = *self.owner.get(byte)? as usize;
        let e = self.entries.get(at)?;
        let start = e.slot.off as usize;
        (e.alive && (start..start + e.slot.ty.bytes() as usize).contains(&byte)).then_some(at)
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
        self.forget(slot);
        let (start, end) = (slot.off as usize, slot.off as usize + slot.ty.bytes() as usize);
        if self.owner.len() < end {
            self.owner.resize(end, 0);
        }
        self.owner[start..end].fill(self.entries.len() as u16);
        self.entries.push(Entry {
            slot,
            value,
            since,
            alive: true,
        });
    }
}
