//! The physical address space: RAM, and the windows of devices.
//!
//! One [`AddressSpace`] is made when the board is wired and never changes; every vCPU has a [`CpuBus`] on it, which
//! knows the vCPU's number for banked registers. Nothing is locked but the device that an access reaches.

use std::sync::Arc;

use emu_devices::bus::{self, Device, Ram, Shared};
use emu_firmware::fdt::Region;
use emu_ir::{Bus, RamPage};

/// Bytes of the pages that vCPUs map.
const PAGE: u64 = 0x1000;

/// A device's registers, or a part of them, at a physical address.
#[derive(Clone)]
struct Window {
    place: Region,
    /// Offset of the window's start in the device's registers, in bytes.
    offset: u64,
    device: Shared<dyn Device>,
    /// Memory that the device is backed by, from the window's start on: code is fetched from it, all else goes through
    /// the device.
    code: Option<Arc<Ram>>,
}

impl Window {
    /// The device access behind `size` bytes at `address`; `None` where they are not all inside.
    fn access(&self, address: u64, size: u8, cpu: usize) -> Option<bus::Access> {
        let at = address.checked_sub(self.place.base)?;
        let inside = at.checked_add(size.into())? <= self.place.size;
        inside.then(|| bus::Access::new(self.offset + at, size).by(cpu))
    }
}

/// Two windows, or a window and RAM, at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two devices at physical address {0:#x}")]
pub struct Overlap(pub u64);

/// Who answers at which physical address.
pub struct AddressSpace {
    ram: Region,
    memory: Arc<Ram>,
    /// By address.
    windows: Vec<Window>,
}

impl AddressSpace {
    /// A space with `memory` at physical `base`, and nothing else.
    pub fn new(base: u64, memory: Arc<Ram>) -> AddressSpace {
        AddressSpace {
            ram: Region::new(base, memory.len()),
            memory,
            windows: Vec::new(),
        }
    }

    /// Maps a device's registers from `offset` on at `place`.
    ///
    /// # Errors
    ///
    /// [`Overlap`] where something else is at that place; nothing is then mapped.
    pub fn map(&mut self, place: Region, offset: u64, device: Shared<dyn Device>) -> Result<(), Overlap> {
        self.insert(Window {
            place,
            offset,
            device,
            code: None,
        })
    }

    /// Maps a device that is backed by memory, which code is fetched from: flash.
    ///
    /// # Errors
    ///
    /// As [`map`](AddressSpace::map).
    pub fn map_with_code(&mut self, place: Region, device: Shared<dyn Device>, code: Arc<Ram>) -> Result<(), Overlap> {
        self.insert(Window {
            place,
            offset: 0,
            device,
            code: Some(code),
        })
    }

    fn insert(&mut self, window: Window) -> Result<(), Overlap> {
        let place = window.place;
        let meets = |other: Region| place.base < other.end() && other.base < place.end();
        if meets(self.ram) {
            return Err(Overlap(place.base.max(self.ram.base)));
        }
        let at = self.windows.partition_point(|w| w.place.base < place.base);
        let around = self.windows[at.saturating_sub(1)..].iter().take(2);
        if let Some(other) = around.map(|w| w.place).find(|&other| meets(other)) {
            return Err(Overlap(place.base.max(other.base)));
        }
        self.windows.insert(at, window);
        Ok(())
    }

    /// The view of vCPU number `cpu`.
    pub fn view(self: &Arc<Self>, cpu: usize) -> CpuBus {
        CpuBus {
            space: self.clone(),
            cpu,
            last: 0,
        }
    }

    /// Where RAM is.
    pub fn ram(&self) -> Region {
        self.ram
    }

    /// Bytes of memory, RAM or what code is fetched from (flash), without any device's noticing. `None`, and `out` is not
    /// to be used, where there is none.
    pub fn peek(&self, address: u64, out: &mut [u8]) -> Option<()> {
        if let Some(offset) = self.in_ram(address, out.len() as u64) {
            return self.memory.copy_out(offset, out);
        }
        let window = &self.windows[self.find(address)?];
        window.code.as_ref()?.copy_out(address - window.place.base, out)
    }

