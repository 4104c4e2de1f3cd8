//! The blocks that an interpreting vCPU came to of late, found without asking for the book's lock.

use super::blocks::{Found, How, Ir};
use emu_ir::BlockKey;
use std::sync::Arc;

/// The last block that was come to at each of many sets of addresses. All are of one book.
#[derive(Default)]
pub struct Recent {
    /// None before the first is kept.
    slots: Vec<Option<(BlockKey, Arc<Ir>)>>,
}

impl Recent {
    const SLOTS: usize = 4096;

    fn slot(key: BlockKey) -> usize {
        ((key.phys >> 1 ^ key.phys >> 12) % Recent::SLOTS as u64) as usize
    }
    /// The block for a key, if it is there and no byte of it was stored to.
    pub fn get(&self, key: BlockKey) -> Option<Arc<Ir>> {
        match self.slots.get(Recent::slot(key)) {
            Some(Some((at, ir))) if *at == key && !ir.is_gone() => Some(ir.clone()),
            _ => None,
        }
    }
    /// Keep a block that was found for a key. One that reaches into its next page is not kept: whether that may run now is
    /// to be looked at each time.
    pub fn keep(&mut self, key: BlockKey, found: &Found) {
        let How::Ir(ir) = &found.how else { return };
        if found.extent.next_page.is_some() {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize(Recent::SLOTS, None);
        }
        if let Some(slot) = self.slots.get_mut(Recent::slot(key)) {
            *slot = Some((key, ir.clone()));
        }
    }
    /// Its book is another from now on.
    pub fn clear(&mut self) {
        self.slots.clear();
    }
}
