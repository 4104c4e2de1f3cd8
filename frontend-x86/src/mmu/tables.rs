//! The formats of paging structures, and the walk through them (SDM 3, 4.3 to 4.5).

use super::{Paging, physical};
use crate::features::Features;
use crate::model::Model;
use crate::state::Cpu;
use crate::state::bits::{cr4, efer};
use emu_ir::Bus;

/// Bits of an entry (SDM 3, tables 4-4 to 4-20).
pub(super) mod entry {
    pub const P: u64 = 1 << 0;
    pub const W: u64 = 1 << 1;
    pub const U: u64 = 1 << 2;
    pub const A: u64 = 1 << 5;
    pub const D: u64 = 1 << 6;
    pub const PS: u64 = 1 << 7;
    pub const G: u64 = 1 << 8;
    pub const XD: u64 = 1 << 63;
    /// Of an entry of 8 bytes: where an address may be.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
}

const PSE36: Option<Features> = Features::named(b"pse36");
const PDPE1GB: Option<Features> = Features::named(b"pdpe1gb");

/// Why a walk does not get to a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// An entry's P is 0.
    Absent,
    /// A reserved bit of an entry is set.
    Reserved,
}

/// An entry that a walk has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Its physical address.
    pub at: u64,
    /// What it was.
    pub value: u64,
}

/// What a walk ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// The entries from the first on; the last is the one that maps the page.
    pub used: [Used; 5],
    /// How many these are.
    pub count: usize,
    /// Bytes of an entry.
    pub entry_size: u8,
    /// Where the page starts.
    pub base: u64,
    /// log2 of its bytes.
    pub size: u32,
    /// W of every entry.
    pub writable: bool,
    /// U of every entry.
    pub user: bool,
    /// XD of any entry.
    pub no_execute: bool,
}

impl Walked {
    /// The entry that maps the page.
    pub fn leaf(&self) -> u64 {
        let last = self.count.checked_sub(1);
        last.and_then(|n| self.used.get(n)).map_or(0, |used| used.value)
    }
}

/// What a walk goes by.
pub(super) struct Walk<'a> {
    cpu: &'a Cpu,
    model: &'a Model,
    paging: Paging,
}

impl<'a> Walk<'a> {
    pub fn new(cpu: &'a Cpu, model: &'a Model, paging: Paging) -> Walk<'a> {
        Walk { cpu, model, paging }
    }

    /// The first table that is in memory, and the lowest bit of an address that it looks at.
    fn root(&self, va: u64) -> Result<(u64, u32), Failed> {
        let cr3 = self.cpu.sys.cr3;
        match self.paging {
            Paging::None | Paging::Bits32 => Ok((cr3 & 0xffff_f000, 22)),
            Paging::Pae => {
                // Those of the registers, whatever is in memory (4.4.1).
                let [first, second, third, fourth] = self.cpu.sys.pdpte;
                let pdpte = match va >> 30 & 3 {
                    0 => first,
                    1 => second,
                    2 => third,
                    _ => fourth,
                };
                if pdpte & entry::P == 0 {
                    return Err(Failed::Absent);
                }
                Ok((pdpte & entry::ADDRESS, 21))
            }
            Paging::Level4 => Ok((cr3 & entry::ADDRESS, 39)),
            Paging::Level5 => Ok((cr3 & entry::ADDRESS, 48)),
        }
    }

    /// Goes to the entry that maps `va`.
    pub fn run(&self, bus: &mut dyn Bus, va: u64) -> Result<Walked, Failed> {
        let narrow = self.paging == Paging::Bits32;
        let (entry_size, index_bits) = if narrow { (4, 10) } else { (8, 9) };
        let (mut table, mut shift) = self.root(va)?;
        let mut walked = Walked {
            used: [Used::default(); 5],
            count: 0,
            entry_size,
            base: 0,
            size: 12,
            writable: true,
            user: true,
            no_execute: false,
        };
        for slot in 0..5 {
            let index = va >> shift & ((1 << index_bits) - 1);
            let at = physical(self.cpu, table + index * u64::from(entry_size));
            let value = bus.load(at, entry_size).unwrap_or(u64::MAX);
            if value & entry::P == 0 {
                return Err(Failed::Absent);
            }
            let leaf = self.maps(value, shift);
            if value & self.reserved(shift, leaf) != 0 {
                return Err(Failed::Reserved);
            }
            if let Some(used) = walked.used.get_mut(slot) {
                *used = Used { at, value };
            }
            walked.count = slot + 1;
            walked.writable &= value & entry::W != 0;
            walked.user &= value & entry::U != 0;
            walked.no_execute |= !narrow && value & entry::XD != 0;
            if leaf {
                walked.size = shift;
                walked.base = self.address(value, shift);
                return Ok(walked);
            }
            table = self.address(value, 12);
            shift -= index_bits;
        }
        Err(Failed::Absent)
    }

    /// Whether an entry of a level maps a page.
    fn maps(&self, value: u64, shift: u32) -> bool {
        let large = value & entry::PS != 0;
        match (self.paging, shift) {
            (_, 12) => true,
            (Paging::Bits32, 22) => large && self.cpu.sys.cr4 & cr4::PSE != 0,
            (_, 21) => large,
            (Paging::Level4 | Paging::Level5, 30) => large && self.has(PDPE1GB),
            _ => false,
        }
    }
    fn has(&self, feature: Option<Features>) -> bool {
        feature.is_some_and(|f| self.model.features.has(f))
    }

    /// Bits of an entry that must be 0.
    fn reserved(&self, shift: u32, leaf: bool) -> u64 {
        if self.paging == Paging::Bits32 {
            return if leaf && shift == 22 { self.reserved_4m() } else { 0 };
        }
        let above = entry::ADDRESS & !self.model.address_mask();
        let execute = if self.cpu.sys.efer & efer::NXE == 0 {
            entry::XD
        } else {
            0
        };
        let high = if self.paging == Paging::Pae { 0x7ff << 52 } else { 0 };
        let size = match (leaf, shift) {
            // Bit 12 is PAT.
            (true, 21 | 30) => (1 << shift) - (1 << 13),
            (false, 30 | 39 | 48) => entry::PS,
            _ => 0,
        };
        above | execute | high | size
    }
    /// Of an entry that maps 4 MiB: bit 21, and of the bits 20:13, which are 39:32 of the address, those that addresses do
    /// not have (table 4-4).
    fn reserved_4m(&self) -> u64 {
        let bits = if self.has(PSE36) {
            u32::from(self.model.address_bits).clamp(32, 40)
        } else {
            32
        };
        (1 << 22) - (1 << (bits - 32 + 13))
    }

    /// The address in an entry, of something of `1 << size` bytes.
    fn address(&self, value: u64, size: u32) -> u64 {
        if self.paging != Paging::Bits32 {
            return value & entry::ADDRESS >> size << size;
        }
        let high = if size == 22 { value >> 13 & 0xff } else { 0 };
        value & 0xffff_ffff >> size << size | high << 32
    }
}
