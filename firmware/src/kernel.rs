//! Kernels and programs for ARM: zImage (32-bit), Image and EFI zboot (64-bit), ELF (`vmlinux` and bare-metal programs),
//! U-Boot's legacy uImage, and raw code.
//!
//! Sources: Linux, Documentation/arch/arm/booting.rst and arch/arm/boot/compressed/head.S (zImage's header),
//! Documentation/arch/arm64/booting.rst (Image's), drivers/firmware/efi/libstub/zboot-header.S; System V ABI (ELF); U-Boot,
//! include/image.h (uImage).

pub(crate) mod elf;
mod image;
#[cfg(test)]
pub(crate) mod tests;
mod uimage;
pub(crate) mod unpack;
mod zimage;

use memchr::memmem;

use crate::identify::{Arm, FileKind, Isa};

/// Where Linux's address space can start on 32-bit ARM (`PAGE_OFFSET` of VMSPLIT_2G and above).
pub(crate) const KERNEL_SPACE: u64 = 0x8000_0000;
/// The bits of an address that choose it (0x80000000, 0xb0000000, 0xc0000000); the rest is the offset into RAM.
pub(crate) const SPLIT: u64 = 0xf000_0000;
/// The usual one (VMSPLIT_3G).
pub(crate) const USUAL_SPLIT: u64 = 0xc000_0000;

/// Why bytes are not a kernel that the machine can start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another kind of file.
    #[error("not {} but {}", wanted(*.isa), describe(*.kind, *.fits))]
    Foreign {
        /// What it is.
        kind: FileKind,
        /// What it should be for.
        isa: Isa,
        /// What it is a kernel for, if it is one.
        fits: Option<Isa>,
    },
    /// Raw code, but Linux's, which does not run where raw code does.
    #[error("an uncompressed Linux kernel (Image), which does not say where it runs; take the zImage or the vmlinux")]
    LinuxImage,
    /// The file is shorter than its header says.
    #[error("truncated {format}: {have} bytes of {size}")]
    Truncated {
        /// The format's name.
        format: &'static str,
        /// Bytes that the header promises.
        size: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// The file contradicts itself.
    #[error("damaged {format}: {reason}")]
    Damaged {
        /// The format's name.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The right format, holding something that cannot be started.
    #[error("{format} that holds no kernel to start: {reason}")]
    Unsuitable {
        /// The format's name, with its article.
        format: &'static str,
        /// What it holds.
        reason: String,
        /// What it is a kernel for, if it is one.
        fits: Option<Isa>,
    },
}

impl Error {
    /// Which other machine's kernel it is.
    pub fn fits(&self) -> Option<Isa> {
        match *self {
            Error::Foreign { fits, .. } | Error::Unsuitable { fits, .. } => fits,
            _ => None,
        }
    }

    pub(crate) fn foreign(kind: FileKind, isa: impl Into<Isa>) -> Error {
        let isa = isa.into();
        let fits = kind.isa().filter(|&other| other != isa);
        Error::Foreign { kind, isa, fits }
    }
}

/// What a machine starts.
fn wanted(isa: Isa) -> &'static str {
    match isa {
        Isa::Arm => "a 32-bit ARM kernel (zImage, ELF, uImage or raw code)",
        Isa::Aarch64 => "an AArch64 kernel (Image, also packed by gzip or zstd, ELF, uImage or raw code)",
        Isa::I386 => "an x86 kernel (bzImage, multiboot or ELF with a PVH note)",
        Isa::X86_64 => "an x86-64 or x86 kernel (bzImage, multiboot or ELF with a PVH note)",
    }
}

/// What was given, and where that is known, what to do about it.
fn describe(kind: FileKind, fits: Option<Isa>) -> String {
    match kind {
        _ if fits.is_some() => kind.to_string(),
        FileKind::Cpio => format!("{kind}, as initrds are"),
        kind if kind.is_compression() => format!("{kind}; unpack it first"),
        kind => kind.to_string(),
    }
}

pub(crate) fn damaged(format: &'static str, reason: impl ToString) -> Error {
    Error::Damaged {
        format,
        reason: reason.to_string(),
    }
}

/// A kernel, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// A self-extracting kernel for 32-bit ARM, which runs wherever it is put.
    ZImage(ZImage),
    /// A Linux kernel for AArch64, as it lies in memory.
    Image(Image),
    /// A program with addresses of its own.
    Program(Program),
    /// Raw code, entered at its first byte.
    Raw(Arm, Vec<u8>),
}

/// A zImage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZImage {
    /// The file.
    pub bytes: Vec<u8>,
    /// What the kernel becomes, where the file says so (Linux 4.15 and later).
    pub unpacked: Option<Unpacked>,
}

