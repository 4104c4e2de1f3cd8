//! The kernel's file: setup code with the header in it, then the kernel itself.

use crate::fdt::Region;
use crate::kernel::{self, damaged};

const NAME: &str = "bzImage";
/// Where the header starts, and where it ends at the latest (zero-page.rst: what follows is not the header's).
pub(super) const HEADER: usize = 0x1f1;
pub(super) const HEADER_END: usize = 0x290;
/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Offsets of the header's fields.
pub(super) mod at {
    pub const SETUP_SECTS: usize = 0x1f1;
    pub const SYSSIZE: usize = 0x1f4;
    pub const BOOT_FLAG: usize = 0x1fe;
    pub const JUMP: usize = 0x201;
    pub const VERSION: usize = 0x206;
    pub const TYPE_OF_LOADER: usize = 0x210;
    pub const LOADFLAGS: usize = 0x211;
    pub const CODE32_START: usize = 0x214;
    pub const RAMDISK_IMAGE: usize = 0x218;
    pub const RAMDISK_SIZE: usize = 0x21c;
    pub const HEAP_END_PTR: usize = 0x224;
    pub const CMD_LINE_PTR: usize = 0x228;
    pub const INITRD_ADDR_MAX: usize = 0x22c;
    pub const KERNEL_ALIGNMENT: usize = 0x230;
    pub const RELOCATABLE_KERNEL: usize = 0x234;
    pub const MIN_ALIGNMENT: usize = 0x235;
    pub const XLOADFLAGS: usize = 0x236;
    pub const CMDLINE_SIZE: usize = 0x238;
    pub const SETUP_DATA: usize = 0x250;
    pub const PREF_ADDRESS: usize = 0x258;
    pub const INIT_SIZE: usize = 0x260;
}

/// A kernel with its setup code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BzImage {
    bytes: Vec<u8>,
    /// Where the kernel itself is in the file.
    code: Region,
    /// Version of the protocol: 0x20f for 2.15.
    pub version: u16,
    /// Where it is loaded if it may not lie elsewhere.
    pub start: u64,
    /// How it may be moved, if it may.
    pub relocation: Option<Relocation>,
    /// Where it runs: at least there if it may be moved, else there.
    pub preferred: Option<u64>,
    /// Bytes that it takes from where it runs on, until it has read the memory map.
    init_size: u64,
    /// Last address that the initrd may have.
    pub initrd_max: u64,
    /// Longest command line in bytes, without its zero.
    pub command_line: u64,
    /// It has an entry in 64 bits.
    pub is_wide: bool,
    /// It, and what it is given, may lie above 4 GiB.
    may_be_high: bool,
}

/// How a kernel may be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Its address is to be a multiple of this.
    pub align: u64,
    /// It is one of this at least.
    pub least_align: u64,
}

impl BzImage {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// When the file is cut short or contradicts itself.
    pub fn parse(bytes: Vec<u8>) -> Result<BzImage, kernel::Error> {
        let have = bytes.len() as u64;
        let header = Header { bytes: &bytes };
        let setup = match header.byte(at::SETUP_SECTS)? {
            0 => 4,
            sectors => u64::from(sectors),
        };
        let start = (1 + setup) * SECTOR;
        if header.half(at::BOOT_FLAG)? != 0xaa55 {
            return Err(damaged(NAME, "its boot sector has no mark"));
        }
        let version = header.half(at::VERSION)?;
        if version < 0x200 {
            return Err(damaged(NAME, format!("its header is of version {version:#x}")));
        }
        // Before version 2.04 the field is too short for kernels that are loaded high.
        let size = match version {
            0x204.. => 16 * u64::from(header.word(at::SYSSIZE)?),
            _ => have.saturating_sub(start).max(1),
        };
        let end = start + size;
        // Its last bytes fill a paragraph up: they may be missing.
        if size == 0 {
            return Err(damaged(NAME, "its header says that it is nothing but setup code"));
        }
        if have <= start || have + 15 < end {
            let size = end.max(start + 1);
            return Err(kernel::Error::Truncated {
                format: NAME,
                size,
                have,
            });
        }
        let code = Region::new(start, end.min(have) - start);
        Self::checked(header, version, code).map(|image| BzImage { bytes, ..image })
    }

