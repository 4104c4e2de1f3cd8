//! Linux by its own protocol (Documentation/arch/x86/boot.rst, versions 2.00 to 2.15, and zero-page.rst): the kernel behind its
//! setup code is entered at once, in 32 or 64 bits.

mod image;
mod params;
#[cfg(test)]
pub(crate) mod tests;

pub use image::BzImage;

use super::entry::{Entry, GDT_SIZE, Mode, Registers, Tables};
use super::layout::{Error, FOUR_GIB, Layout, Part};
use super::memory::PAGE;
use super::{Placement, Start};
use crate::fdt::Region;
use params::Params;

/// Extended memory's start: kernels lie above.
const EXTENDED: u64 = 0x10_0000;
/// Where conventional memory has the setup code, and kernels before version 2.05 nothing of their own from here on.
const SETUP: u64 = 0x9_0000;
/// Where the 64-bit entry is, from the kernel's first byte on.
const ENTRY_64: u64 = 0x200;

/// Places a kernel with its initrd, command line and parameters.
///
/// # Errors
///
/// When something does not fit, or is more than the kernel takes.
pub fn place<'a>(image: &'a BzImage, start: &Start<'_, 'a>) -> Result<Placement<'a>, Error> {
    check(image, start)?;
    let mut layout = Layout::new(start.map);
    let kernel = kernel(image, &mut layout)?;
    layout.put(Region::new(kernel, 0), image.code());
    let words: Vec<u8> = start.command_line.bytes().chain([0]).collect();
    let params = told(image, words.len() as u64, &mut layout)?;
    let words_at = Region::new(params + PAGE, words.len() as u64);
    layout.put(words_at, words);
    let initrd = match start.modules.first() {
        Some(module) => {
            let place = initrd(image, module.bytes.len() as u64, &mut layout)?;
            layout.put(place, module.bytes);
            Some(place)
        }
        None => None,
    };
    let setup_data = setup_data(image, start, &mut layout)?;
    let contents = Params {
        map: start.map,
        kernel,
        command_line: words_at.base,
        initrd,
        setup_data,
        rsdp: start.rsdp.map_or(0, |(address, _)| address),
    };
    layout.put(Region::new(params, PAGE), contents.page(image, params));
    let entry = enter(image, kernel, params, &mut layout)?;
    Ok(Placement {
        placed: layout.placed,
        modules: initrd.into_iter().collect(),
        entry,
    })
}

/// What can be said before anything is placed.
fn check(image: &BzImage, start: &Start<'_, '_>) -> Result<(), Error> {
    let (length, most) = (start.command_line.len() as u64, image.command_line);
    if length > most {
        return Err(Error::CommandLine { length, most });
    }
    if start.modules.len() > 1 {
        let given = start.modules.len();
        return Err(Error::Modules { given, most: 1 });
    }
    let count = start.map.ranges().len();
    match count > params::RANGES {
        true => Err(Error::Ranges {
            count,
            most: params::RANGES,
        }),
        false => Ok(()),
    }
}

/// Finds room for the parameters with a command line of `words` bytes on the page behind them. Returns its address.
fn told(image: &BzImage, words: u64, layout: &mut Layout<'_>) -> Result<u64, Error> {
    let size = PAGE + words;
    let place = match image.version {
        // Conventional memory below them is the kernel's to unpack itself.
        ..0x205 => layout.lowest(Part::CommandLine, size, PAGE, Region::new(SETUP, EXTENDED - SETUP))?,
        _ => layout.low(Part::CommandLine, size)?,
    };
    Ok(place.base)
}

