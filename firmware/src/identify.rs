//! What kind of file some bytes are, so that a refusal can say what was given instead of what was wanted.

use std::fmt;

use elf::abi::{EM_386, EM_AARCH64, EM_ARM, EM_X86_64};
use memchr::memmem;

/// A kind of file that turns up where a kernel, an initrd, a device tree or firmware is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each is its documentation")]
pub enum FileKind {
    Empty,
    ArmZImage,
    ArmZImageBigEndian,
    X86Kernel { wide: bool },
    Multiboot,
    Multiboot2,
    Aarch64Image,
    RiscvImage,
    Elf { machine: u16 },
    UImage,
    DeviceTree,
    Cpio,
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Lz4,
    Lzo,
    Zstd,
    DebianPackage,
    Archive,
    Zip,
    Iso9660,
    Squashfs,
    Qcow2,
    EfiZboot,
    EfiProgram,
    Text,
    Unknown,
}

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// 32-bit ARM.
    Arm,
    /// AArch64.
    Aarch64,
    /// 32-bit x86.
    I386,
    /// x86-64, which runs kernels for x86 too.
    X86_64,
}

/// Which of ARM's instruction sets a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// 32-bit ARM.
    A32,
    /// AArch64.
    A64,
}

impl From<Arm> for Isa {
    fn from(arm: Arm) -> Isa {
        match arm {
            Arm::A32 => Isa::Arm,
            Arm::A64 => Isa::Aarch64,
        }
    }
}

impl FileKind {
    /// What a file of this kind is a kernel or a program for, as far as its mark says so.
    pub fn isa(self) -> Option<Isa> {
        match self {
            Self::ArmZImage | Self::Elf { machine: EM_ARM } => Some(Isa::Arm),
            Self::Aarch64Image | Self::Elf { machine: EM_AARCH64 } => Some(Isa::Aarch64),
            Self::X86Kernel { wide: true } | Self::Elf { machine: EM_X86_64 } => Some(Isa::X86_64),
            Self::X86Kernel { wide: false } | Self::Multiboot | Self::Multiboot2 | Self::Elf { machine: EM_386 } => {
                Some(Isa::I386)
            }
            _ => None,
        }
    }

    /// Says what `bytes` are by the marks that the formats carry.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Empty;
        }
        let known = MARKS.iter().find(|mark| has(bytes, mark.offset, mark.magic));
        match known.map(|mark| mark.kind) {
            Some(Self::Elf { .. }) => Self::elf(bytes),
            Some(Self::X86Kernel { .. }) => Self::X86Kernel { wide: is_wide(bytes) },
            Some(kind) => kind,
            None if multiboot2(bytes).is_some() => Self::Multiboot2,
            None if multiboot(bytes).is_some() => Self::Multiboot,
            None if is_text(bytes) => Self::Text,
            None => Self::Unknown,
        }
    }

    /// What an ELF file is, by its header alone.
    pub fn elf(bytes: &[u8]) -> Self {
        Self::Elf {
            machine: elf_machine(bytes),
        }
    }

    /// Whether Linux unpacks an initial RAM file system that is compressed like this.
    pub fn is_compression(self) -> bool {
        matches!(
            self,
            Self::Gzip | Self::Bzip2 | Self::Xz | Self::Lzma | Self::Lz4 | Self::Lzo | Self::Zstd
        )
    }
}

struct Mark {
    offset: usize,
    magic: &'static [u8],
    kind: FileKind,
}

const fn mark(offset: usize, magic: &'static [u8], kind: FileKind) -> Mark {
    Mark { offset, magic, kind }
}

/// The marks; the first that is there wins. A kernel that is an EFI program too is a kernel first.
const MARKS: &[Mark] = &[
    mark(0x24, &0x016f_2818_u32.to_le_bytes(), FileKind::ArmZImage),
    mark(0x24, &0x016f_2818_u32.to_be_bytes(), FileKind::ArmZImageBigEndian),
    mark(0x202, b"HdrS", FileKind::X86Kernel { wide: false }),
    mark(56, b"ARM\x64", FileKind::Aarch64Image),
    mark(56, b"RSC\x05", FileKind::RiscvImage),
    mark(0, b"\x7fELF", FileKind::Elf { machine: 0 }),
    mark(0, &0x2705_1956_u32.to_be_bytes(), FileKind::UImage),
    mark(0, &0xd00d_feed_u32.to_be_bytes(), FileKind::DeviceTree),
    mark(0, b"070701", FileKind::Cpio),
    mark(0, b"070702", FileKind::Cpio),
    mark(0, b"\x1f\x8b", FileKind::Gzip),
    mark(0, b"BZh", FileKind::Bzip2),
    mark(0, b"\xfd7zXZ\0", FileKind::Xz),
    mark(0, b"\x5d\0\0", FileKind::Lzma),
    mark(0, b"\x02\x21\x4c\x18", FileKind::Lz4),
    mark(0, b"\x89LZO\0", FileKind::Lzo),
    mark(0, b"\x28\xb5\x2f\xfd", FileKind::Zstd),
    mark(0, b"!<arch>\ndebian-binary", FileKind::DebianPackage),
    mark(0, b"!<arch>\n", FileKind::Archive),
    mark(0, b"PK\x03\x04", FileKind::Zip),
    mark(0x8001, b"CD001", FileKind::Iso9660),
    mark(0, b"hsqs", FileKind::Squashfs),
    mark(0, b"QFI\xfb", FileKind::Qcow2),
    mark(0, b"MZ\0\0zimg", FileKind::EfiZboot),
    mark(0, b"MZ", FileKind::EfiProgram),
];