/// Where a zImage's kernel runs, relative to the start of RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Offset of its first byte from the start of RAM (`TEXT_OFFSET`).
    pub offset: u32,
    /// Code, data and zeroed data, in bytes.
    pub size: u64,
}

/// A Linux kernel for AArch64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What is loaded; it is entered at its first byte.
    pub bytes: Vec<u8>,
    /// Its offset from a multiple of 2 MiB, below 2 MiB.
    pub text_offset: u64,
    /// Bytes that it takes from its start on, not less than it has.
    pub size: u64,
    /// The multiple of 2 MiB may be anywhere; else it should be the start of RAM.
    pub anywhere: bool,
}

/// A program with fixed addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What it is for.
    pub isa: Arm,
    /// What is loaded where, in the file's order; not empty.
    pub segments: Vec<Segment>,
    /// Address of the first instruction; on 32-bit ARM, bit 0 set means Thumb.
    pub entry: u64,
    /// What is known of it if it is a Linux kernel for 32-bit ARM.
    pub linux: Option<LinuxKernel>,
}

/// A Linux kernel for 32-bit ARM with addresses of its own: it is started by Linux's boot protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinuxKernel {
    /// The address space's split: where the kernel's part starts (`PAGE_OFFSET`).
    pub page_offset: u64,
}

/// A contiguous part of a program. It ends within the address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical address.
    pub address: u64,
    /// What is there; the rest up to `size` is zero.
    pub bytes: Vec<u8>,
    /// Length in memory, in bytes.
    pub size: u64,
}

impl Kernel {
    /// Checks a file for a machine.
    ///
    /// # Errors
    ///
    /// One line saying what the file is instead, or what is wrong with it.
    pub fn parse(isa: Arm, bytes: Vec<u8>) -> Result<Self, Error> {
        match isa {
            Arm::A32 => Self::parse_arm(bytes),
            Arm::A64 => Self::parse_aarch64(bytes),
        }
    }

    fn parse_arm(bytes: Vec<u8>) -> Result<Self, Error> {
        let isa = Arm::A32;
        match FileKind::of(&bytes) {
            FileKind::ArmZImage => ZImage::parse(bytes).map(Kernel::ZImage),
            kind @ FileKind::Elf { .. } if kind.isa() == Some(isa.into()) => elf::arm(&bytes).map(Kernel::Program),
            FileKind::UImage => uimage::parse(isa, &bytes),
            FileKind::Unknown if has_banner(&bytes) => Err(Error::LinuxImage),
            FileKind::Unknown => Ok(Kernel::Raw(isa, bytes)),
            FileKind::EfiZboot => Err(Error::Foreign {
                kind: FileKind::EfiZboot,
                isa: isa.into(),
                fits: image::zboot(&bytes).is_ok().then_some(Isa::Aarch64),
            }),
            kind if unpack::can(kind) => Err(Error::Foreign {
                kind,
                isa: isa.into(),
                fits: unpack::kind_inside(&bytes).isa().filter(|&other| other != isa.into()),
            }),
            kind => Err(Error::foreign(kind, isa)),
        }
    }

    fn parse_aarch64(bytes: Vec<u8>) -> Result<Self, Error> {
        let isa = Arm::A64;
        match FileKind::of(&bytes) {
            FileKind::EfiZboot => Self::unpacked(image::zboot(&bytes)?),
            kind if unpack::can(kind) => Self::unpacked(unpack::whole(&bytes)?),
            FileKind::Unknown => Ok(Kernel::Raw(isa, bytes)),
            kind => Self::plain(kind, bytes),
        }
    }

    /// What was packed: no raw code, and not packed again.
    fn unpacked(bytes: Vec<u8>) -> Result<Self, Error> {
        let kind = FileKind::of(&bytes);
        Self::plain(kind, bytes)
    }

    /// What bears a mark and is not packed, for AArch64.
    fn plain(kind: FileKind, bytes: Vec<u8>) -> Result<Self, Error> {
        let isa = Arm::A64;
        match kind {
            FileKind::Aarch64Image => Image::parse(bytes).map(Kernel::Image),
            FileKind::Elf { .. } if kind.isa() == Some(isa.into()) => elf::aarch64(&bytes),
            FileKind::UImage => uimage::parse(isa, &bytes),
            kind => Err(Error::foreign(kind, isa)),
        }
    }
}

/// Whether Linux's `linux_banner` is in there.
fn has_banner(bytes: &[u8]) -> bool {
    const BANNER: &[u8] = b"Linux version ";
    let mut found = memmem::find_iter(bytes, BANNER);
    found.any(|at| bytes.get(at + BANNER.len()).is_some_and(u8::is_ascii_digit))
}

/// The little-endian word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The little-endian doubleword at `at`.
fn doubleword(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