    /// Index of the window that an address lies in.
    fn find(&self, address: u64) -> Option<usize> {
        let at = self.windows.partition_point(|w| w.place.end() <= address);
        (self.windows.get(at)?.place.base <= address).then_some(at)
    }

    /// Offset in RAM of `size` bytes at `address`, if all are RAM.
    #[inline]
    fn in_ram(&self, address: u64, size: u64) -> Option<u64> {
        let offset = address.checked_sub(self.ram.base)?;
        self.memory.contains(offset, size).then_some(offset)
    }
}

/// The physical address space as one vCPU sees it.
pub struct CpuBus {
    space: Arc<AddressSpace>,
    cpu: usize,
    /// The window of the last device access: drivers poll.
    last: usize,
}

impl CpuBus {
    fn device(&mut self, address: u64, size: u8) -> Option<(&Shared<dyn Device>, bus::Access)> {
        let near = self.space.windows.get(self.last);
        if near.is_none_or(|w| address < w.place.base || w.place.end() <= address) {
            self.last = self.space.find(address)?;
        }
        let window = &self.space.windows[self.last];
        Some((&window.device, window.access(address, size, self.cpu)?))
    }
}

impl Bus for CpuBus {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let memory = &self.space.memory;
        let Some(offset) = self.space.in_ram(phys, size.into()) else {
            let (device, access) = self.device(phys, size)?;
            return Some(device.read(access));
        };
        match size {
            1 => memory.load::<u8>(offset).map(u64::from),
            2 => memory.load::<u16>(offset).map(u64::from),
            4 => memory.load::<u32>(offset).map(u64::from),
            8 => memory.load::<u64>(offset),
            _ => None,
        }
    }

    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let memory = &self.space.memory;
        let Some(offset) = self.space.in_ram(phys, size.into()) else {
            let (device, access) = self.device(phys, size)?;
            device.write(access, value);
            return Some(());
        };
        match size {
            1 => memory.store(offset, value as u8),
            2 => memory.store(offset, value as u16),
            4 => memory.store(offset, value as u32),
            8 => memory.store(offset, value),
            _ => None,
        }
    }

    fn ram(&mut self, page: u64) -> Option<RamPage> {
        let page = page & !(PAGE - 1);
        let here = |memory: &Ram, offset| memory.base() as u64 + offset;
        if let Some(offset) = self.space.in_ram(page, PAGE) {
            return Some(RamPage {
                host: here(&self.space.memory, offset),
                phys: page,
                readable: true,
                writable: true,
            });
        }
        let window = &self.space.windows[self.space.find(page)?];
        let (code, offset) = (window.code.as_ref()?, page.checked_sub(window.place.base)?);
        code.contains(offset, PAGE).then(|| RamPage {
            host: here(code, offset),
            phys: page,
            readable: false,
            writable: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_devices::bus::{LoadError, Saved, Wiring};

    const BASE: u64 = 0x4000_0000;

    /// Reads as the access that reached it; remembers the last write.
    #[derive(Default)]
    struct Probe(u64);

    fn number(access: bus::Access) -> u64 {
        access.offset << 16 | u64::from(access.size) << 8 | access.cpu as u64
    }

    impl Device for Probe {
        fn model(&self) -> &'static str {
            "probe"
        }
        fn read(&mut self, access: bus::Access) -> u64 {
            number(access)
        }
        fn write(&mut self, access: bus::Access, value: u64) {
            self.0 = value + number(access);
        }
        fn reset(&mut self) {}
        fn save(&self) -> Saved {
            Saved::new("probe", 1, &self.0)
        }
        fn load(&mut self, _: &Saved) -> Result<(), LoadError> {
            Ok(())
        }
    }

    fn probe() -> Shared<dyn Device> {
        Shared::new(&Wiring::new(), Probe::default()).erase()
    }

    /// A MiB of RAM, and two windows on one device.
    fn space() -> AddressSpace {
        let mut space = AddressSpace::new(BASE, Arc::new(Ram::new(1 << 20).unwrap()));
        let device = probe();
        space.map(Region::new(0x1000, 0x100), 0x1_0000, device.clone()).unwrap();
        space.map(Region::new(0x800, 0x10), 0, device).unwrap();
        space
    }

    #[test]
    fn accesses_reach_the_window_they_lie_in() {
        let mut bus = Arc::new(space()).view(3);

        assert_eq!(bus.load(0x1004, 4), Some(0x1_0004 << 16 | 4 << 8 | 3));
        assert_eq!(bus.load(0x808, 8), Some(8 << 16 | 8 << 8 | 3));
        assert_eq!(bus.store(0x10ff, 1, 0), Some(()));
        assert_eq!(bus.load(0x1000, 4), Some(0x1_0000 << 16 | 4 << 8 | 3));
    }

    #[test]
    fn nothing_answers_elsewhere() {
        let mut bus = Arc::new(space()).view(0);
        bus.load(0x1000, 4);

        let absent = [0, 0x7ff, 0x810, 0xfff, 0x1100, BASE - 1, BASE + (1 << 20), u64::MAX];
        for address in absent {
            assert_eq!(bus.load(address, 1), None, "{address:#x}");
            assert_eq!(bus.store(address, 1, 0), None, "{address:#x}");
            assert_eq!(bus.ram(address), None, "{address:#x}");
        }
        for straddling in [0x80c, 0x10fc, BASE + (1 << 20) - 4] {
            assert_eq!(bus.load(straddling, 8), None, "{straddling:#x}");
        }
    }

    #[test]
    fn ram_reads_what_was_stored() {
        let mut bus = Arc::new(space()).view(0);

        for size in [1, 2, 4, 8] {
            bus.store(BASE + 0x100, size, 0x1122_3344_5566_7788).unwrap();
            let mask = u64::MAX >> (64 - 8 * size);
            assert_eq!(bus.load(BASE + 0x100, size), Some(0x1122_3344_5566_7788 & mask));
        }
        assert_eq!(bus.load(BASE, 3), None);
        let (first, second) = (bus.ram(BASE).unwrap(), bus.ram(BASE + 0x1fff).unwrap());
        assert_eq!((second.host - first.host, second.writable), (0x1000, true));
    }

    #[test]
    fn flash_is_fetched_from_memory_and_accessed_through_its_device() {
        let mut space = space();
        let array = Arc::new(Ram::new(0x2000).unwrap());
        space
            .map_with_code(Region::new(0x10_0000, 0x2000), probe(), array.clone())
            .unwrap();
        let mut bus = Arc::new(space).view(0);

        let page = bus.ram(0x10_1ffc).unwrap();

        assert_eq!((page.host, page.writable), (array.base() as u64 + 0x1000, false));
        assert_eq!(bus.load(0x10_0004, 4), Some(4 << 16 | 4 << 8));
        assert_eq!(bus.ram(0x10_2000), None);
    }

    #[test]
    fn peeking_finds_memory_and_leaves_devices_alone() {
        let mut space = space();
        let array = Arc::new(Ram::new(0x2000).unwrap());
        array.copy_in(0x10, &[7; 4]).unwrap();
        space
            .map_with_code(Region::new(0x10_0000, 0x2000), probe(), array)
            .unwrap();
        let space = Arc::new(space);
        space.view(0).store(BASE + 4, 4, 0x0908_0706).unwrap();
        let peek = |at| {
            let mut bytes = [0; 4];
            space.peek(at, &mut bytes).map(|()| bytes)
        };

        assert_eq!(peek(BASE + 4), Some([6, 7, 8, 9]));
        assert_eq!(peek(0x10_0010), Some([7; 4]));
        for nothing in [0x1000, 0x800, 0x10_1ffe, BASE + (1 << 20) - 2, u64::MAX] {
            assert_eq!(peek(nothing), None, "{nothing:#x}");
        }
    }

    #[test]
    fn places_are_taken_once() {
        let mut space = space();

        for (base, size) in [(0x7f8, 0x10), (0x80f, 1), (0x10ff, 2), (0, 0x2000), (BASE + 0x1000, 1)] {
            assert!(space.map(Region::new(base, size), 0, probe()).is_err(), "{base:#x}");
        }
        assert_eq!(space.map(Region::new(0x810, 0x7f0), 0, probe()), Ok(()));
    }
}
