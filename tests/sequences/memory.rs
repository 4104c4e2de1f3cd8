//! Physical memory: RAM, and a device that notes what is done to it and raises an interrupt. For a pair of vCPUs: all of that
//! twice, with a device that only the one vCPU knows, and a page that is for both.

use emu_devices::bus;
use emu_ir::{Bus, RamPage};
use emu_jit::engine::Kick;
use std::sync::{Arc, Mutex};

/// The device's page, whose upper half answers nothing.
pub const DEVICE: u32 = 0x0030_0000;
/// What is added to the numbers of ports, to be offsets in the device.
pub const PORT: u32 = 0x1_0000;

/// Where the RAM of a pair's second vCPU starts, and how far its device is from the first's.
pub const HALF: u32 = 0x0040_0000;
/// The page for both.
pub const MAIL: u32 = 2 * HALF;

/// What there is.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Pages of RAM, from address 0.
    pub pages: usize,
    /// Where on the bus the device has ports, if it has.
    pub ports: Option<u64>,
    /// The vCPU's line that the device's interrupt is.
    pub line: u32,
    /// A store at this offset in the device raises its interrupt.
    pub raise: u32,
    /// One at this lowers it.
    pub lower: u32,
    /// Of a pair each vCPU reaches the RAM of both.
    pub shared: bool,
}

/// What the device has seen: offset, size, and what was stored.
pub type Log = Vec<(u32, u8, Option<u64>)>;

/// Memory that outlives its vCPU.
#[derive(Clone)]
pub struct Memory {
    shape: Shape,
    ram: Arc<bus::Ram>,
    /// Where the vCPU's RAM starts.
    at: u32,
    device: Arc<Mutex<(Log, Option<Kick>)>>,
}

impl Memory {
    pub fn new(shape: Shape) -> Memory {
        Memory {
            shape,
            ram: Arc::new(bus::Ram::new((shape.pages << 12) as u64).unwrap()),
            at: 0,
            device: Arc::default(),
        }
    }
    /// The same for each vCPU of a pair.
    pub fn of_pair(shape: Shape) -> [Memory; 2] {
        let ram = Arc::new(bus::Ram::new(u64::from(MAIL) + 0x1000).unwrap());
        [0, HALF].map(|at| Memory {
            shape,
            ram: Arc::clone(&ram),
            at,
            device: Arc::default(),
        })
    }
    /// There is nothing in the page for both.
    pub fn clear_mail(&self) {
        self.ram.copy_in(MAIL.into(), &[0; 0x1000]).unwrap();
    }
    /// Let the device interrupt a vCPU.
    pub fn connect(&self, kick: Kick) {
        self.device.lock().unwrap().1 = Some(kick);
    }
    /// Fill all of the vCPU's RAM; the device starts anew.
    pub fn fill(&self, bytes: &[u8]) {
        self.ram.copy_in(self.at.into(), bytes).unwrap();
        let mut device = self.device.lock().unwrap();
        device.0.clear();
        if let Some(kick) = &device.1 {
            kick.set_line(self.shape.line, false);
        }
    }
    /// The vCPU's RAM as it is, and what the device has seen.
    pub fn contents(&self) -> (Vec<u8>, Log) {
        let mut bytes = vec![0; self.shape.pages << 12];
        self.ram.copy_out(self.at.into(), &mut bytes).unwrap();
        (bytes, self.device.lock().unwrap().0.clone())
    }
    /// A sum of all of the vCPU's RAM.
    pub fn sum(&self) -> u64 {
        let at = u64::from(self.at);
        let words = (at..at + (self.shape.pages << 12) as u64).step_by(8);
        words.fold(0, |sum, at| {
            let word: u64 = self.ram.load(at).unwrap();
            (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        })
    }
    /// Whether all of these bytes are RAM.
    fn is_ram(&self, phys: u64, len: u64) -> bool {
        let own = phys & !u64::from(HALF - 1) == u64::from(self.at);
        let inside = phys % u64::from(HALF) + len <= (self.shape.pages << 12) as u64;
        (own || self.shape.shared) && inside && self.ram.contains(phys, len)
    }
    /// The offset in the device of what is its.
    fn offset(&self, phys: u64) -> Option<u32> {
        let port = |base: u64| phys.checked_sub(base).filter(|port| *port < 0x1_0000);
        if let Some(port) = self.shape.ports.and_then(port) {
            return Some(PORT + port as u32);
        }
        let offset = phys.checked_sub((self.at + DEVICE).into());
        offset.filter(|o| *o < 0x800).map(|o| o as u32)
    }
    fn access(&self, phys: u64, size: u8, stored: Option<u64>) -> Option<u64> {
        let (offset, shape) = (self.offset(phys)?, self.shape);
        let mut device = self.device.lock().unwrap();
        device.0.push((offset, size, stored));
        let count = device.0.len() as u64;
        if let (Some(_), Some(kick)) = (stored, &device.1)
            && [shape.raise, shape.lower].contains(&offset)
        {
            kick.set_line(shape.line, offset == shape.raise);
        }
        // No two loads answer the same.
        Some(count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 8 * u32::from(size)))
    }
}

impl Bus for Memory {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        if !self.is_ram(phys, size.into()) {
            return self.access(phys, size, None);
        }
        let mut bytes = [0; 8];
        self.ram.copy_out(phys, &mut bytes[..size.into()])?;
        Some(u64::from_le_bytes(bytes))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        if !self.is_ram(phys, size.into()) {
            return self.access(phys, size, Some(value)).map(|_| ());
        }
        self.ram.copy_in(phys, &value.to_le_bytes()[..size.into()])
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.is_ram(page, 0x1000)
            .then(|| RamPage::plain(self.ram.mapping(), page, page))
    }
}
