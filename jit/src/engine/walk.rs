//! The bus as a guest's walk sees it: what a walk stores (hardware's flags in page tables) is memory where code may lie.

use emu_ir::{Bus, RamPage};

/// Notes what is stored.
pub struct Walking<'a> {
    bus: &'a mut dyn Bus,
    /// Physical addresses and sizes.
    pub stored: Vec<(u64, u8)>,
}

impl Walking<'_> {
    /// On this bus.
    pub fn new(bus: &mut dyn Bus) -> Walking<'_> {
        Walking {
            bus,
            stored: Vec::new(),
        }
    }
}

impl Bus for Walking<'_> {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        self.bus.load(phys, size)
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        self.stored.push((phys, size));
        self.bus.store(phys, size, value)
    }
    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        self.stored.push((phys, size));
        self.bus.compare_exchange(phys, size, old, new)
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.bus.ram(page)
    }
    fn translating(&mut self, page: u64) {
        self.bus.translating(page);
    }
    fn remapped(&mut self) -> bool {
        self.bus.remapped()
    }
}
