//! AArch64's Image, and the EFI program that holds one packed.

use super::{Error, Image, damaged, doubleword, unpack, word};
use crate::identify::{Arm, FileKind};

/// Images lie this far, in bytes, from a multiple of it at most.
const BASE: u64 = 2 << 20;
/// `text_offset` of kernels before Linux 3.17, whose headers do not say it in a known byte order.
const OLD_TEXT_OFFSET: u64 = 0x8_0000;
/// Flags: the multiple of 2 MiB may be anywhere in memory.
const ANYWHERE: u64 = 1 << 3;
/// Most bytes that a kernel may say it takes.
const MOST: u64 = 1 << 30;

impl Image {
    const NAME: &'static str = "Image";
    /// Bytes of the header.
    const HEADER: usize = 64;

    /// Reads the header (Documentation/arch/arm64/booting.rst, 4). The file's own size may be less than what it takes.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Image, Error> {
        let have = bytes.len() as u64;
        let field = |at| {
            let short = Error::Truncated {
                format: Self::NAME,
                size: Self::HEADER as u64,
                have,
            };
            doubleword(&bytes, at)
                .filter(|_| bytes.len() >= Self::HEADER)
                .ok_or(short)
        };
        let (text_offset, size, flags) = (field(8)?, field(16)?, field(24)?);
        let text_offset = if size == 0 { OLD_TEXT_OFFSET } else { text_offset };
        if text_offset >= BASE {
            return Err(damaged(
                Self::NAME,
                format!("its header says an offset of {text_offset:#x}"),
            ));
        }
        if size > MOST {
            return Err(damaged(Self::NAME, format!("its header says a size of {size:#x}")));
        }
        Ok(Image {
            text_offset,
            size: size.max(have),
            anywhere: size != 0 && flags & ANYWHERE != 0,
            bytes,
        })
    }
}

/// What an EFI program of Linux's holds packed (drivers/firmware/efi/libstub/zboot-header.S).
pub(super) fn zboot(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    const NAME: &str = "EFI zboot image";
    /// Offsets of the header's fields: place and size of what is packed, by what it is, and where the PE header is.
    const START: usize = 8;
    const SIZE: usize = 12;
    const METHOD: usize = 24;
    const PE: usize = 0x3c;
    /// PE's number of the machine.
    const AARCH64: [u8; 2] = 0xaa64_u16.to_le_bytes();
    let have = bytes.len() as u64;
    let header = |at| {
        word(bytes, at).ok_or(Error::Truncated {
            format: NAME,
            size: at as u64 + 4,
            have,
        })
    };
    let (start, size, pe) = (header(START)? as usize, header(SIZE)?, header(PE)? as usize);
    let end = start as u64 + u64::from(size);
    let packed = bytes.get(start..end as usize).ok_or(Error::Truncated {
        format: NAME,
        size: end,
        have,
    })?;
    let signed = bytes.get(pe..).filter(|rest| rest.starts_with(b"PE\0\0"));
    let machine = signed.and_then(|rest| rest.get(4..6));
    if machine.ok_or_else(|| damaged(NAME, "it has no PE header"))? != AARCH64 {
        return Err(Error::foreign(FileKind::EfiProgram, Arm::A64));
    }
    if !unpack::can(FileKind::of(packed)) {
        let method = bytes.get(METHOD..PE - 4).unwrap_or_default();
        let method: String = method
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric())
            .map(|&b| char::from(b))
            .collect();
        return Err(Error::Unsuitable {
            format: "an EFI zboot image",
            reason: format!("it is packed by {method:?}; gzip and zstd are understood"),
            fits: None,
        });
    }
    unpack::whole(packed)
}