fn has(bytes: &[u8], offset: usize, magic: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))
}

/// `e_machine`, in the file's byte order (System V ABI, ELF header).
fn elf_machine(bytes: &[u8]) -> u16 {
    let machine = bytes.get(18..).and_then(|rest| rest.first_chunk().copied());
    let machine = machine.unwrap_or([0, 0]);
    if bytes.get(5) == Some(&2) {
        u16::from_be_bytes(machine)
    } else {
        u16::from_le_bytes(machine)
    }
}

/// Whether an x86 kernel's setup header says that it is for x86-64 (boot.rst, `XLF_KERNEL_64` of version 2.12 on).
fn is_wide(bytes: &[u8]) -> bool {
    let field = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    field(0x206).is_some_and(|version| version >= 0x20c) && field(0x236).is_some_and(|flags| flags & 1 != 0)
}

/// Where the multiboot header is: in the first 8 KiB, at a multiple of 4, its first three words zero when added up
/// (Multiboot 0.6.96, 3.1).
pub(crate) fn multiboot(bytes: &[u8]) -> Option<usize> {
    header(bytes, 0x1bad_b002, 8 << 10, 4, 3)
}

/// Where the multiboot 2 header is: in the first 32 KiB, at a multiple of 8, its first four words zero when added up
/// (Multiboot2 2.0, 3.1).
pub(crate) fn multiboot2(bytes: &[u8]) -> Option<usize> {
    header(bytes, 0xe852_50d6, 32 << 10, 8, 4)
}

/// The first multiple of `align` below `within` from which on `words` words are, the first `magic`, that add up to zero.
fn header(bytes: &[u8], magic: u32, within: usize, align: usize, words: usize) -> Option<usize> {
    let head = bytes.get(..within).unwrap_or(bytes);
    let sums_up = |&at: &usize| {
        let words = head.get(at..at + 4 * words).unwrap_or_default().chunks_exact(4);
        let words = words.map(|word| word.first_chunk().copied().map_or(0, u32::from_le_bytes));
        words.reduce(u32::wrapping_add) == Some(0)
    };
    let mark = magic.to_le_bytes();
    let mut found = memmem::find_iter(head, &mark).filter(|at| at % align == 0);
    found.find(sums_up)
}

/// Whether the file starts like text: UTF-8 without control codes, but for those that texts have.
fn is_text(bytes: &[u8]) -> bool {
    let head = bytes.get(..512).unwrap_or(bytes);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character cut at the end of the sample is no reason to doubt.
        Err(e) if e.error_len().is_none() => {
            let valid = head.get(..e.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b'))
}

impl fmt::Display for FileKind {
    /// A noun phrase: "an x86 Linux kernel (bzImage)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty file",
            Self::ArmZImage => "an ARM Linux kernel (zImage)",
            Self::ArmZImageBigEndian => "a big-endian ARM Linux kernel (zImage)",
            Self::X86Kernel { wide: false } => "an x86 Linux kernel (bzImage)",
            Self::X86Kernel { wide: true } => "an x86-64 Linux kernel (bzImage)",
            Self::Multiboot => "a multiboot kernel for x86",
            Self::Multiboot2 => "a multiboot 2 kernel for x86",
            Self::Aarch64Image => "an AArch64 Linux kernel (Image)",
            Self::RiscvImage => "a RISC-V Linux kernel (Image)",
            Self::Elf { machine } => return write!(f, "an ELF file for {}", machine_name(*machine)),
            Self::UImage => "a U-Boot image (uImage)",
            Self::DeviceTree => "a device tree blob or FIT image",
            Self::Cpio => "a cpio archive",
            Self::Gzip => "a gzip-compressed file",
            Self::Bzip2 => "a bzip2-compressed file",
            Self::Xz => "an xz-compressed file",
            Self::Lzma => "an lzma-compressed file",
            Self::Lz4 => "an lz4-compressed file",
            Self::Lzo => "an lzo-compressed file",
            Self::Zstd => "a zstd-compressed file",
            Self::DebianPackage => "a Debian package",
            Self::Archive => "an ar archive",
            Self::Zip => "a zip archive",
            Self::Iso9660 => "an ISO 9660 image",
            Self::Squashfs => "a squashfs file system",
            Self::Qcow2 => "a qcow2 disk image",
            Self::EfiZboot => "a Linux kernel packed in an EFI program (zboot)",
            Self::EfiProgram => "a DOS, Windows or EFI program",
            Self::Text => "a text file",
            Self::Unknown => "a file of unknown format",
        })
    }
}

