//! Multiboot, version 0.6.96 of its specification: what a header says of a kernel, and what the kernel is told.

use super::elf::Program;
use super::entry::{Entry, GDT_SIZE, Mode, Registers};
use super::layout::{Error, FOUR_GIB, Layout, Part};
use super::memory::{Map, PAGE};
use super::{Placement, Start};
use crate::fdt::Region;
use crate::kernel::{self, Segment, damaged, word};

const NAME: &str = "multiboot kernel";
/// The boot loader's name, for the kernel.
pub(super) const LOADER: &str = "emu";

/// A kernel with the header, at its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiboot {
    pub(super) segments: Vec<Segment>,
    pub(super) entry: u64,
}

/// Where a kernel is to be loaded, if its header says so. Addresses are physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Where the header is in the file, and in memory.
    pub header: (usize, u32),
    /// The first byte that is loaded.
    pub load: u32,
    /// The end of what is loaded; 0 for the file's.
    pub load_end: u32,
    /// The end of what is zeroed; 0 for none.
    pub bss_end: u32,
}

impl Addresses {
    /// The kernel's only part.
    pub(super) fn segment(self, bytes: &[u8], name: &'static str) -> Result<Segment, kernel::Error> {
        let before = self.header.1.checked_sub(self.load);
        let first = before.and_then(|before| self.header.0.checked_sub(before as usize));
        let first = first.ok_or_else(|| damaged(name, format!("it loads at {:#x}, before the file", self.load)))?;
        let len = match self.load_end {
            0 => (bytes.len() - first) as u64,
            end => u64::from(end.saturating_sub(self.load)),
        };
        let end = first as u64 + len;
        let data = bytes.get(first..end as usize).ok_or(kernel::Error::Truncated {
            format: name,
            size: end,
            have: bytes.len() as u64,
        })?;
        let size = match self.bss_end {
            0 => len,
            end => u64::from(end.saturating_sub(self.load)),
        };
        if size < len || u64::from(self.load) + size > FOUR_GIB {
            let reason = format!("what is loaded at {:#x} has no sensible size", self.load);
            return Err(damaged(name, reason));
        }
        Ok(Segment {
            address: self.load.into(),
            bytes: data.to_vec(),
            size,
        })
    }
}

/// A kernel, if it is entered within its segments.
pub(super) fn entered(
    segments: Vec<Segment>,
    entry: Option<u64>,
    name: &'static str,
) -> Result<Multiboot, kernel::Error> {
    let is_inside = |s: &Segment| {
        entry
            .and_then(|entry| entry.checked_sub(s.address))
            .is_some_and(|at| at < s.size)
    };
    match entry.filter(|_| segments.iter().any(is_inside)) {
        Some(entry) => Ok(Multiboot { segments, entry }),
        None => Err(damaged(name, "its entry point is outside of it")),
    }
}

impl Multiboot {
    /// Reads a file with a header at `at`.
    ///
    /// # Errors
    ///
    /// When it is damaged, or asks for what a board without firmware has not.
    pub fn parse(bytes: &[u8], at: usize) -> Result<Multiboot, kernel::Error> {
        const VIDEO: u32 = 1 << 2;
        const ADDRESSES: u32 = 1 << 16;
        /// Modules at pages, and a memory map: these every kernel gets.
        const GIVEN: u32 = 0b11;
        let field = |n: usize| {
            word(bytes, at + 4 * n).ok_or(kernel::Error::Truncated {
                format: NAME,
                size: (at + 4 * n + 4) as u64,
                have: bytes.len() as u64,
            })
        };
        let flags = field(1)?;
        let unknown = flags & 0xffff & !GIVEN & !VIDEO;
        if flags & VIDEO != 0 {
            return Err(refused("a multiboot kernel", "a video mode, and there is no display"));
        }
        if unknown != 0 {
            let feature = format!("feature {}, which is not known", unknown.trailing_zeros());
            return Err(refused("a multiboot kernel", &feature));
        }
        if flags & ADDRESSES == 0 {
            let program = Program::parse(bytes)?;
            return entered(program.segments, program.entry, NAME);
        }
        let addresses = Addresses {
            header: (at, field(3)?),
            load: field(4)?,
            load_end: field(5)?,
            bss_end: field(6)?,
        };
        entered(vec![addresses.segment(bytes, NAME)?], Some(field(7)?.into()), NAME)
    }
}

