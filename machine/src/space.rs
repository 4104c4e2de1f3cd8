//! Physical address spaces: which memory and which devices' registers lie where, now.
//!
//! A [`Map`] is a snapshot that never changes; an [`AddressSpace`] has the present one, and replaces it whole
//! ([`AddressSpace::change`]). Every vCPU has a [`CpuBus`], which takes up the new map with its next access and has its
//! translations of addresses forgotten. Nothing is locked but the device that an access reaches.
//!
//! No guest's physical address has more than 52 bits. What a CPU sees besides, all of it in the same map, has addresses
//! above: I/O ports, or memory as it is in secure or system management mode, which is an alias of the rest but for what only
//! that mode sees. A page walk and an instruction that accesses a port say so by the address that they make.

mod code_pages;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use code_pages::CodePages;
use emu_devices::bus::{self, Bank, Device, GuestMemory, OutOfRange, Ram, RamWatch, Shared, order_with_guest};
use emu_firmware::fdt::Region;
use emu_ir::{Bus, RamPage};

/// Bytes of the pages that vCPUs map.
const PAGE: u64 = 0x1000;

/// What lies in a region.
#[derive(Clone)]
pub enum What {
    /// Memory, from `offset` bytes on.
    Ram {
        /// The memory.
        memory: Arc<Ram>,
        /// Where in it the region starts, in bytes.
        offset: u64,
    },
    /// Memory that is written through its device: flash. Code is fetched from it.
    Rom {
        /// The memory.
        memory: Arc<Ram>,
        /// Where in it, and in the device's registers, the region starts, in bytes.
        offset: u64,
        /// The device that takes writes.
        device: Shared<dyn Device>,
        /// Loads read the memory; else the device answers them as well.
        readable: bool,
    },
    /// A device's registers, from `offset` bytes on.
    Device {
        /// The device.
        device: Shared<dyn Device>,
        /// Where in its registers the region starts, in bytes.
        offset: u64,
    },
    /// What lies at another address.
    Alias {
        /// The physical address that the region's start stands for.
        of: u64,
    },
}

impl What {
    /// The same from `bytes` further on.
    fn from(&self, bytes: u64) -> What {
        let mut what = self.clone();
        match &mut what {
            What::Ram { offset, .. } | What::Rom { offset, .. } | What::Device { offset, .. } => *offset += bytes,
            What::Alias { of } => *of = of.wrapping_add(bytes),
        }
        what
    }

    /// Its memory, and where in it the region starts.
    fn memory(&self) -> Option<(&Arc<Ram>, u64)> {
        match self {
            What::Ram { memory, offset } | What::Rom { memory, offset, .. } => Some((memory, *offset)),
            What::Device { .. } | What::Alias { .. } => None,
        }
    }

    /// The device that answers, and where in its registers the region starts.
    fn device(&self) -> Option<(&Shared<dyn Device>, u64)> {
        match self {
            What::Rom { device, offset, .. } | What::Device { device, offset } => Some((device, *offset)),
            What::Ram { .. } | What::Alias { .. } => None,
        }
    }
}

/// A part of an address space.
#[derive(Clone)]
struct Part {
    place: Region,
    what: What,
}

/// Something else is at the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two devices at physical address {0:#x}")]
pub struct Overlap(pub u64);

/// Who answers at which physical address, at one time.
#[derive(Clone, Default)]
pub struct Map {
    /// By address; no two meet.
    parts: Vec<Part>,
    /// How many maps came before.
    generation: u64,
}

/// `length` bytes at `address` in a part that is no alias.
struct Found<'a> {
    what: &'a What,
    /// The part's number.
    index: usize,
    /// Bytes from the part's start.
    at: u64,
    /// Bytes from there to the part's end.
    left: u64,
    /// The address without aliases.
    address: u64,
}

impl Map {
    /// The part that an address lies in.
    fn part(&self, address: u64) -> Option<usize> {
        let at = self.parts.partition_point(|part| part.place.end() <= address);
        (self.parts.get(at)?.place.base <= address).then_some(at)
    }

