//! Which slots of a guest's state are kept in host registers.
#![expect(
    clippy::indexing_slicing,
    reason = "the table grows to the slots that it is made for"
)]

use emu_ir::{Layout, Slot};

/// How many slots are pinned at most.
pub const PINNED: usize = 9;
/// No pin.
pub const NONE: u8 = u8::MAX;
/// No pin, and the operation is not emitted: it is a store of status flags that is put off until somebody looks, or what only
/// such ones use.
pub const LATER: u8 = NONE - 1;

/// The first [`PINNED`] of a layout's pins, to be found by slot.
#[derive(Default)]
pub struct Pins {
    layout: Option<&'static Layout>,
    /// For each byte of the state, the pin of the slot that starts there.
    at: Vec<u8>,
}

impl Pins {
    /// Be those of a layout.
    pub fn know(&mut self, layout: &'static Layout) {
        if self.layout.is_some_and(|known| std::ptr::eq(known, layout)) {
            return;
        }
        self.layout = Some(layout);
        self.at.clear();
        for (p, slot) in layout.pins.iter().take(PINNED).enumerate() {
            if self.at.len() <= slot.off as usize {
                self.at.resize(slot.off as usize + 1, NONE);
            }
            self.at[slot.off as usize] = p as u8;
        }
    }
    /// The number of a slot's pin.
    pub fn pin(&self, slot: Slot) -> Option<u8> {
        let p = *self.at.get(slot.off as usize)?;
        let layout = self.layout.filter(|_| p != NONE)?;
        (layout.pins[p as usize].ty == slot.ty).then_some(p)
    }
}
