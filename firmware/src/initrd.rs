//! Initial RAM file systems: checking those that users bring, packing small ones.
//!
//! Linux (Documentation/driver-api/early-userspace/buffer-format.rst) unpacks a sequence of cpio archives in "newc"
//! format, each plain or compressed, with zero bytes between them; a later file replaces an earlier one of its name.

use std::io::{self, BufRead, Read, Write};

use cpio::newc::{Builder, ModeFileType, trailer};
use flate2::Compression;
use flate2::bufread::GzDecoder;

use crate::identify::FileKind;

/// Why bytes are not an initial RAM file system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another kind of file.
    #[error("not an initrd (a cpio archive, plain or compressed) but {0}")]
    Foreign(FileKind),
    /// The archive ends before its end.
    #[error("truncated cpio archive: it ends inside an entry, after {have} bytes")]
    Truncated {
        /// Size of the file in bytes.
        have: usize,
    },
    /// A compressed archive that does not unpack.
    #[error("damaged or truncated gzip file: {reason}")]
    Gzip {
        /// The decoder's reason.
        reason: String,
    },
    /// Something after a whole archive.
    #[error("damaged initrd: {kind} follows the archive at byte {offset:#x}")]
    Trailing {
        /// What follows, as far as it can be told.
        kind: FileKind,
        /// Where, in bytes.
        offset: usize,
    },
}

/// About what compressed archives of that length unpack to, in bytes.
pub fn guess(bytes: &[u8]) -> u64 {
    3 * bytes.len() as u64
}

/// Checks that `bytes` are archives from first to last. Plain cpio is walked and gzip is unpacked to the end; of the
/// other compressions that Linux knows only the mark is checked. Returns what they unpack to, in bytes: for the other
/// compressions a guess.
///
/// # Errors
///
/// When the file is of another kind, cut short or damaged.
pub fn check(bytes: &[u8]) -> Result<u64, Error> {
    let (mut at, mut seen, mut unpacked) = (0, false, 0);
    loop {
        at += bytes.iter().skip(at).take_while(|&&b| b == 0).count();
        let rest = bytes.get(at..).unwrap_or_default();
        let (len, holds) = match FileKind::of(rest) {
            FileKind::Empty if seen => return Ok(unpacked),
            FileKind::Cpio => {
                let len = archive_len(rest).ok_or(Error::Truncated { have: bytes.len() })?;
                (len, len as u64)
            }
            FileKind::Gzip => gzip_len(rest)?,
            kind if kind.is_compression() => return Ok(unpacked + guess(rest)),
            _ if !seen => return Err(Error::Foreign(FileKind::of(bytes))),
            kind => return Err(Error::Trailing { kind, offset: at }),
        };
        (at, seen, unpacked) = (at + len, true, unpacked + holds);
    }
}

/// Length in bytes of the newc archive that `bytes` starts with, its trailer included; `None` when it is cut short.
fn archive_len(bytes: &[u8]) -> Option<usize> {
    const HEADER: usize = 110;
    let mut at = 0usize;
    loop {
        let header = bytes.get(at..at.checked_add(HEADER)?)?;
        if !header.starts_with(b"07070") {
            return None;
        }
        let field = |i: usize| {
            let digits = std::str::from_utf8(header.get(6 + i * 8..14 + i * 8)?).ok()?;
            usize::from_str_radix(digits, 16).ok()
        };
        let (size, name_size) = (field(6)?, field(11)?);
        let name_end = at.checked_add(HEADER)?.checked_add(name_size)?;
        let name = bytes.get(at + HEADER..name_end)?;
        let end = name_end.next_multiple_of(4).checked_add(size)?;
        bytes.get(..end)?;
        at = end.next_multiple_of(4);
        if name == b"TRAILER!!!\0" {
            return Some(end);
        }
    }
}

/// Length in bytes of the gzip member that `bytes` starts with, and what it unpacks to; its checksum is verified, and that
/// it is an archive.
fn gzip_len(bytes: &[u8]) -> Result<(usize, u64), Error> {
    let damaged = |e: io::Error| Error::Gzip { reason: e.to_string() };
    let mut rest = bytes;
    let mut decoder = GzDecoder::new(&mut rest);
    let mut head = Vec::new();
    decoder.by_ref().take(0x300).read_to_end(&mut head).map_err(damaged)?;
    match FileKind::of(&head) {
        FileKind::Cpio => {}
        kind => return Err(Error::Foreign(kind)),
    }
    let more = io::copy(&mut decoder, &mut io::sink()).map_err(damaged)?;
    let len = bytes.len() - rest.fill_buf().map_or(0, <[u8]>::len);
    Ok((len, head.len() as u64 + more))
}

