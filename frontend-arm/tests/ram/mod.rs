//! Memory for a vCPU of a test.

use emu_devices::bus;
use emu_ir::{Bus, RamPage};
use std::sync::Arc;

/// Where RAM starts.
pub const BASE: u32 = 0x4000_0000;
/// Bytes of RAM.
const SIZE: u64 = 0x2_0000;

/// Memory at [`BASE`], and nothing elsewhere. It outlives its vCPU.
#[derive(Clone)]
pub struct Ram(Arc<bus::Ram>);

impl Ram {
    pub fn new() -> Ram {
        Ram(Arc::new(bus::Ram::new(SIZE).unwrap()))
    }
    fn at(phys: u64, len: u64) -> Option<u64> {
        let at = phys.checked_sub(BASE.into())?;
        (at + len <= SIZE).then_some(at)
    }
    /// What lies there.
    pub fn bytes(&self, at: u32, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.copy_out((at - BASE).into(), &mut bytes).unwrap();
        bytes
    }
    /// Change what lies there.
    pub fn put(&self, at: u32, bytes: &[u8]) {
        self.0.copy_in((at - BASE).into(), bytes).unwrap();
    }
}

impl Bus for Ram {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        Ram::at(phys, size.into())?;
        let bytes = self.bytes(phys as u32, size.into());
        Some(bytes.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        Ram::at(phys, size.into())?;
        self.put(phys as u32, &value.to_le_bytes()[..size.into()]);
        Some(())
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        let offset = Ram::at(page, 0x1000)?;
        Some(RamPage::plain(self.0.mapping(), offset, page))
    }
}