/// Names of the ELF machines that one meets (System V ABI, `e_machine`).
fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "x86",
        8 => "MIPS",
        20 => "PowerPC",
        21 => "64-bit PowerPC",
        22 => "S/390",
        40 => "32-bit ARM",
        62 => "x86-64",
        183 => "AArch64",
        243 => "RISC-V",
        258 => "LoongArch",
        _ => return format!("machine {machine}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: usize, magic: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[offset..offset + magic.len()].copy_from_slice(magic);
        bytes
    }

    #[test]
    fn kernels_are_known_by_their_marks() {
        assert_eq!(FileKind::of(&at(0x24, &[0x18, 0x28, 0x6f, 0x01])), FileKind::ArmZImage);
        assert_eq!(FileKind::of(&at(0x202, b"HdrS")), FileKind::X86Kernel { wide: false });
        assert_eq!(FileKind::of(&at(56, b"ARM\x64")), FileKind::Aarch64Image);
    }

    #[test]
    fn a_kernel_that_is_an_efi_program_is_a_kernel() {
        let mut bytes = at(0x202, b"HdrS");
        bytes[..2].copy_from_slice(b"MZ");

        assert_eq!(FileKind::of(&bytes), FileKind::X86Kernel { wide: false });
        assert_eq!(FileKind::of(&at(0, b"MZ")), FileKind::EfiProgram);
    }

    #[test]
    fn what_a_file_is_for() {
        let elf = |machine| FileKind::Elf { machine }.isa();
        let mut bytes = at(0x202, b"HdrS\x0c\x02");
        assert_eq!(FileKind::of(&bytes).isa(), Some(Isa::I386));
        bytes[0x236] = 1;
        assert_eq!(FileKind::of(&bytes).isa(), Some(Isa::X86_64));
        bytes[0x206] = 0xb;
        assert_eq!(FileKind::of(&bytes).isa(), Some(Isa::I386), "no such flag in 2.11");

        assert_eq!([elf(3), elf(62), elf(8)], [Some(Isa::I386), Some(Isa::X86_64), None]);
    }

    #[test]
    fn multiboot_headers_are_found_where_they_may_be() {
        let of = |at: usize, words: &[u32]| {
            let mut bytes = vec![0; 0x9000];
            let header: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes[at..at + header.len()].copy_from_slice(&header);
            FileKind::of(&bytes)
        };
        let one = [0x1bad_b002, 3, 0_u32.wrapping_sub(0x1bad_b002 + 3)];
        let two = [0xe852_50d6, 0, 0x18, 0_u32.wrapping_sub(0xe852_50d6 + 0x18)];

        for (at, words, kind) in [
            (0, &one[..], FileKind::Multiboot),
            (0x1ff4, &one, FileKind::Multiboot),
            (0x1ff8, &one, FileKind::Unknown),
            (2, &one, FileKind::Unknown),
            (0, &[one[0], 4, one[2]], FileKind::Unknown),
            (0x7ff0, &two, FileKind::Multiboot2),
            (0x7ff8, &two, FileKind::Unknown),
            (4, &two, FileKind::Unknown),
        ] {
            assert_eq!(of(at, words), kind, "{words:x?} at {at:#x}");
        }
    }

    #[test]
    fn elf_machines_in_both_byte_orders() {
        let mut bytes = at(0, b"\x7fELF\x01\x01");
        bytes[18] = 40;
        assert_eq!(FileKind::of(&bytes).to_string(), "an ELF file for 32-bit ARM");

        bytes[5] = 2;
        bytes[18..20].copy_from_slice(&[0, 20]);
        assert_eq!(FileKind::of(&bytes).to_string(), "an ELF file for PowerPC");
    }

    #[test]
    fn texts_and_what_is_none() {
        assert_eq!(FileKind::of(b"#!/bin/sh\necho\n"), FileKind::Text);
        assert_eq!(FileKind::of("ä".repeat(300).as_bytes()), FileKind::Text);
        assert_eq!(
            FileKind::of(&[b"x".as_slice(), "ä".repeat(300).as_bytes()].concat()),
            FileKind::Text
        );
        assert_eq!(FileKind::of(b"abc\0def"), FileKind::Unknown);
        assert_eq!(FileKind::of(b"\xff\xfe"), FileKind::Unknown);
        assert_eq!(FileKind::of(b"\xc3"), FileKind::Unknown);
        assert_eq!(FileKind::of(b""), FileKind::Empty);
    }

    #[test]
    fn every_prefix_of_a_mark_has_an_answer() {
        for mark in MARKS {
            let bytes = at(mark.offset.min(0x200), mark.magic);
            for len in 0..bytes.len() {
                FileKind::of(&bytes[..len]);
            }
        }
    }
}
