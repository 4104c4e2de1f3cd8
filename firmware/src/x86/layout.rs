//! Placing things in a board's free RAM.

use std::borrow::Cow;
use std::fmt;

use super::memory::{Free, Map, PAGE};
use crate::boot::Piece;
use crate::fdt::Region;
use crate::kernel::Segment;

/// The end of conventional memory: what boot protocols want low is below it.
const LOW: u64 = 0xa_0000;
/// The end of what a program of 32 bits reaches.
pub const FOUR_GIB: u64 = 1 << 32;

/// A part of what is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The kernel, with the room in which it unpacks itself.
    Kernel,
    /// The initial RAM file system.
    Initrd,
    /// A module other than the first, by number.
    Module(usize),
    /// The kernel's command line.
    CommandLine,
    /// The structures by which the kernel is told of the machine.
    Tables,
}

impl Part {
    /// The part that the module of this number is, counted from 0.
    pub const fn module(number: usize) -> Part {
        match number {
            0 => Part::Initrd,
            more => Part::Module(more),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Kernel => f.write_str("the kernel"),
            Part::Initrd => f.write_str("the initrd"),
            Part::Module(number) => write!(f, "module {number}"),
            Part::CommandLine => f.write_str("the command line"),
            Part::Tables => f.write_str("what the kernel is told"),
        }
    }
}

/// Why things cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No free RAM is large enough.
    #[error(
        "{part} takes {}, and {} are free in one piece{}; {}",
        Bytes(*.size), Bytes(*.free), Below(*.below), if *.is_all { "more memory would do" } else { "take a smaller one" }
    )]
    NoRoom {
        /// What does not fit.
        part: Part,
        /// Bytes that it takes.
        size: u64,
        /// Bytes that are free in one piece where it may be.
        free: u64,
        /// The end of the addresses where it may be.
        below: u64,
        /// RAM ends before that: with more of it there would be room.
        is_all: bool,
    },
    /// It has an address of its own, where there is no free RAM.
    #[error("{part} loads at {:#x} to {:#x}, where not all is free RAM; RAM ends at {ram:#x}", .at.base, .at.end().saturating_sub(1))]
    Taken {
        /// What does not fit.
        part: Part,
        /// Where it wants to be.
        at: Region,
        /// The last RAM's end.
        ram: u64,
    },
    /// The command line is longer than the kernel takes.
    #[error("the command line has {length} bytes; the kernel takes {most}")]
    CommandLine {
        /// Its length.
        length: u64,
        /// The kernel's limit.
        most: u64,
    },
    /// More modules than the kernel takes.
    #[error("{given} modules; the kernel takes {most}")]
    Modules {
        /// How many there are.
        given: usize,
        /// The kernel's limit.
        most: usize,
    },
    /// The map has more ranges than the protocol has room for.
    #[error("a memory map of {count} ranges; the kernel takes {most}")]
    Ranges {
        /// How many there are.
        count: usize,
        /// The protocol's limit.
        most: usize,
    },
}

impl Error {
    /// The part at fault.
    pub fn part(&self) -> Part {
        match *self {
            Error::NoRoom { part, .. } | Error::Taken { part, .. } => part,
            Error::CommandLine { .. } => Part::CommandLine,
            Error::Modules { most, .. } => Part::module(most),
            Error::Ranges { .. } => Part::Tables,
        }
    }
}

/// A length for the user.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..0x400 => write!(f, "{bytes} bytes"),
            bytes @ 0x400..0x10_0000 => write!(f, "{} KiB", bytes.div_ceil(0x400)),
            bytes => write!(f, "{} MiB", bytes.div_ceil(0x10_0000)),
        }
    }
}

/// Says which addresses there are, if not all.
struct Below(u64);

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            u64::MAX => Ok(()),
            FOUR_GIB => f.write_str(" below 4 GiB"),
            end => write!(f, " below {end:#x}"),
        }
    }
}