    /// The header's fields that the version has; the bytes are still missing.
    fn checked(header: Header<'_>, version: u16, code: Region) -> Result<BzImage, kernel::Error> {
        const LOADED_HIGH: u8 = 1 << 0;
        const KERNEL_64: u16 = 1 << 0;
        const CAN_BE_LOADED_ABOVE_4G: u16 = 1 << 1;
        let from = |first: u16| version >= first;
        let is_high = header.byte(at::LOADFLAGS)? & LOADED_HIGH != 0;
        let relocation = match from(0x205) && header.byte(at::RELOCATABLE_KERNEL)? != 0 {
            true => Some(header.relocation(version)?),
            false => None,
        };
        let xloadflags = if from(0x20c) { header.half(at::XLOADFLAGS)? } else { 0 };
        let is_wide = xloadflags & KERNEL_64 != 0;
        if is_wide && code.size <= super::ENTRY_64 {
            return Err(damaged(NAME, "it ends before its 64-bit entry"));
        }
        Ok(BzImage {
            bytes: Vec::new(),
            code,
            version,
            // A small kernel's setup code moves it there.
            start: if is_high {
                u64::from(header.word(at::CODE32_START)?)
            } else {
                0x1000
            },
            relocation,
            preferred: if from(0x20a) {
                Some(header.long(at::PREF_ADDRESS)?)
            } else {
                None
            },
            init_size: if from(0x20a) {
                header.word(at::INIT_SIZE)?.into()
            } else {
                0
            },
            initrd_max: if from(0x203) {
                header.word(at::INITRD_ADDR_MAX)?
            } else {
                0x37ff_ffff
            }
            .into(),
            command_line: if from(0x206) {
                header.word(at::CMDLINE_SIZE)?
            } else {
                255
            }
            .into(),
            is_wide,
            may_be_high: is_wide && xloadflags & CAN_BE_LOADED_ABOVE_4G != 0,
        })
    }

    /// What is loaded.
    pub fn code(&self) -> &[u8] {
        let Region { base, size } = self.code;
        self.bytes
            .get(base as usize..(base + size) as usize)
            .unwrap_or_default()
    }

    /// Bytes that it takes from where it runs on.
    pub fn room(&self) -> u64 {
        self.init_size.max(self.code.size)
    }

    /// Whether it, and what it is given, may lie above 4 GiB.
    pub fn is_free(&self) -> bool {
        self.may_be_high
    }

    /// The header, for the parameters: from [`HEADER`] on, as far as it says that it goes.
    pub(super) fn header(&self) -> &[u8] {
        let end = self
            .bytes
            .get(at::JUMP)
            .map_or(0, |&jump| at::JUMP + 1 + usize::from(jump));
        let end = end.clamp(HEADER, HEADER_END).min(self.bytes.len());
        self.bytes.get(HEADER..end).unwrap_or_default()
    }
}

/// The file, whose header may be cut.
#[derive(Clone, Copy)]
struct Header<'a> {
    bytes: &'a [u8],
}

impl Header<'_> {
    fn chunk<const N: usize>(self, at: usize) -> Result<[u8; N], kernel::Error> {
        let chunk = self.bytes.get(at..).and_then(|rest| rest.first_chunk().copied());
        chunk.ok_or(kernel::Error::Truncated {
            format: NAME,
            size: (at + N) as u64,
            have: self.bytes.len() as u64,
        })
    }

    fn byte(self, at: usize) -> Result<u8, kernel::Error> {
        self.chunk(at).map(u8::from_le_bytes)
    }

    fn half(self, at: usize) -> Result<u16, kernel::Error> {
        self.chunk(at).map(u16::from_le_bytes)
    }

    fn word(self, at: usize) -> Result<u32, kernel::Error> {
        self.chunk(at).map(u32::from_le_bytes)
    }

    fn long(self, at: usize) -> Result<u64, kernel::Error> {
        self.chunk(at).map(u64::from_le_bytes)
    }

    fn relocation(self, version: u16) -> Result<Relocation, kernel::Error> {
        let align = u64::from(self.word(at::KERNEL_ALIGNMENT)?);
        if !align.is_power_of_two() {
            return Err(damaged(NAME, format!("it is to lie at a multiple of {align:#x}")));
        }
        let least = match version {
            0x20a.. => match self.byte(at::MIN_ALIGNMENT)? {
                shift @ 0..32 => 1 << shift,
                shift => {
                    return Err(damaged(
                        NAME,
                        format!("it is to lie at a multiple of 2 to the power of {shift}"),
                    ));
                }
            },
            _ => align,
        };
        Ok(Relocation {
            align,
            least_align: align.min(least),
        })
    }
}
