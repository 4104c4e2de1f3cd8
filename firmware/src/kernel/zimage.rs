//! The self-extracting kernel of 32-bit ARM.

use super::{Error, Unpacked, ZImage, damaged, word};

impl ZImage {
    const NAME: &'static str = "zImage";
    /// Offsets of the header's words: start and end address, mark of the table's presence, the table's offset.
    const START: usize = 0x28;
    const END: usize = 0x2c;
    const TABLE_MARK: usize = 0x34;
    const TABLE: usize = 0x38;

    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
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
