//! PVH's protocol, in which Xen starts kernels without firmware (Xen, docs/misc/pvh.pandoc and
//! public/arch-x86/hvm/start_info.h, version 1): an ELF file says by a note where it is entered, in 32 bits.

use super::elf::Program;
use super::entry::{Entry, GDT_SIZE, Mode, Registers};
use super::layout::{Error, FOUR_GIB, Layout, Part};
use super::memory::{Map, PAGE};
use super::{Placement, Start};
use crate::fdt::Region;
use crate::kernel::{self, Segment};

/// A kernel with the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pvh {
    segments: Vec<Segment>,
    entry: u32,
}

impl Pvh {
    /// Takes a program.
    ///
    /// # Errors
    ///
    /// When it has no note, or that leads out of it.
    pub fn of(program: Program) -> Result<Pvh, kernel::Error> {
        let unsuitable = |reason: &str| kernel::Error::Unsuitable {
            format: "an ELF file",
            reason: reason.to_owned(),
            fits: None,
        };
        let entry = program.pvh.ok_or_else(|| {
            unsuitable("it has neither a PVH note (Linux has it with CONFIG_PVH) nor a multiboot header")
        })?;
        let segments = program.segments;
        let is_inside = |s: &Segment| u64::from(entry).checked_sub(s.address).is_some_and(|at| at < s.size);
        match segments.iter().any(is_inside) {
            true => Ok(Pvh { segments, entry }),
            false => Err(unsuitable("its PVH entry point is outside of it")),
        }
    }
}

/// Places a kernel with its modules.
///
/// # Errors
///
/// When something does not fit.
pub fn place<'a>(kernel: &'a Pvh, start: &Start<'_, 'a>) -> Result<Placement<'a>, Error> {
    let mut layout = Layout::new(start.map);
    layout.segments(&kernel.segments)?;
    let command_line = match start.command_line {
        "" => 0,
        words => layout.put_text(Part::CommandLine, words)?,
    };
    let (mut modules, mut list) = (Vec::new(), Vec::new());
    for (number, module) in start.modules.iter().enumerate() {
        let (part, size) = (Part::module(number), module.bytes.len() as u64);
        // As high as possible: nothing but the map says where the kernel takes more than its segments.
        let place = layout.highest(part, size, PAGE, Region::new(0, FOUR_GIB))?;
        layout.put(place, module.bytes);
        let words = match module.command_line {
            "" => 0,
            words => layout.put_text(Part::CommandLine, words)?,
        };
        list.extend([place.base, size, words, 0].map(u64::to_le_bytes).concat());
        modules.push(place);
    }
    let list = layout.put_low(Part::Tables, list)?;
    let map = layout.put_low(Part::Tables, map(start.map))?;
    let info = Info {
        modules: (modules.len() as u32, list),
        command_line,
        rsdp: start.rsdp.map_or(0, |(address, _)| address),
        map: (start.map.ranges().len() as u32, map),
    };
    let info = layout.put_low(Part::Tables, info.bytes())?;
    let gdt = layout.low(Part::Tables, GDT_SIZE)?;
    let registers = Registers {
        bx: info,
        ..Registers::default()
    };
    let entry = Entry::new(Mode::Protected, kernel.entry.into(), gdt.base, registers);
    layout.put(gdt, entry.descriptors());
    Ok(Placement {
        placed: layout.placed,
        modules,
        entry,
    })
}

/// `struct hvm_start_info`. Lists are given by their lengths and addresses.
struct Info {
    modules: (u32, u64),
    command_line: u64,
    rsdp: u64,
    map: (u32, u64),
}

impl Info {
    fn bytes(&self) -> Vec<u8> {
        const MAGIC: u32 = 0x336e_c578;
        const VERSION: u32 = 1;
        const FLAGS: u32 = 0;
        let words = [MAGIC, VERSION, FLAGS, self.modules.0].map(u32::to_le_bytes).concat();
        let addresses = [self.modules.1, self.command_line, self.rsdp, self.map.1];
        let last = [self.map.0, 0].map(u32::to_le_bytes).concat();
        [words, addresses.map(u64::to_le_bytes).concat(), last].concat()
    }
}

/// `struct hvm_memmap_table_entry`, one for each range; the types are E820h's.
fn map(map: &Map) -> Vec<u8> {
    let entry = |range: &super::memory::Range| {
        let place = [range.region.base, range.region.size].map(u64::to_le_bytes).concat();
        let kind = [range.kind as u32, 0].map(u32::to_le_bytes).concat();
        [place, kind].concat()
    };
    map.ranges().iter().flat_map(entry).collect()
}
