//! Kernels for 32-bit ARM: zImage, ELF (`vmlinux` and bare-metal programs), U-Boot's legacy uImage, and raw code.
//!
//! Sources: Linux, Documentation/arch/arm/booting.rst and arch/arm/boot/compressed/head.S (zImage's header);
//! System V ABI (ELF); U-Boot, include/image.h (uImage).

use std::io::Read;

use elf::ElfBytes;
use elf::abi::{ELFDATA2LSB, EM_ARM, ET_DYN, ET_EXEC, PT_INTERP, PT_LOAD};
use elf::endian::AnyEndian;
use flate2::Crc;
use flate2::read::GzDecoder;
use memchr::memmem;

use crate::identify::FileKind;

/// Where Linux's address space can start (`PAGE_OFFSET` of VMSPLIT_2G and above).
pub(crate) const KERNEL_SPACE: u32 = 0x8000_0000;
/// The bits of an address that choose it (0x80000000, 0xb0000000, 0xc0000000); the rest is the offset into RAM.
pub(crate) const SPLIT: u32 = 0xf000_0000;
/// The usual one (VMSPLIT_3G).
pub(crate) const USUAL_SPLIT: u32 = 0xc000_0000;

/// Largest kernel that is unpacked from a uImage, in bytes.
const MAX_UNPACKED: u64 = 1 << 30;

/// Why bytes are not a kernel that 32-bit ARM can start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another kind of file.
    #[error("not a 32-bit ARM kernel (zImage, ELF, uImage or raw code) but {}", describe(*.0))]
    Foreign(FileKind),
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
    },
}

/// What was given, and where that is known, what to do about it.
fn describe(kind: FileKind) -> String {
    match kind {
        FileKind::Cpio => format!("{kind}, as initrds are"),
        kind if kind.is_compression() => format!("{kind}; unpack it first"),
        kind => kind.to_string(),
    }
}

fn damaged(format: &'static str, reason: impl ToString) -> Error {
    Error::Damaged {
        format,
        reason: reason.to_string(),
    }
}

/// A kernel, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// A self-extracting kernel, which runs wherever it is put.
    ZImage(ZImage),
    /// A program with addresses of its own.
    Program(Program),
    /// Raw code, entered at its first byte.
    Raw(Vec<u8>),
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

/// A program with fixed addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What is loaded where, in the file's order; not empty.
    pub segments: Vec<Segment>,
    /// Address of the first instruction; bit 0 set means Thumb.
    pub entry: u32,
    /// What is known of it if it is a Linux kernel.
    pub linux: Option<LinuxKernel>,
}

/// A Linux kernel with addresses of its own: it is started by Linux's boot protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinuxKernel {
    /// The address space's split: where the kernel's part starts (`PAGE_OFFSET`).
    pub page_offset: u32,
}

/// A contiguous part of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical address.
    pub address: u32,
    /// What is there; the rest up to `size` is zero.
    pub bytes: Vec<u8>,
    /// Length in memory, in bytes.
    pub size: u32,
}

impl Kernel {
    /// Checks a file.
    ///
    /// # Errors
    ///
    /// One line saying what the file is instead, or what is wrong with it.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        match FileKind::of(&bytes) {
            FileKind::ArmZImage => ZImage::parse(bytes).map(Kernel::ZImage),
            FileKind::Elf { machine } if machine == EM_ARM => elf(&bytes).map(Kernel::Program),
            FileKind::UImage => uimage(&bytes),
            FileKind::Unknown if has_banner(&bytes) => Err(Error::LinuxImage),
            FileKind::Unknown => Ok(Kernel::Raw(bytes)),
            kind => Err(Error::Foreign(kind)),
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
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl ZImage {
    const NAME: &'static str = "zImage";
    /// Offsets of the header's words: start and end address, mark of the table's presence, the table's offset.
    const START: usize = 0x28;
    const END: usize = 0x2c;
    const TABLE_MARK: usize = 0x34;
    const TABLE: usize = 0x38;

    fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        let have = bytes.len() as u64;
        let header = |at| {
            word(&bytes, at).ok_or(Error::Truncated {
                format: Self::NAME,
                size: at as u64 + 4,
                have,
            })
        };
        let (start, end) = (header(Self::START)?, header(Self::END)?);
        let size = end.checked_sub(start).filter(|&size| size as usize > Self::END);
        let size = size.ok_or_else(|| damaged(Self::NAME, format!("its header says {start:#x} to {end:#x}")))?;
        if u64::from(size) > have {
            return Err(Error::Truncated {
                format: Self::NAME,
                size: size.into(),
                have,
            });
        }
        let unpacked = Self::unpacked(&bytes);
        Ok(Self { bytes, unpacked })
    }