/// Finds the kernel's place, with the room in which it unpacks itself. Returns its address.
fn kernel(image: &BzImage, layout: &mut Layout<'_>) -> Result<u64, Error> {
    let room = image.room();
    let Some(relocation) = image.relocation else {
        let own = Region::new(image.start, image.code().len() as u64);
        let Some(runs) = image.preferred else {
            return layout.fixed(Part::Kernel, own).map(|place| place.base);
        };
        // It is loaded at one place and moves to the other, which the first may be part of.
        let runs = Region::new(runs, room);
        let overlap = own.base <= runs.end() && runs.base <= own.end();
        return match overlap {
            true => {
                let base = own.base.min(runs.base);
                layout.fixed(Part::Kernel, Region::new(base, own.end().max(runs.end()) - base))?;
                Ok(own.base)
            }
            false => {
                layout.fixed(Part::Kernel, runs)?;
                layout.fixed(Part::Kernel, own).map(|place| place.base)
            }
        };
    };
    // It never runs below the address that it prefers.
    let from = image.preferred.unwrap_or(EXTENDED);
    if from.is_multiple_of(relocation.align)
        && let Some(place) = layout.try_fixed(Region::new(from, room))
    {
        return Ok(place.base);
    }
    let below = Region::new(from, FOUR_GIB.saturating_sub(from));
    let wanted = layout.lowest(Part::Kernel, room, relocation.align, below);
    let least = |layout: &mut Layout<'_>| layout.lowest(Part::Kernel, room, relocation.least_align, below);
    let found = wanted
        .or_else(|_| least(layout))
        .or_else(|error| match image.is_free() {
            true => layout.lowest(Part::Kernel, room, relocation.align, Region::new(from, u64::MAX - from)),
            false => Err(error),
        });
    found.map(|place| place.base)
}

/// Finds the initrd's place: as high as the kernel says it may be, and if it may lie anywhere, where there is room.
fn initrd(image: &BzImage, size: u64, layout: &mut Layout<'_>) -> Result<Region, Error> {
    let within = |end: u64| Region::new(EXTENDED, end.saturating_sub(EXTENDED));
    let said = image.initrd_max.saturating_add(1).min(FOUR_GIB);
    let found = layout.highest(Part::Initrd, size, PAGE, within(said));
    match image.is_free() {
        true => found
            .or_else(|_| layout.highest(Part::Initrd, size, PAGE, within(FOUR_GIB)))
            .or_else(|_| layout.highest(Part::Initrd, size, PAGE, within(u64::MAX))),
        false => found,
    }
}

/// The list of what the parameters have no room for, which kernels before version 2.09 do not read. Returns the first one's address; 0 for none.
fn setup_data(image: &BzImage, start: &Start<'_, '_>, layout: &mut Layout<'_>) -> Result<u64, Error> {
    const TREE: u32 = 2;
    const SEED: u32 = 9;
    if image.version < 0x209 {
        return Ok(0);
    }
    let all = [(TREE, start.device_tree), (SEED, start.seed)];
    let mut next = 0_u64;
    for (kind, bytes) in all.into_iter().filter_map(|(kind, bytes)| Some((kind, bytes?))) {
        let mut entry = next.to_le_bytes().to_vec();
        entry.extend(kind.to_le_bytes());
        entry.extend((bytes.len() as u32).to_le_bytes());
        entry.extend(bytes);
        next = layout.put_low(Part::Tables, entry)?;
    }
    Ok(next)
}

/// Places descriptors, and page tables for the 64-bit entry.
fn enter(image: &BzImage, kernel: u64, params: u64, layout: &mut Layout<'_>) -> Result<Entry, Error> {
    let gdt = layout.low(Part::Tables, GDT_SIZE)?;
    let registers = Registers {
        si: params,
        ..Registers::default()
    };
    let (mode, ip) = match image.is_wide {
        false => (Mode::Protected, kernel),
        true => {
            let ends = layout.placed.iter().flat_map(|it| [it.address, it.address + it.size]);
            let room = (kernel >> 30..=(kernel + image.room()) >> 30).map(|gib| gib << 30);
            let tables = Tables::new(ends.chain(room));
            let at = layout.low(Part::Tables, tables.size())?;
            layout.put(at, tables.bytes(at.base));
            (Mode::Long { cr3: at.base }, kernel + ENTRY_64)
        }
    };
    let entry = Entry::new(mode, ip, gdt.base, registers);
    layout.put(gdt, entry.descriptors());
    Ok(entry)
}
