//! What of a local APIC everyone may see without locking it: whom messages name, and where its registers are.

use super::message::To;
use std::sync::atomic::{AtomicU64, Ordering};

/// No page.
const NOWHERE: u64 = u64::MAX;

/// The bits of the word: the physical id in 0 to 31, the logical one in xAPIC mode in 32 to 39 and how it is to be read in
/// 40 to 43, processor priority in 44 to 51.
mod word {
    /// Software has enabled it.
    pub const ENABLED: u64 = 1 << 52;
    /// In x2APIC mode.
    pub const X2APIC: u64 = 1 << 53;
    /// There is one.
    pub const THERE: u64 = 1 << 54;
    /// Processor priority.
    pub const PPR: u64 = 0xff << 44;
}

/// The word, and the address of the page of registers. The local APIC's own updates write it.
pub(super) struct Name {
    word: AtomicU64,
    page: AtomicU64,
}

/// What a local APIC is, of what others may see.
pub(super) struct Facts {
    /// Its physical id.
    pub physical: u32,
    /// In xAPIC mode its logical id, and how that is to be read: 8 and 4 bits.
    pub logical: u32,
    pub format: u32,
    /// Processor priority.
    pub ppr: u8,
    pub enabled: bool,
    pub x2apic: bool,
    pub there: bool,
    /// The address of the page of registers, if there is one.
    pub page: Option<u64>,
}

/// A name as it was at one time.
#[derive(Clone, Copy)]
pub(super) struct Named(u64);

impl Name {
    pub fn new() -> Name {
        Name {
            word: AtomicU64::new(0),
            page: AtomicU64::new(NOWHERE),
        }
    }

    /// Writes it; whether it is another one but for its priority.
    pub fn publish(&self, is: &Facts) -> bool {
        let flag = |is: bool, bit: u64| if is { bit } else { 0 };
        let new = u64::from(is.physical)
            | u64::from(is.logical) << 32
            | u64::from(is.format) << 40
            | u64::from(is.ppr) << 44
            | flag(is.enabled, word::ENABLED)
            | flag(is.x2apic, word::X2APIC)
            | flag(is.there, word::THERE);
        // Most updates change nothing: look before writing to a shared cache line.
        let page = is.page.unwrap_or(NOWHERE);
        if self.page.load(Ordering::Relaxed) != page {
            self.page.store(page, Ordering::Release);
        }
        let old = self.word.load(Ordering::Relaxed);
        if old != new {
            self.word.store(new, Ordering::Release);
        }
        (old ^ new) & !word::PPR != 0
    }

    pub fn now(&self) -> Named {
        Named(self.word.load(Ordering::Acquire))
    }

    pub fn page(&self) -> Option<u64> {
        Some(self.page.load(Ordering::Acquire)).filter(|page| *page != NOWHERE)
    }
}

impl Named {
    pub fn is_enabled(self) -> bool {
        self.0 & word::ENABLED != 0
    }

    pub fn ppr(self) -> u8 {
        (self.0 >> 44) as u8
    }

    fn physical(self) -> u32 {
        self.0 as u32
    }

    /// Whether a message is for it; it is CPU number `cpu`'s.
    pub fn is_meant(self, cpu: usize, to: To) -> bool {
        let is_there = self.0 & word::THERE != 0;
        is_there
            && match to {
                To::Cpu(one) => cpu == one,
                To::All => true,
                To::AllBut(one) => cpu != one,
                To::Physical(id) => self.physical() == id,
                To::Logical(ids) => self.is_among(ids),
            }
    }

    /// Whether it has one of some logical ids.
    fn is_among(self, ids: u32) -> bool {
        if self.0 & word::X2APIC != 0 {
            let id = self.physical();
            return ids >> 16 == id >> 4 && ids >> (id & 0xf) & 1 != 0;
        }
        let (own, format) = ((self.0 >> 32) as u8, self.0 >> 40 & 0xf);
        let Ok(ids) = u8::try_from(ids) else {
            return false;
        };
        match format {
            0xf => ids & own != 0,
            0 => (ids >> 4 == 0xf || ids >> 4 == own >> 4) && ids & own & 0xf != 0,
            _ => false,
        }
    }
}