    /// What lies at an address: an alias of an alias is nothing.
    fn find(&self, address: u64) -> Option<Found<'_>> {
        let found = self.within(self.part(address)?, address)?;
        let What::Alias { of } = found.what else {
            return Some(found);
        };
        let address = of.wrapping_add(found.at);
        let behind = self.within(self.part(address)?, address)?;
        let left = found.left.min(behind.left);
        (!matches!(behind.what, What::Alias { .. })).then_some(Found { left, ..behind })
    }

    /// The same where the address lies in part number `index`.
    fn within(&self, index: usize, address: u64) -> Option<Found<'_>> {
        let part = self.parts.get(index)?;
        let at = address.checked_sub(part.place.base)?;
        Some(Found {
            what: &part.what,
            index,
            at,
            left: part.place.size.checked_sub(at).filter(|left| *left != 0)?,
            address,
        })
    }

    /// The memory at an address, writable or not: the bytes that lie there together, at most `length`.
    fn memory(&self, address: u64, length: u64) -> Option<(&Arc<Ram>, u64, u64)> {
        let found = self.find(address)?;
        let (memory, offset) = found.what.memory()?;
        Some((memory, offset + found.at, found.left.min(length)))
    }

    /// RAM at an address: the memory, where in it, how many bytes of `length` lie there together, and the address without
    /// aliases.
    fn ram_at(&self, address: u64, length: u64) -> Option<(&Arc<Ram>, u64, u64, u64)> {
        let found = self.find(address)?;
        let What::Ram { memory, offset } = found.what else {
            return None;
        };
        Some((memory, offset + found.at, found.left.min(length), found.address))
    }

    /// Goes through RAM piece by piece. `None`: not all of it is RAM, or `each` has had enough.
    fn each_ram(&self, address: u64, length: u64, mut each: impl FnMut(RamPiece) -> Option<()>) -> Option<()> {
        address.checked_add(length)?;
        let mut done = 0;
        while done < length {
            let (memory, offset, here, canonical) = self.ram_at(address + done, length - done)?;
            each(RamPiece {
                memory,
                offset,
                from: done as usize,
                length: here,
                address: canonical,
            })?;
            done += here;
        }
        Some(())
    }

    fn is_ram(&self, address: u64, length: u64) -> bool {
        self.each_ram(address, length, |_| Some(())).is_some()
    }

    /// Where RAM is, by address: its memory, and where in that it starts.
    pub fn ram(&self) -> impl Iterator<Item = (Region, &Arc<Ram>, u64)> {
        self.parts.iter().filter_map(|part| match &part.what {
            What::Ram { memory, offset } => Some((part.place, memory, *offset)),
            What::Rom { .. } | What::Device { .. } | What::Alias { .. } => None,
        })
    }

    /// Writes RAM, without anybody's being told. `None`: not all of it is RAM.
    pub fn write_ram(&self, address: u64, data: &[u8]) -> Option<()> {
        self.each_ram(address, data.len() as u64, |piece| {
            let end = piece.from + piece.length as usize;
            piece.memory.copy_in(piece.offset, data.get(piece.from..end)?)
        })
    }
}

/// A piece of an access to RAM.
struct RamPiece<'a> {
    memory: &'a Arc<Ram>,
    /// Where in the memory.
    offset: u64,
    /// Where in the access.
    from: usize,
    length: u64,
    /// The piece's address without aliases.
    address: u64,
}

/// The next map, while it is being made.
pub struct Edit {
    parts: Vec<Part>,
    /// Where memory was that is now elsewhere, or nowhere.
    gone: Vec<Region>,
}

