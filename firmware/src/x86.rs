//! How kernels start on x86 without firmware: Linux's own boot protocol, PVH, multiboot 1 and 2; what they are told of the
//! board (E820h, ACPI, the MP table); and the CPU's state at entry, as plain data.
//!
//! A kernel's file is checked by [`Kernel::parse`] and placed by [`place`], in RAM that a [`Map`] describes. The tables
//! of [`acpi`] and [`mp`] are made from a description of the board and lie where it has them; [`place`] is told where.

pub mod acpi;
pub mod board;
mod elf;
pub mod entry;
pub mod layout;
pub mod linux;
pub mod memory;
pub mod mp;
pub mod multiboot;
pub mod multiboot2;
pub mod pvh;
pub mod restart;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use entry::Entry;
pub use layout::{Error, Part};
pub use memory::Map;

use crate::boot::Piece;
use crate::fdt::Region;
use crate::identify::{self, FileKind, Isa};
use crate::kernel::{self, unpack};
use layout::Placed;
use std::borrow::Cow;

/// A kernel, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Linux as it is installed.
    Linux(linux::BzImage),
    /// An ELF file with PVH's note: Linux's `vmlinux`, and others.
    Pvh(pvh::Pvh),
    /// A kernel with a multiboot header.
    Multiboot(multiboot::Multiboot),
    /// A kernel with a multiboot 2 header.
    Multiboot2(multiboot2::Multiboot2),
}

impl Kernel {
    /// Checks a file for a machine: [`Isa::I386`], or [`Isa::X86_64`], which takes the kernels of both.
    ///
    /// # Errors
    ///
    /// One line saying what the file is instead, or what is wrong with it.
    pub fn parse(isa: Isa, bytes: Vec<u8>) -> Result<Kernel, kernel::Error> {
        let kind = FileKind::of(&bytes);
        match unpack::can(kind) {
            true => {
                let unpacked = unpack::whole(&bytes)?;
                Self::plain(isa, FileKind::of(&unpacked), unpacked)
            }
            false => Self::plain(isa, kind, bytes),
        }
    }

    fn plain(isa: Isa, kind: FileKind, bytes: Vec<u8>) -> Result<Kernel, kernel::Error> {
        match (kind, kind.isa()) {
            (_, Some(Isa::X86_64)) if isa != Isa::X86_64 => Err(kernel::Error::foreign(kind, isa)),
            (FileKind::X86Kernel { .. }, _) => linux::BzImage::parse(bytes).map(Kernel::Linux),
            (FileKind::Elf { .. } | FileKind::Multiboot | FileKind::Multiboot2, Some(Isa::I386 | Isa::X86_64)) => {
                Self::program(&bytes)
            }
            _ => Err(kernel::Error::foreign(kind, isa)),
        }
    }

    /// What may have several headers: the newest counts.
    fn program(bytes: &[u8]) -> Result<Kernel, kernel::Error> {
        if let Some(at) = identify::multiboot2(bytes) {
            return multiboot2::Multiboot2::parse(bytes, at).map(Kernel::Multiboot2);
        }
        if let Some(at) = identify::multiboot(bytes) {
            return multiboot::Multiboot::parse(bytes, at).map(Kernel::Multiboot);
        }
        pvh::Pvh::of(elf::Program::parse(bytes)?).map(Kernel::Pvh)
    }
}

/// A file for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// Its contents.
    pub bytes: &'a [u8],
    /// What the kernel is told of it, where the protocol has room for that.
    pub command_line: &'a str,
}

/// What a kernel is given.
#[derive(Clone, Copy, Debug)]
pub struct Start<'s, 'a> {
    /// The board's memory.
    pub map: &'s Map,
    /// The kernel's command line; empty for none.
    pub command_line: &'s str,
    /// Files for it. The first is the initrd.
    pub modules: &'s [Module<'a>],
    /// ACPI's root pointer: where it is, and its bytes.
    pub rsdp: Option<(u64, [u8; 36])>,
    /// Random bytes, for Linux; at most 64 KiB.
    pub seed: Option<&'s [u8]>,
    /// A device tree, for Linux.
    pub device_tree: Option<&'s [u8]>,
}

/// What goes where, and how the CPU starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement<'a> {
    placed: Vec<Placed<'a>>,
    /// Place of each module.
    pub modules: Vec<Region>,
    /// The first CPU.
    pub entry: Entry,
}

impl Placement<'_> {
    /// What is where, each byte once; to be written again at each reset.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.placed.iter().map(Placed::piece)
    }
}

impl<'a> Placement<'a> {
    /// The same, without this: address, bytes, and length in memory, where what is past the bytes is zero.
    pub fn into_pieces(self) -> impl Iterator<Item = (u64, Cow<'a, [u8]>, u64)> {
        self.placed.into_iter().map(|it| (it.address, it.bytes, it.size))
    }
}

/// Places a kernel and all that it is given.
///
/// # Errors
///
/// When something does not fit.
pub fn place<'a>(kernel: &'a Kernel, start: &Start<'_, 'a>) -> Result<Placement<'a>, Error> {
    match kernel {
        Kernel::Linux(image) => linux::place(image, start),
        Kernel::Pvh(kernel) => pvh::place(kernel, start),
        Kernel::Multiboot(kernel) => multiboot::place(kernel, start),
        Kernel::Multiboot2(kernel) => multiboot2::place(kernel, start),
    }
}
