//! ELF files: programs with addresses of their own, Linux's `vmlinux` among them.

use elf::ElfBytes;
use elf::abi::{ELFDATA2LSB, ET_DYN, ET_EXEC, PT_INTERP, PT_LOAD};
use elf::endian::AnyEndian;
use elf::file::Class;

use super::{Error, Image, KERNEL_SPACE, Kernel, LinuxKernel, Program, SPLIT, Segment, damaged, has_banner};
use crate::identify::{Arm, FileKind};

const NAME: &str = "ELF file";
/// Most segments of a program, and how many bytes of the file may be in several.
const SEGMENTS: usize = 1024;
const SHARED: u64 = 1 << 20;
/// Most bytes that a kernel's segments span.
const MOST: u64 = 1 << 30;

fn unsuitable(reason: &str) -> Error {
    Error::Unsuitable {
        format: "an ELF file",
        reason: reason.to_owned(),
        fits: None,
    }
}

/// A program as its file has it.
pub(crate) struct File {
    /// Each loadable segment, with its virtual address.
    pub(crate) segments: Vec<(u64, Segment)>,
    /// The entry point: a virtual address, or a physical one.
    entry: u64,
}

impl File {
    /// Reads a file of this class, whose addresses are all below `limit`.
    pub(crate) fn parse(bytes: &[u8], class: Class, limit: u64) -> Result<File, Error> {
        if bytes.get(5) != Some(&ELFDATA2LSB) {
            return Err(unsuitable("it is big-endian"));
        }
        let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(|e| damaged(NAME, e))?;
        if file.ehdr.class != class {
            return Err(damaged(
                NAME,
                match class {
                    Class::ELF32 => "a 64-bit file for a 32-bit machine",
                    Class::ELF64 => "a 32-bit file for a 64-bit machine",
                },
            ));
        }
        let headers = file.segments().filter(|_| matches!(file.ehdr.e_type, ET_EXEC | ET_DYN));
        let headers = headers.ok_or_else(|| unsuitable("it is no linked program"))?;
        if headers.iter().any(|h| h.p_type == PT_INTERP) {
            return Err(unsuitable("it is a program for an operating system"));
        }
        let (mut segments, mut loaded) = (Vec::new(), 0_u64);
        for header in headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_memsz != 0) {
            let end = header.p_offset.saturating_add(header.p_filesz);
            let data = bytes.get(header.p_offset as usize..end as usize);
            let data = data.ok_or(Error::Truncated {
                format: NAME,
                size: end,
                have: bytes.len() as u64,
            })?;
            loaded += header.p_filesz;
            if segments.len() == SEGMENTS || loaded > 2 * bytes.len() as u64 + SHARED {
                return Err(damaged(
                    NAME,
                    "its segments are too many, or one part of the file over and over",
                ));
            }
            let (address, size) = (header.p_paddr, header.p_memsz);
            if header.p_filesz > size || address.checked_add(size).is_none_or(|end| end > limit) {
                return Err(damaged(
                    NAME,
                    format!("the segment at {address:#x} has no sensible size"),
                ));
            }
            let bytes = data.to_vec();
            segments.push((header.p_vaddr, Segment { address, bytes, size }));
        }
        Ok(File {
            segments,
            entry: file.ehdr.e_entry,
        })
    }

    /// The entry's physical address, if it is in a segment. Bits of `marks` are no part of its address.
    pub(crate) fn entry(&self, marks: u64) -> Option<u64> {
        let entry = self.entry;
        let holds = |start: u64, s: &Segment| (entry & !marks).checked_sub(start).is_some_and(|at| at < s.size);
        // The entry is a virtual address; with the MMU off its segment's physical address counts. Some give that at once.
        let home = self.segments.iter().find(|(virt, s)| holds(*virt, s));
        match home {
            Some((virt, segment)) => Some(entry - virt + segment.address),
            None => self.segments.iter().any(|(_, s)| holds(s.address, s)).then_some(entry),
        }
    }

    fn program(self, isa: Arm, marks: u64, linux: Option<LinuxKernel>) -> Result<Program, Error> {
        let entry = self
            .entry(marks)
            .ok_or_else(|| unsuitable("its entry point is outside of it"))?;
        Ok(Program {
            isa,
            entry,
            segments: self.segments.into_iter().map(|(_, segment)| segment).collect(),
            linux,
        })
    }
}

/// The loadable segments of a file for 32-bit ARM, at their physical addresses.
pub(super) fn arm(bytes: &[u8]) -> Result<Program, Error> {
    let file = File::parse(bytes, Class::ELF32, 1 << 32)?;
    let lowest = file.segments.iter().map(|(virt, _)| *virt).min().unwrap_or(0);
    let is_linux = lowest >= KERNEL_SPACE && file.segments.iter().any(|(_, s)| has_banner(&s.bytes));
    let linux = is_linux.then_some(LinuxKernel {
        page_offset: lowest & SPLIT,
    });
    // Bit 0 says that it is Thumb code.
    file.program(Arm::A32, 1, linux)
}

/// A file for AArch64: Linux's kernel, which is an Image with its symbols, or a program at its physical addresses.
pub(super) fn aarch64(bytes: &[u8]) -> Result<Kernel, Error> {
    let file = File::parse(bytes, Class::ELF64, u64::MAX)?;
    let first = file.segments.iter().min_by_key(|(virt, _)| *virt);
    let is_linux =
        first.is_some_and(|(virt, s)| *virt == file.entry && FileKind::of(&s.bytes) == FileKind::Aarch64Image);
    if is_linux {
        return linux(&file).map(Kernel::Image);
    }
    file.program(Arm::A64, 0, None).map(Kernel::Program)
}

/// The kernel as it lies in memory from its entry on.
fn linux(file: &File) -> Result<Image, Error> {
    let ends = file.segments.iter().map(|(virt, s)| virt.checked_add(s.size));
    let end = ends.max_by_key(|end| end.unwrap_or(u64::MAX)).flatten();
    let size = end.map(|end| end - file.entry).filter(|&size| size <= MOST);
    let size = size.ok_or_else(|| damaged(NAME, "the kernel's segments are far from each other"))?;
    let mut image = Vec::new();
    for (virt, segment) in &file.segments {
        let (start, len) = ((virt - file.entry) as usize, segment.bytes.len());
        image.resize(image.len().max(start + len), 0);
        let place = image.iter_mut().skip(start);
        place.zip(&segment.bytes).for_each(|(to, from)| *to = *from);
    }
    let mut image = Image::parse(image)?;
    image.size = image.size.max(size);
    Ok(image)
}
