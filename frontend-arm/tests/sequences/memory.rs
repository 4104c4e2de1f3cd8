//! Physical memory: 96 KiB of RAM, and a device that notes what is done to it and raises an interrupt.

use emu_devices::bus;
use emu_frontend_arm::platform::IRQ;
use emu_ir::{Bus, RamPage};
use emu_jit::engine::Kick;
use std::sync::{Arc, Mutex};

/// Pages of RAM, from address 0.
pub const PAGES: usize = 24;
/// The device's page. A store at offset 0 raises its interrupt, one at offset 4 lowers it; the upper half answers nothing.
pub const DEVICE: u32 = 0x0030_0000;

/// What the device has seen: offset, size, and what was stored.
pub type Log = Vec<(u32, u8, Option<u64>)>;

/// Memory that outlives its vCPU.
#[derive(Clone)]
pub struct Memory {
    ram: Arc<bus::Ram>,
    device: Arc<Mutex<(Log, Option<Kick>)>>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory {
            ram: Arc::new(bus::Ram::new((PAGES << 12) as u64).unwrap()),
            device: Arc::default(),
        }
    }
    /// Let the device interrupt a vCPU.
    pub fn connect(&self, kick: Kick) {
        self.device.lock().unwrap().1 = Some(kick);
    }
    /// Fill all of RAM; the device starts anew.
    pub fn fill(&self, bytes: &[u8]) {
        self.ram.copy_in(0, bytes).unwrap();
        let mut device = self.device.lock().unwrap();
        device.0.clear();
        if let Some(kick) = &device.1 {
            kick.set_line(IRQ, false);
        }
    }
    /// RAM as it is, and what the device has seen.
    pub fn contents(&self) -> (Vec<u8>, Log) {
        let mut bytes = vec![0; PAGES << 12];
        self.ram.copy_out(0, &mut bytes).unwrap();
        (bytes, self.device.lock().unwrap().0.clone())
    }
    /// A sum of all of RAM.
    pub fn sum(&self) -> u64 {
        let mut bytes = vec![0; PAGES << 12];
        self.ram.copy_out(0, &mut bytes).unwrap();
        let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        words.fold(0, |sum, word| {
            (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        })
    }
    fn access(&self, phys: u64, size: u8, stored: Option<u64>) -> Option<u64> {
        let offset = phys.checked_sub(DEVICE.into()).filter(|o| *o < 0x800)? as u32;
        let mut device = self.device.lock().unwrap();
        device.0.push((offset, size, stored));
        let count = device.0.len() as u64;
        if let (Some(_), Some(kick), 0 | 4) = (stored, &device.1, offset) {
            kick.set_line(IRQ, offset == 0);
        }
        // No two loads answer the same.
        Some(count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 8 * u32::from(size)))
    }
}

impl Bus for Memory {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let mut bytes = [0; 8];
        match self.ram.copy_out(phys, &mut bytes[..size.into()]) {
            Some(()) => Some(u64::from_le_bytes(bytes)),
            None => self.access(phys, size, None),
        }
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let bytes = &value.to_le_bytes()[..size.into()];
        match self.ram.copy_in(phys, bytes) {
            Some(()) => Some(()),
            None => self.access(phys, size, Some(value)).map(|_| ()),
        }
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        let inside = self.ram.contains(page, 0x1000);
        inside.then(|| RamPage::plain(self.ram.mapping(), page, page))
    }
}