/// Bytes that are placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Physical address.
    pub address: u64,
    /// What is there.
    pub bytes: Cow<'a, [u8]>,
    /// Length in memory; what is past `bytes` is zero.
    pub size: u64,
}

impl Placed<'_> {
    /// The same as a piece of memory.
    pub fn piece(&self) -> Piece<'_> {
        Piece {
            address: self.address,
            bytes: &self.bytes,
            size: self.size,
        }
    }
}

/// What is placed so far.
pub struct Layout<'a> {
    free: Free,
    ram: u64,
    /// The pieces, in the order in which they were placed.
    pub placed: Vec<Placed<'a>>,
}

impl<'a> Layout<'a> {
    /// Nothing is placed yet.
    pub fn new(map: &Map) -> Layout<'a> {
        Layout {
            free: Free::of(map),
            ram: map.ram().last().map_or(0, Region::end),
            placed: Vec::new(),
        }
    }

    /// Puts bytes where room has been found.
    pub fn put(&mut self, at: Region, bytes: impl Into<Cow<'a, [u8]>>) {
        let bytes = bytes.into();
        self.placed.push(Placed {
            address: at.base,
            size: at.size.max(bytes.len() as u64),
            bytes,
        });
    }

    /// Room at an address of its own.
    ///
    /// # Errors
    /// [`Error::Taken`].
    pub fn fixed(&mut self, part: Part, at: Region) -> Result<Region, Error> {
        let ram = self.ram;
        self.free.take(at).ok_or(Error::Taken { part, at, ram })
    }

    /// The same, if all of it is free.
    pub fn try_fixed(&mut self, at: Region) -> Option<Region> {
        self.free.take(at)
    }

    /// Puts a program's segments where they are linked. Returns the end of the last.
    ///
    /// # Errors
    /// [`Error::Taken`].
    pub fn segments(&mut self, segments: &'a [Segment]) -> Result<u64, Error> {
        let mut end = 0;
        for segment in segments {
            let at = self.fixed(Part::Kernel, Region::new(segment.address, segment.size))?;
            self.put(at, &segment.bytes[..]);
            end = end.max(at.end());
        }
        Ok(end)
    }

    /// Room at the lowest address within `within`.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn lowest(&mut self, part: Part, size: u64, align: u64, within: Region) -> Result<Region, Error> {
        let found = self.free.lowest(size, align, within);
        found.ok_or_else(|| self.no_room(part, size, within))
    }

    /// Room at the highest address within `within`.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn highest(&mut self, part: Part, size: u64, align: u64, within: Region) -> Result<Region, Error> {
        let found = self.free.highest(size, align, within);
        found.ok_or_else(|| self.no_room(part, size, within))
    }

    /// Pages for a structure: in conventional memory if it has room, else anywhere below 4 GiB.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn low(&mut self, part: Part, size: u64) -> Result<Region, Error> {
        match self.free.lowest(size, PAGE, Region::new(0, LOW)) {
            Some(found) => Ok(found),
            None => self.lowest(part, size, PAGE, Region::new(0, FOUR_GIB)),
        }
    }

    /// Puts a structure into memory. Returns its address.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn put_low(&mut self, part: Part, bytes: Vec<u8>) -> Result<u64, Error> {
        let at = self.low(part, bytes.len() as u64)?;
        self.put(at, bytes);
        Ok(at.base)
    }

    /// Puts a text with its zero into memory. Returns its address.
    ///
    /// # Errors
    /// [`Error::NoRoom`].
    pub fn put_text(&mut self, part: Part, text: &str) -> Result<u64, Error> {
        self.put_low(part, text.bytes().chain([0]).collect())
    }

    fn no_room(&self, part: Part, size: u64, within: Region) -> Error {
        Error::NoRoom {
            part,
            size,
            free: self.free.largest(within),
            below: within.end(),
            is_all: self.ram < within.end(),
        }
    }
}
