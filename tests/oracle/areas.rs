//! Memory of a machine that runs records: areas at their own addresses, and what instructions changed there.

use emu_devices::bus;
use emu_ir::{Bus, RamPage};
use std::ops::Range;
use std::sync::Arc;

/// All the areas that there are.
pub trait Mapped: Send + Sync + 'static {
    /// The area that an address lies in, and where in it.
    fn find(&self, phys: u64) -> Option<(&bus::Ram, u64)>;
}

/// They as a vCPU sees them.
pub struct Ram<A>(pub Arc<A>);

impl<A> Clone for Ram<A> {
    fn clone(&self) -> Self {
        Ram(self.0.clone())
    }
}

impl<A: Mapped> Bus for Ram<A> {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let (memory, offset) = self.0.find(phys)?;
        let mut bytes = [0; 8];
        memory.copy_out(offset, &mut bytes[..size.into()])?;
        Some(u64::from_le_bytes(bytes))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let (memory, offset) = self.0.find(phys)?;
        memory.copy_in(offset, &value.to_le_bytes()[..size.into()])
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        let (memory, offset) = self.0.find(page)?;
        Some(RamPage::plain(memory.mapping(), offset, page))
    }
}

/// From the first byte that differs to the last.
pub fn differing(was: &[u8], is: &[u8]) -> Option<Range<usize>> {
    let differ = |(a, b): (&u8, &u8)| a != b;
    let first = was.iter().zip(is).position(differ)?;
    let last = was.iter().zip(is).rposition(differ)?;
    Some(first..last + 1)
}
