//! Packed kernels.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::{Error, damaged};
use crate::identify::FileKind;

/// Largest kernel that is unpacked, in bytes.
const MOST: u64 = 1 << 30;
/// Bytes in which a file's mark is.
const HEAD: u64 = 0x400;

/// Whether files of this kind are unpacked.
pub fn can(kind: FileKind) -> bool {
    matches!(kind, FileKind::Gzip | FileKind::Zstd)
}

/// What a file that can be unpacked holds.
///
/// # Errors
///
/// When it is damaged, or holds too much.
pub fn whole(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let (name, unpacked) = match FileKind::of(bytes) {
        FileKind::Zstd => ("zstd file", zstd(bytes)),
        _ => ("gzip file", gzip(bytes)),
    };
    unpacked.map_err(|reason| damaged(name, reason))
}

/// What is in a gzip file.
///
/// # Errors
///
/// What is wrong, for the user.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    limited(GzDecoder::new(bytes))
}

/// What is in a zstd file of one frame.
fn zstd(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = StreamingDecoder::new(bytes).map_err(|e| e.to_string())?;
    let unpacked = limited(&mut decoder)?;
    let decoder = decoder.into_frame_decoder();
    let (said, found) = (decoder.get_checksum_from_data(), decoder.get_calculated_checksum());
    match said.is_some_and(|said| found != Some(said)) {
        true => Err("its checksum is wrong".into()),
        false => Ok(unpacked),
    }
}

fn limited(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let read = reader.take(MOST + 1).read_to_end(&mut unpacked);
    match read.map_err(|e: io::Error| e.to_string())? as u64 > MOST {
        true => Err("it unpacks to more than 1 GiB".into()),
        false => Ok(unpacked),
    }
}

/// What kind of file a packed one holds, as far as its start unpacks.
pub fn kind_inside(bytes: &[u8]) -> FileKind {
    let mut head = Vec::new();
    let read = match FileKind::of(bytes) {
        FileKind::Zstd => StreamingDecoder::new(bytes)
            .map(|d| d.take(HEAD).read_to_end(&mut head).is_ok())
            .ok(),
        _ => Some(GzDecoder::new(bytes).take(HEAD).read_to_end(&mut head).is_ok()),
    };
    match read {
        Some(true) => FileKind::of(&head),
        _ => FileKind::Unknown,
    }
}