/// The refusal of a kernel that asks for something.
pub(super) fn refused(format: &'static str, what: &str) -> kernel::Error {
    kernel::Error::Unsuitable {
        format,
        reason: format!("it asks for {what}"),
        fits: None,
    }
}

/// Modules behind the kernel, where both versions want them: at pages, below 4 GiB.
pub(super) fn modules<'a>(start: &Start<'_, 'a>, end: u64, layout: &mut Layout<'a>) -> Result<Vec<Region>, Error> {
    let within = Region::new(end, FOUR_GIB.saturating_sub(end));
    let place = |(number, module): (usize, &super::Module<'a>)| {
        let at = layout.lowest(Part::module(number), module.bytes.len() as u64, PAGE, within)?;
        layout.put(at, module.bytes);
        Ok(at)
    };
    start.modules.iter().enumerate().map(place).collect()
}

/// Conventional memory, and memory above 1 MiB, in KiB.
pub(super) fn kib(map: &Map) -> [u32; 2] {
    [map.ram_from(0).min(640 << 10), map.ram_from(1 << 20)].map(|bytes| (bytes >> 10) as u32)
}

/// The CPU's state at the entry of both versions: `mark` says which, `information` is the address of what is told.
pub(super) fn enter(layout: &mut Layout<'_>, entry: u64, mark: u32, information: u64) -> Result<Entry, Error> {
    let gdt = layout.low(Part::Tables, GDT_SIZE)?;
    let registers = Registers {
        ax: mark.into(),
        bx: information,
        ..Registers::default()
    };
    let entry = Entry::new(Mode::Protected, entry, gdt.base, registers);
    layout.put(gdt, entry.descriptors());
    Ok(entry)
}

/// Places a kernel with its modules.
///
/// # Errors
///
/// When something does not fit.
pub fn place<'a>(kernel: &'a Multiboot, start: &Start<'_, 'a>) -> Result<Placement<'a>, Error> {
    /// In EAX.
    const MARK: u32 = 0x2bad_b002;
    let mut layout = Layout::new(start.map);
    let end = layout.segments(&kernel.segments)?;
    let modules = modules(start, end, &mut layout)?;
    let mut list = Vec::new();
    for (module, place) in start.modules.iter().zip(&modules) {
        let words = layout.put_text(Part::CommandLine, module.command_line)?;
        list.extend(
            [place.base, place.end(), words, 0]
                .map(|word| (word as u32).to_le_bytes())
                .concat(),
        );
    }
    let map = map(start.map);
    let told = Told {
        memory: kib(start.map),
        command_line: layout.put_text(Part::CommandLine, start.command_line)?,
        modules: (modules.len() as u32, layout.put_low(Part::Tables, list)?),
        map: (map.len() as u32, layout.put_low(Part::Tables, map)?),
        loader: layout.put_text(Part::Tables, LOADER)?,
    };
    let information = layout.put_low(Part::Tables, told.bytes())?;
    let entry = enter(&mut layout, kernel.entry, MARK, information)?;
    Ok(Placement {
        placed: layout.placed,
        modules,
        entry,
    })
}

/// What a kernel is told (3.3, boot information). Lists are given by their lengths and addresses.
struct Told {
    memory: [u32; 2],
    command_line: u64,
    modules: (u32, u64),
    map: (u32, u64),
    loader: u64,
}

impl Told {
    fn bytes(&self) -> Vec<u8> {
        /// Which fields there are: memory, command line, modules, map, loader.
        const FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9;
        /// Words of the structure.
        const WORDS: usize = 29;
        let mut words = [0_u32; WORDS];
        let fields = [
            (0, FLAGS),
            (1, self.memory[0]),
            (2, self.memory[1]),
            (4, self.command_line as u32),
            (5, self.modules.0),
            (6, self.modules.1 as u32),
            (11, self.map.0),
            (12, self.map.1 as u32),
            (16, self.loader as u32),
        ];
        for (at, value) in fields {
            words.iter_mut().skip(at).take(1).for_each(|word| *word = value);
        }
        words.map(u32::to_le_bytes).concat()
    }
}

/// The memory map: each entry's length without its own field, then the range.
fn map(map: &Map) -> Vec<u8> {
    let entry = |range: &super::memory::Range| {
        let place = [range.region.base, range.region.size].map(u64::to_le_bytes).concat();
        [&20_u32.to_le_bytes()[..], &place, &(range.kind as u32).to_le_bytes()].concat()
    };
    map.ranges().iter().flat_map(entry).collect()
}