/// A file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File<'a> {
    /// A regular file with its permission bits.
    Regular {
        /// Contents.
        bytes: &'a [u8],
        /// Permission bits, such as `0o755`.
        mode: u32,
    },
    /// A directory with its permission bits.
    Directory {
        /// Permission bits, such as `0o755`.
        mode: u32,
    },
    /// A symbolic link to a path.
    Link {
        /// The path.
        to: &'a str,
    },
}

/// Packs files, by path without a leading slash, into a newc archive compressed by gzip. All belong to root; there are
/// no times, so the same files make the same bytes.
///
/// # Errors
///
/// When a file is larger than the format's 4 GiB.
pub fn pack(files: &[(&str, File<'_>)]) -> io::Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (inode, &(path, file)) in (1..).zip(files) {
        let (kind, mode, bytes) = match file {
            File::Regular { bytes, mode } => (ModeFileType::Regular, mode, bytes),
            File::Directory { mode } => (ModeFileType::Directory, mode, [].as_slice()),
            File::Link { to } => (ModeFileType::Symlink, 0o777, to.as_bytes()),
        };
        let size = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let entry = Builder::new(path)
            .ino(inode)
            .nlink(1)
            .mode(mode)
            .set_mode_file_type(kind);
        let mut writer = entry.write(&mut archive, size);
        writer.write_all(bytes)?;
        writer.finish()?;
    }
    trailer(&mut archive)?;
    let mut gzip = flate2::GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(&archive)?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, File<'_>); 3] = [
        ("etc", File::Directory { mode: 0o755 }),
        (
            "etc/motd",
            File::Regular {
                bytes: b"hello\n",
                mode: 0o644,
            },
        ),
        ("motd", File::Link { to: "etc/motd" }),
    ];

    fn plain() -> Vec<u8> {
        let mut archive = Vec::new();
        GzDecoder::new(pack(&FILES).unwrap().as_slice())
            .read_to_end(&mut archive)
            .unwrap();
        archive
    }

    #[test]
    fn what_is_packed_reads_back() {
        let archive = plain();
        let (mut rest, mut found) = (archive.as_slice(), Vec::new());
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            found.push((reader.entry().name().to_owned(), reader.entry().mode(), bytes));
            rest = reader.finish().unwrap();
        }

        let expected = [
            ("etc".to_owned(), 0o40755, vec![]),
            ("etc/motd".to_owned(), 0o100644, b"hello\n".to_vec()),
            ("motd".to_owned(), 0o120777, b"etc/motd".to_vec()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn packing_is_deterministic() {
        assert_eq!(pack(&FILES).unwrap(), pack(&FILES).unwrap());
    }

    #[test]
    fn archives_plain_packed_and_one_after_another() {
        let (plain, packed) = (plain(), pack(&FILES).unwrap());

        let size = plain.len() as u64;
        assert_eq!(check(&plain), Ok(size));
        assert_eq!(check(&packed), Ok(size));
        assert_eq!(
            check(&[packed.as_slice(), &[0; 3], &plain, &[0; 8], &packed].concat()),
            Ok(3 * size)
        );
    }

    #[test]
    fn cut_anywhere_is_an_error() {
        for archive in [plain(), pack(&FILES).unwrap()] {
            let end = archive.len() - archive.iter().rev().take_while(|&&b| b == 0).count();
            for len in 0..end {
                assert!(check(&archive[..len]).is_err(), "{len} of {end} bytes were taken");
            }
        }
    }

    #[test]
    fn other_files_are_named() {
        let gzipped_text = {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(b"just a text\n").unwrap();
            gzip.finish().unwrap()
        };
        assert_eq!(check(b""), Err(Error::Foreign(FileKind::Empty)));
        assert_eq!(check(&[0; 64]), Err(Error::Foreign(FileKind::Unknown)));
        assert_eq!(check(b"no archive\n"), Err(Error::Foreign(FileKind::Text)));
        assert_eq!(check(&gzipped_text), Err(Error::Foreign(FileKind::Text)));
        let followed = [plain(), b"tail".to_vec()].concat();
        assert_eq!(
            check(&followed),
            Err(Error::Trailing {
                kind: FileKind::Text,
                offset: plain().len()
            })
        );
    }
}