    /// The tag "KLSZ" of the header's table: where the unpacked size stands, size of zeroed data, `TEXT_OFFSET`.
    fn unpacked(bytes: &[u8]) -> Option<Unpacked> {
        const PRESENT: u32 = 0x4545_4545;
        const KERNEL_SIZE: u32 = 0x5a53_4c4b;
        if word(bytes, Self::TABLE_MARK)? != PRESENT {
            return None;
        }
        let mut at = word(bytes, Self::TABLE)? as usize;
        loop {
            let (words, tag) = (word(bytes, at)? as usize, word(bytes, at.checked_add(4)?)?);
            if words < 2 {
                return None;
            }
            if tag == KERNEL_SIZE && words >= 5 {
                let size = word(bytes, word(bytes, at + 8)? as usize)?;
                let (zeroed, offset) = (word(bytes, at + 12)?, word(bytes, at + 16)?);
                return Some(Unpacked {
                    offset,
                    size: u64::from(size) + u64::from(zeroed),
                });
            }
            at = at.checked_add(words.checked_mul(4)?)?;
        }
    }
}

/// The loadable segments of an ELF file for 32-bit ARM, at their physical addresses.
fn elf(bytes: &[u8]) -> Result<Program, Error> {
    const NAME: &str = "ELF file";
    let unsuitable = |reason: &str| Error::Unsuitable {
        format: "an ELF file",
        reason: reason.to_owned(),
    };
    if bytes.get(5) != Some(&ELFDATA2LSB) {
        return Err(unsuitable("it is big-endian"));
    }
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(|e| damaged(NAME, e))?;
    if file.ehdr.class != elf::file::Class::ELF32 {
        return Err(damaged(NAME, "a 64-bit file for a 32-bit machine"));
    }
    let headers = file.segments().filter(|_| matches!(file.ehdr.e_type, ET_EXEC | ET_DYN));
    let headers = headers.ok_or_else(|| unsuitable("it is no linked program"))?;
    if headers.iter().any(|h| h.p_type == PT_INTERP) {
        return Err(unsuitable("it is a program for an operating system"));
    }
    let mut segments = Vec::new();
    let loaded = headers.iter().filter(|h| h.p_type == PT_LOAD && h.p_memsz != 0);
    for header in loaded {
        let end = header.p_offset.saturating_add(header.p_filesz);
        let data = bytes.get(header.p_offset as usize..end as usize);
        let data = data.ok_or(Error::Truncated {
            format: NAME,
            size: end,
            have: bytes.len() as u64,
        })?;
        if header.p_filesz > header.p_memsz || header.p_paddr.saturating_add(header.p_memsz) > 1 << 32 {
            return Err(damaged(
                NAME,
                format!("the segment at {:#x} has no sensible size", header.p_paddr),
            ));
        }
        let (address, size) = (header.p_paddr as u32, header.p_memsz as u32);
        segments.push((
            header.p_vaddr as u32,
            Segment {
                address,
                bytes: data.to_vec(),
                size,
            },
        ));
    }
    let entry = file.ehdr.e_entry as u32;
    let holds = |start: u32, s: &Segment| (entry & !1).checked_sub(start).is_some_and(|offset| offset < s.size);
    // The entry is a virtual address; with the MMU off its segment's physical address counts. Some give that at once.
    let home = segments.iter().find(|(virt, s)| holds(*virt, s));
    let entry = match home {
        Some((virt, segment)) => entry - virt + segment.address,
        None if segments.iter().any(|(_, s)| holds(s.address, s)) => entry,
        None => return Err(unsuitable("its entry point is outside of it")),
    };
    let lowest = segments.iter().map(|(virt, _)| *virt).min().unwrap_or(0);
    let is_linux = lowest >= KERNEL_SPACE && segments.iter().any(|(_, s)| has_banner(&s.bytes));
    Ok(Program {
        entry,
        segments: segments.into_iter().map(|(_, segment)| segment).collect(),
        linux: is_linux.then_some(LinuxKernel {
            page_offset: lowest & SPLIT,
        }),
    })
}

