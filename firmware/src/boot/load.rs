//! Kernels at their places.

use super::{BLOCK, Error, Loaded, Memory, Piece, WINDOW, limits};
use crate::fdt::Region;
use crate::identify::Arm;
use crate::kernel::{Image, KERNEL_SPACE, Program, SPLIT, USUAL_SPLIT, ZImage};

/// Offset of a zImage and of raw code from the start of RAM, in bytes.
const LOAD_OFFSET: u64 = 0x1_0000;
/// The same for raw code on AArch64.
const LOAD_OFFSET_64: u64 = 0x8_0000;
/// An Image that starts less far from a multiple of [`BLOCK`] leaves the first one of RAM free, in bytes.
const FIRST_OFFSET: u64 = 0x1000;
const WINDOW_START: u64 = 1 << 30;
/// What a zImage's decompressor takes behind itself: stack and heap, in bytes (head.S; rounded up).
const DECOMPRESSOR: u64 = 0x2_0000;
/// The end of the RAM that Linux maps for good, as an address in its own space: low memory (mm/mmu.c; 240 MiB of
/// `vmalloc` space behind it).
const LOW_MEMORY_END: u64 = 0xef80_0000;
/// No machine number, as Linux knows them.
pub(super) const NO_MACHINE: u64 = 0xffff_ffff;

/// The decompressor moves itself behind the unpacked kernel when it would be overwritten.
pub(super) fn zimage(ram: u64, image: &ZImage) -> Loaded<'_> {
    let raw = raw(Arm::A32, ram, &image.bytes);
    let unpacked = image
        .unpacked
        .map_or(0, |kernel| ram + u64::from(kernel.offset) + kernel.size);
    let address = ram + LOAD_OFFSET;
    Loaded {
        end: address
            .max(unpacked)
            .saturating_add(image.bytes.len() as u64 + DECOMPRESSOR),
        reach: Some(LOW_MEMORY_END - USUAL_SPLIT),
        ..raw
    }
}

/// The Image is entered where it lies.
pub(super) fn image(ram: u64, image: &Image) -> Loaded<'_> {
    let first = match image.anywhere && image.text_offset < FIRST_OFFSET {
        true => BLOCK,
        false => 0,
    };
    let address = ram.next_multiple_of(BLOCK) + first + image.text_offset;
    let window = address - address % WINDOW_START + WINDOW;
    Loaded {
        ram: vec![Piece {
            address,
            bytes: &image.bytes,
            size: image.size,
        }],
        start: Some(address),
        end: address.saturating_add(image.size),
        entry: address,
        reach: Some(window - ram),
        ..raw(Arm::A64, ram, &[])
    }
}

pub(super) fn raw(isa: Arm, ram: u64, bytes: &[u8]) -> Loaded<'_> {
    let offset = match isa {
        Arm::A32 => LOAD_OFFSET,
        Arm::A64 => LOAD_OFFSET_64,
    };
    let (address, size) = (ram + offset, bytes.len() as u64);
    Loaded {
        isa,
        ram: vec![Piece { address, bytes, size }],
        flash: Vec::new(),
        start: Some(address),
        end: address.saturating_add(size),
        entry: address,
        machine: NO_MACHINE,
        reach: None,
        has_tree_first: false,
    }
}

pub(super) fn program<'a>(memory: Memory<'_>, program: &'a Program) -> Result<Loaded<'a>, Error> {
    let Memory { ram, flash } = memory;
    let lowest = program.segments.iter().map(|s| s.address).min().unwrap_or(0);
    let moved = match program.linux {
        Some(_) if lowest >= KERNEL_SPACE => ram.base.wrapping_sub(lowest & SPLIT),
        _ => 0,
    };
    let moved = |address: u64| match program.linux {
        // Within 32 bits, as the kernel itself counts.
        Some(_) => address.wrapping_add(moved) & 0xffff_ffff,
        None => address,
    };
    let mut image = Loaded {
        isa: program.isa,
        ram: Vec::new(),
        flash: Vec::new(),
        start: None,
        end: ram.base,
        entry: moved(program.entry),
        machine: program.linux.map_or(0, |_| NO_MACHINE),
        reach: program.linux.map(|linux| LOW_MEMORY_END - linux.page_offset),
        has_tree_first: program.linux.is_none(),
    };
    for segment in &program.segments {
        let piece = Piece {
            address: moved(segment.address),
            bytes: &segment.bytes,
            size: segment.size,
        };
        let end = piece.address.saturating_add(piece.size);
        if flash.iter().any(|bank| bank.base <= piece.address && end <= bank.end()) {
            // Zeroed data has its place in RAM, whatever the linker says of where it is loaded.
            image.flash.extend(Some(piece).filter(|piece| !piece.bytes.is_empty()));
        } else if ram.base <= piece.address && piece.address < ram.base.saturating_add(limits(program.isa).most) {
            image.start = Some(image.start.map_or(piece.address, |first| first.min(piece.address)));
            image.end = image.end.max(end);
            image.ram.push(piece);
        } else {
            return Err(outside(memory, piece.address));
        }
    }
    Ok(image)
}

fn outside(memory: Memory<'_>, address: u64) -> Error {
    let flash = memory.flash;
    let base = flash.iter().map(|bank| bank.base).min();
    let end = flash.iter().map(|bank| bank.end()).max();
    Error::Outside {
        address,
        ram: memory.ram,
        flash: base.zip(end).map(|(base, end)| Region::new(base, end - base)),
    }
}
