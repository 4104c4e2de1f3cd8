//! The ITS's tables in guest memory: IHI 0069, section 5.2. What an entry holds is the implementation's.

use super::{DEVICE_BITS, State};
use crate::bus::GuestMemory;

/// GITS_BASER number 0: devices.
pub const DEVICES: usize = 0;
/// GITS_BASER number 1: collections.
pub const COLLECTIONS: usize = 1;
/// Bytes of an entry of each table.
pub const ENTRY: u64 = 8;

/// An entry is in use.
const VALID: u64 = 1 << 63;
/// GITS_BASER: a table of tables.
const INDIRECT: u64 = 1 << 62;
/// Numbers of collections have 16 bits (GITS_TYPER.CIL is 0).
const COLLECTION_BITS: u32 = 16;
/// Address of an interrupt translation table, in MAPD and in a device's entry.
pub const ITT: u64 = 0x000f_ffff_ffff_ff00;
/// Address of a table of the second level.
const SECOND: u64 = 0x000f_ffff_ffff_f000;

/// What went wrong with a command or a message.
pub type Outcome<T> = Result<T, &'static str>;

/// A device's entry: where its interrupt translation table is, and how many bits its EventIDs have, less one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device {
    pub itt: u64,
    pub size: u32,
}

impl Device {
    /// Where the entry of an event is.
    pub fn event(self, event: u32) -> Outcome<u64> {
        match event >> self.size >> 1 {
            0 => Ok(self.itt + u64::from(event) * ENTRY),
            _ => Err("an EventID that the device has not"),
        }
    }
}

/// An event's entry: the LPI, and the collection it is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    pub id: u32,
    pub collection: u16,
}

pub fn load(memory: &dyn GuestMemory, address: u64) -> Outcome<u64> {
    let mut bytes = [0; 8];
    let read = memory.read(address, &mut bytes);
    read.map(|()| u64::from_le_bytes(bytes))
        .map_err(|_| "a table that is not in RAM")
}

pub fn store(memory: &dyn GuestMemory, address: u64, entry: u64) -> Outcome<()> {
    let written = memory.write(address, &entry.to_le_bytes());
    written.map_err(|_| "a table that is not in RAM")
}

/// Where the entry of a number is in a table.
fn entry(memory: &dyn GuestMemory, baser: u64, number: u64) -> Outcome<u64> {
    let (page, address) = match baser >> 8 & 3 {
        0 => (0x1000, baser & 0xffff_ffff_f000),
        1 => (0x4000, baser & 0xffff_ffff_c000),
        // Bits 48 to 51 are in the place of 12 to 15.
        _ => (0x1_0000, baser & 0xffff_ffff_0000 | (baser >> 12 & 0xf) << 48),
    };
    let bytes = ((baser & 0xff) + 1) * page;
    if baser & VALID == 0 {
        return Err("no table");
    }
    let within = |offset: u64| match offset < bytes {
        true => Ok(address + offset),
        false => Err("a number behind the end of its table"),
    };
    if baser & INDIRECT == 0 {
        return within(number * ENTRY);
    }
    let per_page = page / ENTRY;
    match load(memory, within(number / per_page * ENTRY)?)? {
        second if second & VALID != 0 => Ok((second & SECOND & !(page - 1)) + number % per_page * ENTRY),
        _ => Err("no table of the second level"),
    }
}

impl State {
    fn device_entry(&self, memory: &dyn GuestMemory, device: u32) -> Outcome<u64> {
        match device >> DEVICE_BITS {
            0 => entry(memory, self.baser[DEVICES], device.into()),
            _ => Err("a DeviceID of too many bits"),
        }
    }

    pub fn device(&self, memory: &dyn GuestMemory, device: u32) -> Outcome<Device> {
        let entry = load(memory, self.device_entry(memory, device)?)?;
        match entry & VALID {
            0 => Err("a device that is not mapped"),
            _ => Ok(Device {
                itt: entry & ITT,
                size: (entry & 0xf) as u32,
            }),
        }
    }

    pub fn set_device(&self, memory: &dyn GuestMemory, device: u32, to: Option<Device>) -> Outcome<()> {
        let entry = to.map_or(0, |to| VALID | to.itt | u64::from(to.size));
        store(memory, self.device_entry(memory, device)?, entry)
    }

    fn collection_entry(&self, memory: &dyn GuestMemory, collection: u16) -> Outcome<u64> {
        const { assert!(COLLECTION_BITS == u16::BITS) };
        entry(memory, self.baser[COLLECTIONS], collection.into())
    }

    /// The CPU that a collection is at.
    pub fn collection(&self, memory: &dyn GuestMemory, collection: u16) -> Outcome<usize> {
        let entry = load(memory, self.collection_entry(memory, collection)?)?;
        match entry & VALID {
            0 => Err("a collection that is not mapped"),
            _ => Ok((entry & 0xffff) as usize),
        }
    }

    pub fn set_collection(&self, memory: &dyn GuestMemory, collection: u16, cpu: Option<u16>) -> Outcome<()> {
        let entry = cpu.map_or(0, |cpu| VALID | u64::from(cpu));
        store(memory, self.collection_entry(memory, collection)?, entry)
    }

    /// An event of a device.
    pub fn event(&self, memory: &dyn GuestMemory, device: u32, event: u32) -> Outcome<Event> {
        let entry = load(memory, self.device(memory, device)?.event(event)?)?;
        match entry & VALID {
            0 => Err("an event that is not mapped"),
            _ => Ok(Event {
                id: entry as u32,
                collection: (entry >> 32) as u16,
            }),
        }
    }

    pub fn set_event(&self, memory: &dyn GuestMemory, device: u32, event: u32, to: Option<Event>) -> Outcome<()> {
        let address = self.device(memory, device)?.event(event)?;
        let entry = to.map_or(0, |to| VALID | u64::from(to.collection) << 32 | u64::from(to.id));
        store(memory, address, entry)
    }
}
