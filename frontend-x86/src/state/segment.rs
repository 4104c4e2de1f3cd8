//! Segments (SDM 3, 3.4 and 3.5), as a VMCB holds them: a selector, attributes, a limit in bytes, a base.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// Numbers of segment registers.
#[allow(missing_docs)]
pub mod number {
    pub const ES: u8 = 0;
    pub const CS: u8 = 1;
    pub const SS: u8 = 2;
    pub const DS: u8 = 3;
    pub const FS: u8 = 4;
    pub const GS: u8 = 5;
}

/// A segment register, its hidden part included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct Segment {
    /// Where it starts.
    pub base: u64,
    /// Its limit in bytes, granularity applied.
    pub limit: u32,
    /// What is in the register.
    pub selector: u16,
    /// Bits 55:52 and 47:40 of its descriptor: see [`Attributes`].
    pub attributes: u16,
}

/// Bits of [`Segment::attributes`]: those of a descriptor, without the limit between them.
pub struct Attributes;

#[allow(missing_docs)]
impl Attributes {
    pub const TYPE: u16 = 15;
    /// Of code and data: it was accessed.
    pub const ACCESSED: u16 = 1;
    /// Of data: it may be written.
    pub const WRITABLE: u16 = 2;
    /// Of code: it may be read.
    pub const READABLE: u16 = 2;
    /// Of data: it lies above its limit.
    pub const EXPAND_DOWN: u16 = 4;
    /// Of code: it takes on the privilege of who comes.
    pub const CONFORMING: u16 = 4;
    /// Code.
    pub const CODE: u16 = 8;
    /// Code or data; else it is of the system.
    pub const S: u16 = 1 << 4;
    pub const DPL_SHIFT: u32 = 5;
    pub const DPL: u16 = 3 << Self::DPL_SHIFT;
    pub const P: u16 = 1 << 7;
    pub const AVL: u16 = 1 << 8;
    pub const L: u16 = 1 << 9;
    /// D of code, B of data.
    pub const DB: u16 = 1 << 10;
    pub const G: u16 = 1 << 11;
}

/// A descriptor of 8 bytes, the lower half lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor(pub u64);

impl Descriptor {
    /// [`Segment::attributes`] of it.
    pub const fn attributes(self) -> u16 {
        (self.0 >> 40 & 0xff | self.0 >> 44 & 0xf00) as u16
    }
    /// Its base, of 32 bits.
    pub const fn base(self) -> u32 {
        (self.0 >> 16 & 0xff_ffff | self.0 >> 32 & 0xff00_0000) as u32
    }
    /// Its limit in bytes.
    pub const fn limit(self) -> u32 {
        let limit = (self.0 & 0xffff | self.0 >> 32 & 0xf_0000) as u32;
        if self.attributes() & Attributes::G != 0 {
            limit << 12 | 0xfff
        } else {
            limit
        }
    }
    /// What a segment register that is loaded with a selector of it holds.
    pub const fn segment(self, selector: u16) -> Segment {
        Segment {
            base: self.base() as u64,
            limit: self.limit(),
            selector,
            attributes: self.attributes(),
        }
    }
}

impl Segment {
    /// Of real and virtual 8086 mode.
    pub const fn real(selector: u16) -> Segment {
        Segment {
            base: (selector as u64) << 4,
            limit: 0xffff,
            selector,
            attributes: Attributes::P | Attributes::S | Attributes::WRITABLE | Attributes::ACCESSED,
        }
    }
    /// Whether it has a bit of [`Attributes`].
    pub const fn has(&self, attribute: u16) -> bool {
        self.attributes & attribute == attribute
    }
    /// Its descriptor privilege level.
    pub const fn dpl(&self) -> u8 {
        (self.attributes >> Attributes::DPL_SHIFT & 3) as u8
    }
    /// Code.
    pub const fn is_code(&self) -> bool {
        self.has(Attributes::S | Attributes::CODE)
    }
    /// Whether it is there to be used: not null, nor marked so.
    pub const fn is_usable(&self) -> bool {
        self.has(Attributes::P | Attributes::S)
    }
    /// By what it may be loaded again without a change.
    pub fn loaded(&self) -> Loaded {
        let units = if self.has(Attributes::G) {
            self.limit >> 12
        } else {
            self.limit
        };
        let (low, high) = (self.base & 0xff_ffff, self.base & 0xff00_0000);
        let attributes = u64::from(self.attributes);
        let descriptor = Descriptor(
            u64::from(units & 0xffff)
                | u64::from(units & 0xf_0000) << 32
                | low << 16
                | high << 32
                | (attributes & 0xff) << 40
                | (attributes & 0xf00) << 44,
        );
        let named = self.selector & 4 == 0 && self.selector & !3 != 0;
        let open = self.is_code() && self.has(Attributes::CONFORMING) || u16::from(self.dpl()) >= self.selector & 3;
        let readable =
            self.is_usable() && self.has(Attributes::ACCESSED) && (!self.is_code() || self.has(Attributes::READABLE));
        let again = named && open && readable && descriptor.segment(self.selector) == *self;
        Loaded {
            descriptor: descriptor.0,
            selector: if again { self.selector.into() } else { Loaded::NEVER },
            reserved: 0,
        }
    }
    /// Which offsets may be accessed.
    pub fn bounds(&self) -> Bounds {
        const NOTHING: [u32; 2] = [1, 0];
        if !self.is_usable() {
            return Bounds {
                read: NOTHING,
                write: NOTHING,
            };
        }
        let code = self.is_code();
        let all = match (!code && self.has(Attributes::EXPAND_DOWN), self.has(Attributes::DB)) {
            (false, _) => [0, self.limit],
            (true, big) => {
                let top = if big { u32::MAX } else { 0xffff };
                self.limit
                    .checked_add(1)
                    .filter(|&first| first <= top)
                    .map_or(NOTHING, |first| [first, top])
            }
        };
        let allowed = |may: bool| if may { all } else { NOTHING };
        Bounds {
            read: allowed(!code || self.has(Attributes::READABLE)),
            write: allowed(!code && self.has(Attributes::WRITABLE)),
        }
    }
}

/// A selector, and the descriptor that it names in the GDT, by which a load at level 0 outside of 64-bit mode leaves a data
/// register as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct Loaded {
    /// All of it.
    pub descriptor: u64,
    /// Or [`Loaded::NEVER`].
    pub selector: u32,
    /// Zero: no padding.
    #[serde(skip)]
    pub reserved: u32,
}

impl Loaded {
    /// No selector.
    pub const NEVER: u32 = 1 << 16;
    /// By no load.
    pub const NONE: Loaded = Loaded {
        descriptor: 0,
        selector: Loaded::NEVER,
        reserved: 0,
    };
}

/// Offsets of a segment that may be accessed: the first and the last; none if the first is above the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct Bounds {
    /// To be read.
    pub read: [u32; 2],
    /// To be written.
    pub write: [u32; 2],
}

impl Bounds {
    /// Anything may be accessed.
    pub const ALL: Bounds = Bounds {
        read: [0, u32::MAX],
        write: [0, u32::MAX],
    };
}

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct Table {
    /// Where it starts.
    pub base: u64,
    /// The offset of its last byte, 0 to FFFF.
    pub limit: u64,
}