/// A legacy uImage: a header of 64 bytes in big-endian order, then the kernel, plain or compressed by gzip.
fn uimage(bytes: &[u8]) -> Result<Kernel, Error> {
    const NAME: &str = "uImage";
    const HEADER: usize = 64;
    const LINUX: u8 = 5;
    const ARM: u8 = 2;
    const KERNEL: u8 = 2;
    let have = bytes.len() as u64;
    let header = bytes.get(..HEADER).ok_or(Error::Truncated {
        format: NAME,
        size: HEADER as u64,
        have,
    })?;
    let chunk = |i: usize| header.get(4 * i..).and_then(|rest| rest.first_chunk().copied());
    let field = |i: usize| chunk(i).map_or(0, u32::from_be_bytes);
    let (header_crc, size, load, entry, data_crc) = (field(1), field(3), field(4), field(5), field(6));
    let [system, arch, kind, compression] = field(7).to_be_bytes();

    let mut unsigned = header.to_vec();
    unsigned.iter_mut().skip(4).take(4).for_each(|byte| *byte = 0);
    if crc32(&unsigned) != header_crc {
        return Err(damaged(NAME, "its header's checksum is wrong"));
    }
    let end = HEADER as u64 + u64::from(size);
    let data = bytes.get(HEADER..end as usize).ok_or(Error::Truncated {
        format: NAME,
        size: end,
        have,
    })?;
    if crc32(data) != data_crc {
        return Err(damaged(NAME, "its checksum is wrong"));
    }
    let unsuitable = |reason: String| Error::Unsuitable {
        format: "a uImage",
        reason,
    };
    if arch != ARM {
        return Err(unsuitable(format!("it is for another architecture (number {arch})")));
    }
    if kind != KERNEL {
        return Err(unsuitable(format!(
            "it is an image of type {kind}, not of type {KERNEL} (kernel)"
        )));
    }
    let data = match compression {
        0 => data.to_vec(),
        1 => unpack_gzip(data).map_err(|e| damaged(NAME, e))?,
        other => {
            return Err(unsuitable(format!(
                "compression {other}; none (0) and gzip (1) are understood"
            )));
        }
    };
    if FileKind::of(&data) == FileKind::ArmZImage {
        return ZImage::parse(data).map(Kernel::ZImage);
    }
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    if size == 0 || load.checked_add(size).is_none() || !(load..load + size).contains(&(entry & !1)) {
        return Err(damaged(
            NAME,
            format!("entry {entry:#x} is outside of what is loaded at {load:#x}"),
        ));
    }
    Ok(Kernel::Program(Program {
        segments: vec![Segment {
            address: load,
            bytes: data,
            size,
        }],
        entry,
        linux: (system == LINUX).then_some(LinuxKernel {
            page_offset: match load {
                KERNEL_SPACE.. => load & SPLIT,
                _ => USUAL_SPLIT,
            },
        }),
    }))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn unpack_gzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let read = GzDecoder::new(bytes)
        .take(MAX_UNPACKED + 1)
        .read_to_end(&mut unpacked)
        .map_err(|e| e.to_string())?;
    if read as u64 > MAX_UNPACKED {
        Err("it unpacks to more than 1 GiB".into())
    } else {
        Ok(unpacked)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Write;

    fn put(bytes: &mut [u8], at: usize, words: &[u32]) {
        for (i, word) in words.iter().enumerate() {
            bytes[at + i * 4..at + i * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
    }

    /// A zImage of `len` bytes whose kernel unpacks to `size` bytes at 0x8000.
    pub(crate) fn zimage(len: usize, size: u32) -> Vec<u8> {
        let mut bytes = vec![0; len];
        put(
            &mut bytes,
            0x24,
            &[0x016f_2818, 0, len as u32, 0x0403_0201, 0x4545_4545, 0x40],
        );
        put(&mut bytes, 0x40, &[6, 0x5a53_4c4b, 0x60, 0x100, 0x8000, 0x1_0000, 0]);
        put(&mut bytes, 0x60, &[size]);
        bytes
    }

    /// An ELF file for `machine` with one segment of four bytes (eight in memory) at `physical`.
    fn elf_file(machine: u32, physical: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x58];
        bytes[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
        put(
            &mut bytes,
            16,
            &[2 | machine << 16, 1, 0xc000_8001, 0x34, 0, 0, 0x34 | 0x20 << 16, 1],
        );
        put(&mut bytes, 0x34, &[1, 0x54, 0xc000_8000, physical, 4, 8, 7, 4]);
        bytes
    }

    fn uimage_file(data: &[u8], arch: u8, compression: u8) -> Vec<u8> {
        let mut header = [0; 64];
        let fields = [
            (0, 0x2705_1956),
            (3, data.len() as u32),
            (4, 0x4000_8000),
            (5, 0x4000_8000),
            (6, crc32(data)),
        ];
        for (i, field) in fields {
            header[i * 4..i * 4 + 4].copy_from_slice(&u32::to_be_bytes(field));
        }
        header[28..32].copy_from_slice(&[5, arch, 2, compression]);
        let crc = crc32(&header);
        header[4..8].copy_from_slice(&crc.to_be_bytes());
        [header.as_slice(), data].concat()
    }

    #[test]
    fn a_zimage_tells_its_unpacked_size() {
        let Ok(Kernel::ZImage(kernel)) = Kernel::parse(zimage(0x80, 0x1234)) else {
            panic!("no zImage")
        };

        assert_eq!(
            kernel.unpacked,
            Some(Unpacked {
                offset: 0x8000,
                size: 0x1334
            })
        );
    }

    #[test]
    fn a_zimage_without_the_table() {
        let mut bytes = zimage(0x80, 0);
        put(&mut bytes, 0x34, &[0]);

        let Ok(Kernel::ZImage(kernel)) = Kernel::parse(bytes) else {
            panic!("no zImage")
        };

        assert_eq!(kernel.unpacked, None);
    }

    #[test]
    fn a_zimage_whose_table_leads_nowhere() {
        for (at, value) in [
            (0x38, 0xffff_fffc),
            (0x38, 0x7e),
            (0x40, 0),
            (0x44, 0),
            (0x48, u32::MAX),
        ] {
            let mut bytes = zimage(0x80, 0);
            put(&mut bytes, at, &[value]);

            let Ok(Kernel::ZImage(kernel)) = Kernel::parse(bytes) else {
                panic!("no zImage")
            };

            assert_eq!(kernel.unpacked, None, "{value:#x} at {at:#x}");
        }
    }

    #[test]
    fn a_zimage_cut_short() {
        let bytes = zimage(0x80, 0);

        for len in 0x28..0x80 {
            let error = Kernel::parse(bytes[..len].to_vec()).unwrap_err();
            assert!(
                matches!(error, Error::Truncated { have, .. } if have == len as u64),
                "{len}: {error}"
            );
        }
        assert_eq!(
            Kernel::parse(bytes[..0x7f].to_vec()).unwrap_err().to_string(),
            "truncated zImage: 127 bytes of 128"
        );
    }

    #[test]
    fn a_zimage_that_ends_before_it_starts() {
        let mut bytes = zimage(0x80, 0);
        put(&mut bytes, 0x28, &[0x100]);

        assert!(matches!(Kernel::parse(bytes), Err(Error::Damaged { .. })));
    }

    #[test]
    fn elf_segments_and_entry_are_physical() {
        let Ok(Kernel::Program(program)) = Kernel::parse(elf_file(40, 0x4000_8000)) else {
            panic!("no program")
        };

        assert_eq!(program.entry, 0x4000_8001);
        assert_eq!(
            program.segments,
            [Segment {
                address: 0x4000_8000,
                bytes: vec![0; 4],
                size: 8
            }]
        );
    }

    #[test]
    fn elf_files_that_are_no_kernel() {
        let bytes = elf_file(40, 0x4000_8000);
        let with = |at, value: u32| {
            let mut bytes = bytes.clone();
            put(&mut bytes, at, &[value]);
            Kernel::parse(bytes).unwrap_err().to_string()
        };

        let x86 = Kernel::parse(elf_file(62, 0)).unwrap_err().to_string();
        assert_eq!(
            x86,
            "not a 32-bit ARM kernel (zImage, ELF, uImage or raw code) but an ELF file for x86-64"
        );
        assert_eq!(
            with(16, 1 | 40 << 16),
            "an ELF file that holds no kernel to start: it is no linked program"
        );
        assert_eq!(
            with(24, 0),
            "an ELF file that holds no kernel to start: its entry point is outside of it"
        );
        assert_eq!(
            with(0x44, 0x100),
            "truncated ELF file: 340 bytes of 88".replace("340 bytes of 88", "88 bytes of 340")
        );
        assert_eq!(
            with(0x48, 2),
            "damaged ELF file: the segment at 0x40008000 has no sensible size"
        );
    }

    #[test]
    fn any_byte_of_an_elf_header_damaged_has_an_answer() {
        let bytes = elf_file(40, 0x4000_8000);

        for at in 0..bytes.len() {
            for value in [0, 1, 3, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if let Ok(Kernel::Program(program)) = Kernel::parse(damaged) {
                    assert!(!program.segments.is_empty());
                }
            }
        }
        let is_taken = |len: usize| Kernel::parse(bytes[..len].to_vec()).is_ok();
        assert!(!is_taken(0));
        // Without its mark it is raw code, for all one can tell.
        for len in 4..bytes.len() {
            assert!(!is_taken(len), "{len} bytes were taken");
        }
    }

    #[test]
    fn uimages_plain_and_packed() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"code").unwrap();
        let packed = gzip.finish().unwrap();

        let expected = Program {
            segments: vec![Segment {
                address: 0x4000_8000,
                bytes: b"code".to_vec(),
                size: 4,
            }],
            entry: 0x4000_8000,
            linux: Some(LinuxKernel {
                page_offset: 0xc000_0000,
            }),
        };
        assert_eq!(
            Kernel::parse(uimage_file(b"code", 2, 0)),
            Ok(Kernel::Program(expected.clone()))
        );
        assert_eq!(Kernel::parse(uimage_file(&packed, 2, 1)), Ok(Kernel::Program(expected)));
        assert!(matches!(
            Kernel::parse(uimage_file(&zimage(0x80, 0), 2, 0)),
            Ok(Kernel::ZImage(_))
        ));
    }

    #[test]
    fn uimages_damaged_cut_and_foreign() {
        let bytes = uimage_file(b"code", 2, 0);

        // Without its mark it is raw code, for all one can tell.
        for at in 4..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Kernel::parse(damaged).is_err(), "damage at {at} went unseen");
            assert!(Kernel::parse(bytes[..at].to_vec()).is_err(), "{at} bytes were taken");
        }
        assert!(matches!(
            Kernel::parse(uimage_file(b"code", 22, 0)),
            Err(Error::Unsuitable { .. })
        ));
        assert!(matches!(
            Kernel::parse(uimage_file(b"code", 2, 2)),
            Err(Error::Unsuitable { .. })
        ));
    }

    #[test]
    fn other_files_are_named() {
        let error = |bytes: &[u8]| Kernel::parse(bytes.to_vec()).unwrap_err().to_string();
        let but = |what: &str| format!("not a 32-bit ARM kernel (zImage, ELF, uImage or raw code) but {what}");

        assert_eq!(error(b""), but("an empty file"));
        assert_eq!(error(b"hello\n"), but("a text file"));
        assert_eq!(error(b"\x1f\x8b\x08"), but("a gzip-compressed file; unpack it first"));
    }

    #[test]
    fn what_bears_no_mark_is_raw_code() {
        assert_eq!(Kernel::parse(vec![0; 64]), Ok(Kernel::Raw(vec![0; 64])));
    }

    #[test]
    fn an_uncompressed_linux_is_no_raw_code() {
        let with = |text: &[u8]| Kernel::parse([&[0; 64], text].concat());

        assert_eq!(with(b"Linux version 6.1.0"), Err(Error::LinuxImage));
        assert!(with(b"Linux version is unknown").is_ok());
        assert!(with(b"Linux version ").is_ok());
    }

    #[test]
    fn an_elf_file_is_linux_by_its_addresses_and_its_banner() {
        let linux = |virt: u32, text: &[u8]| {
            let mut bytes = elf_file(40, 0x4000_8000);
            put(&mut bytes, 24, &[virt]);
            put(&mut bytes, 0x38, &[0x54, virt, 0x4000_8000, 0x20, 0x20]);
            bytes.resize(0x54 + 0x20, 0);
            bytes[0x54..0x54 + text.len()].copy_from_slice(text);
            match Kernel::parse(bytes).unwrap() {
                Kernel::Program(program) => program.linux.map(|l| l.page_offset),
                other => panic!("{other:?}"),
            }
        };

        assert_eq!(linux(0xc000_8000, b"Linux version 6.1"), Some(0xc000_0000));
        assert_eq!(linux(0x8000_8000, b"Linux version 6.1"), Some(0x8000_0000));
        assert_eq!(linux(0xc000_8000, b"another system"), None);
        assert_eq!(linux(0x4000_8000, b"Linux version 6.1"), None);
    }

    #[test]
    fn an_entry_may_be_physical() {
        let mut bytes = elf_file(40, 0x4000_8000);
        put(&mut bytes, 24, &[0x4000_8002]);

        let Ok(Kernel::Program(program)) = Kernel::parse(bytes) else {
            panic!("no program")
        };

        assert_eq!(program.entry, 0x4000_8002);
    }
}
