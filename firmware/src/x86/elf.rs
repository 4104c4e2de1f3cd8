//! ELF files for x86: their segments at physical addresses, and PVH's note.

use elf::ElfBytes;
use elf::abi::PT_NOTE;
use elf::endian::AnyEndian;
use elf::file::Class;

use crate::identify::{FileKind, Isa};
use crate::kernel::{self, Segment, damaged, word};

/// Note segments that are looked at.
const NOTES: usize = 16;

/// A linked program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What is loaded where; below 4 GiB.
    pub segments: Vec<Segment>,
    /// Physical address of its entry point, if that is in it.
    pub entry: Option<u64>,
    /// Physical address of PVH's entry point, if it has one.
    pub pvh: Option<u32>,
}

impl Program {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it is no program, damaged, or has addresses above 4 GiB.
    pub fn parse(bytes: &[u8]) -> Result<Program, kernel::Error> {
        let class = match FileKind::elf(bytes).isa() {
            Some(Isa::X86_64) => Class::ELF64,
            _ => Class::ELF32,
        };
        let file = kernel::elf::File::parse(bytes, class, 1 << 32)?;
        let entry = file.entry(0);
        let segments: Vec<Segment> = file.segments.into_iter().map(|(_, segment)| segment).collect();
        let mut places: Vec<_> = segments.iter().map(|s| (s.address, s.address + s.size)).collect();
        places.sort_unstable();
        let overlap = places
            .iter()
            .zip(places.iter().skip(1))
            .find(|(first, second)| first.1 > second.0);
        match overlap {
            Some((_, second)) => Err(damaged("ELF file", format!("two segments are at {:#x}", second.0))),
            None => Ok(Program {
                segments,
                entry,
                pvh: note(bytes),
            }),
        }
    }
}

/// PVH's entry point (Xen, docs/misc/pvh.pandoc; public/elfnote.h: `XEN_ELFNOTE_PHYS32_ENTRY`).
fn note(bytes: &[u8]) -> Option<u32> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).ok()?;
    let headers = file.segments()?;
    let notes = headers.iter().filter(|header| header.p_type == PT_NOTE).take(NOTES);
    let mut found = notes.filter_map(|header| find(file.segment_data(&header).ok()?, header.p_align));
    found.next()
}

/// The same in a segment of notes: each has the lengths of name and contents, a type, and then these, each filled up to
/// a multiple of 4 bytes, or of 8 (System V ABI, note section).
fn find(mut notes: &[u8], align: u64) -> Option<u32> {
    const PHYS32_ENTRY: u32 = 18;
    let align = if align == 8 { 8 } else { 4 };
    loop {
        let (name_len, len, kind) = (word(notes, 0)? as usize, word(notes, 4)? as usize, word(notes, 8)?);
        let at = (12 + name_len).next_multiple_of(align);
        if kind == PHYS32_ENTRY && len >= 4 && notes.get(12..12 + name_len)? == b"Xen\0" {
            return word(notes, at);
        }
        notes = notes.get((at + len).next_multiple_of(align)..)?;
    }
}
