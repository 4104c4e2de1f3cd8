//! Memory for a vCPU of a test.

use emu_ir::{Bus, RamPage};
use std::sync::{Arc, Mutex};

/// Where RAM starts.
pub const BASE: u32 = 0x4000_0000;
/// Bytes of RAM.
const SIZE: usize = 0x2_0000;

/// Memory at [`BASE`], and nothing elsewhere. It outlives its vCPU.
#[derive(Clone)]
pub struct Ram(Arc<Mutex<Box<[u128]>>>);

impl Ram {
    pub fn new() -> Ram {
        Ram(Arc::new(Mutex::new(vec![0; SIZE / 16].into())))
    }
    fn at(phys: u64, len: u64) -> Option<usize> {
        let at = phys.checked_sub(BASE.into())?;
        (at + len <= SIZE as u64).then_some(at as usize)
    }
    /// What lies there.
    pub fn bytes(&self, at: u32, len: usize) -> Vec<u8> {
        let at = (at - BASE) as usize;
        bytemuck::cast_slice::<u128, u8>(&self.0.lock().unwrap())[at..at + len].to_vec()
    }
    /// Change what lies there.
    pub fn put(&self, at: u32, bytes: &[u8]) {
        let at = (at - BASE) as usize;
        bytemuck::cast_slice_mut::<u128, u8>(&mut self.0.lock().unwrap())[at..at + bytes.len()].copy_from_slice(bytes);
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
    fn ram(&mut self, page: u64) -> Option<RamPage> {
        let at = Ram::at(page, 0x1000)? as u64;
        Some(RamPage::plain(self.0.lock().unwrap().as_ptr() as u64 + at, page))
    }
}