impl Edit {
    /// Maps something where nothing is.
    ///
    /// # Errors
    ///
    /// [`Overlap`]; nothing is then mapped.
    pub fn map(&mut self, place: Region, what: What) -> Result<(), Overlap> {
        let at = self.parts.partition_point(|part| part.place.base < place.base);
        let around = self.parts.iter().skip(at.saturating_sub(1)).take(2);
        let meets = |other: &Region| place.base < other.end() && other.base < place.end();
        if let Some(other) = around.map(|part| part.place).find(meets) {
            return Err(Overlap(place.base.max(other.base)));
        }
        self.parts.insert(at, Part { place, what });
        Ok(())
    }

    /// Takes away whatever is at a place: of what is partly there, the rest stays.
    pub fn unmap(&mut self, place: Region) {
        for part in std::mem::take(&mut self.parts) {
            let Part { place: old, what } = part;
            let (first, last) = (old.base.max(place.base), old.end().min(place.end()));
            if first >= last {
                self.parts.push(Part { place: old, what });
                continue;
            }
            if what.memory().is_some() {
                self.gone.push(Region::new(first, last - first));
            }
            let after = what.from(last - old.base);
            if old.base < first {
                let place = Region::new(old.base, first - old.base);
                self.parts.push(Part { place, what });
            }
            if last < old.end() {
                let place = Region::new(last, old.end() - last);
                self.parts.push(Part { place, what: after });
            }
        }
    }

    /// Whether loads read the memory of the ROM parts at a place, or are answered by its device.
    pub fn set_readable(&mut self, place: Region, read: bool) {
        for part in &mut self.parts {
            let inside = place.base <= part.place.base && part.place.end() <= place.end();
            if let What::Rom { readable, .. } = &mut part.what
                && inside
            {
                *readable = read;
            }
        }
    }
}

/// Hears of what has changed in an address space. A leaf: it is called with the space's lock held.
pub trait MapWatch: Send + Sync {
    /// There is a new map. Where memory was that is now elsewhere, or nowhere, is in `gone`.
    fn remapped(&self, gone: &[Region]);
}

/// An address space.
#[derive(Default)]
pub struct AddressSpace {
    map: RwLock<Arc<Map>>,
    /// Of the map, for who only wants to know whether it is new.
    generation: AtomicU64,
    watch: OnceLock<Arc<dyn MapWatch>>,
    /// Of memory, by addresses without aliases.
    code: CodePages,
}

impl AddressSpace {
    /// A space with nothing in it.
    pub fn new() -> AddressSpace {
        AddressSpace::default()
    }

    /// From now on `watch` hears of changes. Once.
    pub fn connect(&self, watch: Arc<dyn MapWatch>) {
        let _ = self.watch.set(watch);
    }

    /// Replaces the map by one that `edit` makes of it. vCPUs take it up before their next instruction, or soon if they are
    /// running; the one whose access leads to the change, at once.
    ///
    /// # Errors
    ///
    /// What `edit` says; nothing has changed then.
    pub fn change<R, E>(&self, edit: impl FnOnce(&mut Edit) -> Result<R, E>) -> Result<R, E> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Edit {
            parts: map.parts.clone(),
            gone: Vec::new(),
        };
        let result = edit(&mut next)?;
        let generation = map.generation + 1;
        *map = Arc::new(Map {
            parts: next.parts,
            generation,
        });
        self.generation.store(generation, Ordering::Release);
        if let Some(watch) = self.watch.get() {
            watch.remapped(&next.gone);
        }
        Ok(result)
    }

    /// Maps something where nothing is.
    ///
    /// # Errors
    ///
    /// [`Overlap`]; nothing is then mapped.
    pub fn map(&self, place: Region, what: What) -> Result<(), Overlap> {
        self.change(|edit| edit.map(place, what))
    }

    /// Whether loads from the ROM parts at a place read the memory, or are answered by its device.
    pub fn set_readable(&self, place: Region, readable: bool) {
        let changed: Result<(), Infallible> = self.change(|edit| {
            edit.set_readable(place, readable);
            Ok(())
        });
        let Ok(()) = changed;
    }

    /// The present map.
    pub fn now(&self) -> Arc<Map> {
        self.read().clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, Arc<Map>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view of vCPU number `cpu`.
    pub fn view(self: &Arc<Self>, cpu: usize) -> CpuBus {
        let map = self.now();
        CpuBus {
            told: map.generation,
            map,
            space: self.clone(),
            cpu,
            recent: Bank::default(),
        }
    }

    /// Bytes of memory, RAM or what code is fetched from (flash), without any device's noticing. `None`, and `out` is not
    /// to be used, where there is none.
    pub fn peek(&self, address: u64, out: &mut [u8]) -> Option<()> {
        let map = self.read();
        address.checked_add(out.len() as u64)?;
        let mut done = 0;
        while done < out.len() {
            let (memory, offset, here) = map.memory(address + done as u64, (out.len() - done) as u64)?;
            memory.copy_out(offset, out.get_mut(done..done + here as usize)?)?;
            done += here as usize;
        }
        Some(())
    }
}

