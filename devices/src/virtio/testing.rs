//! A driver for tests: lays out rings in memory of its own, and programs a transport.

use super::Queue;
use crate::bus::{Access, Device, GuestMemory, Ram, RamWindow, Shared};
use std::sync::Arc;

/// Where the driver's memory is.
pub(crate) const RAM: u64 = 0x4000_0000;
/// Its size.
pub(crate) const RAM_SIZE: u64 = 0x1_0000;
/// The rings of queue `n` are here plus `n * 0x1000`.
const RINGS: u64 = RAM + 0x8000;

/// One queue from the driver's side.
pub(crate) struct Driver {
    pub memory: RamWindow,
    pub queue: Queue,
    available: u16,
}

impl Driver {
    /// A queue of `size` entries, started.
    pub fn new(size: u16) -> Driver {
        let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
        let mut driver = Driver::with(memory, 0, size);
        assert!(driver.queue.start(&driver.memory));
        driver
    }

    fn with(memory: RamWindow, number: u64, size: u16) -> Driver {
        let mut queue = Queue::new(size);
        queue.descriptors = RINGS + 0x1000 * number;
        queue.driver = queue.descriptors + 0x800;
        queue.device = queue.descriptors + 0xa00;
        Driver {
            memory,
            queue,
            available: 0,
        }
    }

    /// Initialises a device (3.1.1), with `features`, up to DRIVER_OK; the queues' drivers are returned.
    pub fn start<D: Device + ?Sized>(
        device: &Shared<D>,
        memory: &RamWindow,
        features: u64,
        queues: u64,
    ) -> Vec<Driver> {
        let set = |offset, value: u64| device.write(Access::new(offset, 4), value);
        set(0x070, 0);
        set(0x070, 3);
        for select in [0, 1] {
            set(0x024, select);
            set(0x020, features >> (32 * select) & 0xffff_ffff);
        }
        set(0x070, 11);
        let drivers: Vec<Driver> = (0..queues).map(|n| Driver::with(memory.clone(), n, 8)).collect();
        for (number, driver) in (0..).zip(&drivers) {
            set(0x030, number);
            set(0x038, driver.queue.size.into());
            set(0x080, driver.queue.descriptors);
            set(0x090, driver.queue.driver);
            set(0x0a0, driver.queue.device);
            set(0x044, 1);
        }
        set(0x070, 15);
        drivers
    }

    /// Writes a descriptor of the queue's table.
    pub fn describe(&mut self, index: u64, address: u64, length: u32, flags: u16, next: u16) {
        self.describe_at(self.queue.descriptors, index, address, length, flags, next);
    }

    /// Writes a descriptor of any table.
    pub fn describe_at(&mut self, table: u64, index: u64, address: u64, length: u32, flags: u16, next: u16) {
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.memory.write(table + 16 * index, &bytes).unwrap();
    }

    /// Makes the chain that starts with a descriptor available.
    pub fn make_available(&mut self, head: u16) {
        let entry = u64::from(self.available % self.queue.size);
        self.memory.store_u16(self.queue.driver + 4 + 2 * entry, head).unwrap();
        self.available = self.available.wrapping_add(1);
        self.memory.store_u16(self.queue.driver + 2, self.available).unwrap();
    }

    /// The used ring so far: heads and written lengths.
    pub fn used(&self) -> Vec<(u32, u32)> {
        let count = self.memory.load_u16(self.queue.device + 2).unwrap();
        let word = |address| u32::from_le_bytes(self.bytes(address, 4).try_into().unwrap());
        let entry = |n: u16| self.queue.device + 4 + 8 * u64::from(n % self.queue.size);
        (0..count).map(|n| (word(entry(n)), word(entry(n) + 4))).collect()
    }

    pub fn bytes(&self, address: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.memory.read(address, &mut bytes).unwrap();
        bytes
    }
}
