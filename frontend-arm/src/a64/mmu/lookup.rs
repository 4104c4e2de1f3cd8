//! The walk through the VMSAv8-64 translation tables (Arm ARM DDI 0487, D8.2 and D8.3).

use super::super::model::Model;
use super::super::state::{Cpu, sctlr};
use super::half::Half;
use super::status;
use emu_ir::Bus;

/// Of a block or page descriptor: the Access flag.
pub(super) const ACCESS_FLAG: u64 = 1 << 10;
/// AP\[2\]: not to be written.
pub(super) const READ_ONLY: u64 = 1 << 7;
/// AP\[1\]: EL0 has access.
pub(super) const EL0: u64 = 1 << 6;
/// GP: a guarded page.
pub(super) const GUARDED: u64 = 1 << 50;
/// The contiguous hint.
const CONTIGUOUS: u64 = 1 << 52;

/// Restrictions that the tables on the way put on what lies below them.
#[derive(Clone, Copy, Default)]
pub(super) struct Inherited {
    pub no_el0: bool,
    pub read_only: bool,
    pub uxn: bool,
    pub pxn: bool,
}

/// What a walk ends at.
pub(super) struct Leaf {
    /// The physical address of the descriptor.
    pub at: u64,
    /// The descriptor.
    pub descriptor: u64,
    /// Its level.
    pub level: u32,
    /// Where what it maps starts.
    pub base: u64,
    /// log2 of the bytes that it maps.
    pub size: u8,
    /// log2 of the bytes that it maps together with its neighbours, where it says that they belong together.
    pub covers: u8,
    pub above: Inherited,
}

/// A walk on its way.
struct Walk<'a> {
    half: &'a Half,
    /// Bits of a physical address.
    bits: u32,
    big_endian: bool,
}

fn in_order(s: &Cpu, value: u64) -> u64 {
    if s.sys.sctlr & sctlr::EE != 0 {
        value.swap_bytes()
    } else {
        value
    }
}

/// Finds the descriptor for `va`, which has no tag.
pub(super) fn lookup(model: &Model, s: &Cpu, bus: &mut dyn Bus, va: u64, user: bool) -> Result<Leaf, u32> {
    let half = Half::of(model, s, va);
    let bits = half.address_bits(model).ok_or(status::TRANSLATION)?;
    let above_range = (va as i64) >> bits;
    let inside = matches!(above_range, 0 | -1);
    if !inside || half.disabled || half.no_el0 && user {
        return Err(status::TRANSLATION);
    }
    let walk = Walk {
        bits: half.physical_bits(model, s),
        half: &half,
        big_endian: s.sys.sctlr & sctlr::EE != 0,
    };
    walk.run(bus, va & (u64::MAX >> (64 - bits)), bits)
}

impl Walk<'_> {
    fn run(&self, bus: &mut dyn Bus, va: u64, bits: u32) -> Result<Leaf, u32> {
        let levels = (bits - self.half.granule).div_ceil(self.half.stride());
        let first = 4 - levels.clamp(1, 4);
        let mut table = self.root(8 << (bits - self.half.shift(first)))?;
        let mut above = Inherited::default();
        let mut index = va >> self.half.shift(first);
        for level in first..=3 {
            let at = table | index << 3;
            let descriptor = self.load(bus, at, level)?;
            match (descriptor & 3, level) {
                (3, 0..=2) => {
                    self.inherit(&mut above, descriptor);
                    table = self.address(descriptor, self.half.granule, level)?;
                    index = va >> self.half.shift(level + 1) & ((1 << self.half.stride()) - 1);
                }
                (3, _) | (1, 1..=2) if self.may_map(descriptor, level) => {
                    let size = self.half.shift(level);
                    return Ok(Leaf {
                        at,
                        descriptor,
                        level,
                        base: self.address(descriptor, size, level)?,
                        size: size as u8,
                        covers: self.covers(descriptor, level) as u8,
                        above,
                    });
                }
                _ => return Err(status::TRANSLATION | level),
            }
        }
        Err(status::TRANSLATION | 3)
    }

    /// The first table, of so many bytes.
    fn root(&self, bytes: u64) -> Result<u64, u32> {
        let low = self.half.ttbr & 0xffff_ffff_ffff;
        let base = if self.bits == 52 {
            low & !0x3f | (self.half.ttbr >> 2 & 15) << 48
        } else {
            low
        };
        self.fits(base & !(bytes - 1), 0)
    }

    /// The address in a descriptor, of something of `1 << size` bytes.
    fn address(&self, descriptor: u64, size: u32, level: u32) -> Result<u64, u32> {
        let low = descriptor & (0xffff_ffff_ffff >> size << size);
        let high = if self.bits == 52 {
            (descriptor >> 12 & 15) << 48
        } else {
            0
        };
        self.fits(low | high, level)
    }

    fn fits(&self, address: u64, level: u32) -> Result<u64, u32> {
        if address >> self.bits == 0 {
            Ok(address)
        } else {
            Err(status::ADDRESS_SIZE | level)
        }
    }

    fn load(&self, bus: &mut dyn Bus, at: u64, level: u32) -> Result<u64, u32> {
        let raw = bus.load(at, 8).ok_or(status::EXTERNAL_ON_WALK | level)?;
        Ok(if self.big_endian { raw.swap_bytes() } else { raw })
    }

    /// Whether a descriptor of a level may be one of a page, or of a block.
    fn may_map(&self, descriptor: u64, level: u32) -> bool {
        let is_page = descriptor & 2 != 0;
        match (level, self.half.granule) {
            (3, _) => is_page,
            (2, _) | (1, 12) => !is_page,
            (1, 16) => !is_page && self.bits == 52,
            _ => false,
        }
    }

    /// log2 of the bytes that a descriptor maps with those that the contiguous hint binds it to.
    fn covers(&self, descriptor: u64, level: u32) -> u32 {
        let together = match (self.half.granule, level) {
            (12, _) => 4,
            (14, 3) => 7,
            _ => 5,
        };
        self.half.shift(level) + if descriptor & CONTIGUOUS != 0 { together } else { 0 }
    }

    fn inherit(&self, above: &mut Inherited, descriptor: u64) {
        if self.half.flat_rights {
            return;
        }
        let set = |bit: u32| descriptor >> bit & 1 != 0;
        above.no_el0 |= set(61);
        above.read_only |= set(62);
        above.uxn |= set(60);
        above.pxn |= set(59);
    }
}

impl Leaf {
    /// Writes the descriptor anew, if it is still what it was; whether it was.
    pub fn update(&self, s: &Cpu, bus: &mut dyn Bus, new: u64) -> Result<bool, u32> {
        let external = status::EXTERNAL_ON_WALK | self.level;
        let [old, new] = [self.descriptor, new].map(|descriptor| in_order(s, descriptor));
        let held = bus.compare_exchange(self.at, 8, old, new).ok_or(external)?;
        Ok(held == old)
    }
}