/// RAM of an address space, for devices and loaders. Writes to pages that may have code are told to a watch, by addresses
/// without aliases.
#[derive(Clone)]
pub struct SystemMemory {
    space: Arc<AddressSpace>,
    watch: Arc<dyn RamWatch>,
    /// Whether a CPU may run alone, without barriers.
    alone: bool,
}

impl SystemMemory {
    /// The RAM of `space`, which so many CPUs share with the devices; `watch` hears of writes.
    pub fn new(space: Arc<AddressSpace>, watch: Arc<dyn RamWatch>, cpus: usize) -> SystemMemory {
        SystemMemory {
            space,
            watch,
            alone: cpus <= 1,
        }
    }

    /// Tells of bytes that were written, at an address without aliases, if vCPUs may have translated them.
    fn tell(&self, address: u64, length: u64) {
        if self.space.code.may_have(address, length) {
            self.watch.written(address, length);
        }
    }
}

impl GuestMemory for SystemMemory {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), OutOfRange> {
        let (map, length) = (self.space.read(), out.len() as u64);
        let refused = OutOfRange { address, length };
        if !map.is_ram(address, length) {
            return Err(refused);
        }
        let read = map.each_ram(address, length, |piece| {
            let end = piece.from + piece.length as usize;
            piece.memory.copy_out(piece.offset, out.get_mut(piece.from..end)?)
        });
        read.ok_or(refused)
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), OutOfRange> {
        let (map, length) = (self.space.read(), data.len() as u64);
        let refused = OutOfRange { address, length };
        if !map.is_ram(address, length) {
            return Err(refused);
        }
        let written = map.each_ram(address, length, |piece| {
            let end = piece.from + piece.length as usize;
            piece.memory.copy_in(piece.offset, data.get(piece.from..end)?)?;
            self.tell(piece.address, piece.length);
            Some(())
        });
        written.ok_or(refused)
    }

    fn contains(&self, address: u64, length: u64) -> bool {
        self.space.read().is_ram(address, length)
    }

    fn load_u16(&self, address: u64) -> Result<u16, OutOfRange> {
        let map = self.space.read();
        if let Some((memory, offset, 2, _)) = map.ram_at(address, 2)
            && let Some(value) = memory.load::<u16>(offset)
        {
            return Ok(u16::from_le(value));
        }
        drop(map);
        let mut bytes = [0; 2];
        self.read(address, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn store_u16(&self, address: u64, value: u16) -> Result<(), OutOfRange> {
        let map = self.space.read();
        if let Some((memory, offset, 2, canonical)) = map.ram_at(address, 2)
            && memory.store(offset, value.to_le()).is_some()
        {
            self.tell(canonical, 2);
            return Ok(());
        }
        drop(map);
        self.write(address, &value.to_le_bytes())
    }

    fn order(&self) {
        order_with_guest(self.alone);
    }
}

/// Indices of [`CpuBus::recent`].
const MEMORY: usize = 0;
const DEVICE: usize = 1;

/// An address space as one vCPU sees it.
pub struct CpuBus {
    space: Arc<AddressSpace>,
    map: Arc<Map>,
    /// The generation that the vCPU knows of.
    told: u64,
    cpu: usize,
    /// The parts of the last accesses to memory and to a device: page walks and drivers come back.
    recent: Bank<usize, 2>,
}

impl CpuBus {
    /// Takes up the present map.
    #[inline]
    fn follow(&mut self) {
        if self.space.generation.load(Ordering::Acquire) != self.map.generation {
            self.map = self.space.now();
        }
    }

    /// The part that `size` bytes at an address lie in as a whole.
    #[inline]
    fn find(&self, address: u64, size: u64) -> Option<Found<'_>> {
        let mut near = self.recent.iter().filter_map(|&part| self.map.within(part, address));
        let found = match near.find(|near| !matches!(near.what, What::Alias { .. })) {
            Some(near) => near,
            None => self.map.find(address)?,
        };
        (found.left >= size).then_some(found)
    }
}

impl Bus for CpuBus {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        self.follow();
        let found = self.find(phys, size.into())?;
        let (index, at) = (found.index, found.at);
        let (kind, value) = match found.what {
            What::Ram { memory, offset }
            | What::Rom {
                memory,
                offset,
                readable: true,
                ..
            } => {
                let value = match size {
                    1 => memory.load::<u8>(offset + at).map(u64::from),
                    2 => memory.load::<u16>(offset + at).map(u64::from),
                    4 => memory.load::<u32>(offset + at).map(u64::from),
                    8 => memory.load::<u64>(offset + at),
                    _ => None,
                };
                (MEMORY, value)
            }
            what => {
                let (device, offset) = what.device()?;
                let value = device.read(bus::Access::new(offset + at, size).by(self.cpu));
                (DEVICE, Some(value))
            }
        };
        self.recent[kind] = index;
        value
    }

    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        self.follow();
        let found = self.find(phys, size.into())?;
        let (index, at) = (found.index, found.at);
        let (kind, done) = match found.what {
            What::Ram { memory, offset } => {
                let done = match size {
                    1 => memory.store(offset + at, value as u8),
                    2 => memory.store(offset + at, value as u16),
                    4 => memory.store(offset + at, value as u32),
                    8 => memory.store(offset + at, value),
                    _ => None,
                };
                (MEMORY, done)
            }
            what => {
                let (device, offset) = what.device()?;
                device.write(bus::Access::new(offset + at, size).by(self.cpu), value);
                (DEVICE, Some(()))
            }
        };
        self.recent[kind] = index;
        done
    }

    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        self.follow();
        let found = self.find(phys, size.into())?;
        if let What::Ram { memory, offset } = found.what {
            let at = offset + found.at;
            match size {
                1 => memory.compare_exchange(at, old as u8, new as u8).map(u64::from),
                2 => memory.compare_exchange(at, old as u16, new as u16).map(u64::from),
                4 => memory.compare_exchange(at, old as u32, new as u32).map(u64::from),
                8 => memory.compare_exchange(at, old, new),
                _ => None,
            }
        } else {
            let held = self.load(phys, size)?;
            if held == old {
                self.store(phys, size, new)?;
            }
            Some(held)
        }
    }

    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.follow();
        let found = self.find(page & !(PAGE - 1), PAGE)?;
        let (memory, offset) = found.what.memory()?;
        let offset = offset + found.at;
        let whole = offset.is_multiple_of(PAGE) && memory.contains(offset, PAGE);
        let (readable, writable) = match found.what {
            What::Rom { readable, .. } => (*readable, false),
            _ => (true, true),
        };
        whole.then(|| RamPage {
            mapping: memory.mapping(),
            offset,
            phys: found.address,
            readable,
            writable,
        })
    }

    fn translating(&mut self, page: u64) {
        self.space.code.note(page);
    }

    fn remapped(&mut self) -> bool {
        self.follow();
        std::mem::replace(&mut self.told, self.map.generation) != self.map.generation
    }
}

#[cfg(test)]
mod guest_tests;
#[cfg(test)]
mod tests;
