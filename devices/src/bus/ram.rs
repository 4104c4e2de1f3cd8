//! The owner of guest RAM: one shared mapping of one memfd.
//!
//! The only place in the crate that dereferences raw pointers. The guest (translated code included) and several host
//! threads read and write the bytes at any time, so no Rust reference to them is ever made: all access is through
//! relaxed atomics, as wide as alignment allows. Pages that nobody touches take no memory.

use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::*};

/// Guest RAM: a block of bytes, by offset from its start.
pub struct Ram {
    map: Arc<MmapRaw>,
    fd: File,
    length: usize,
}

mod sealed {
    /// Keeps [`Word`](super::Word) to the types below.
    pub trait Sealed {}
}

/// A type that is read and written in one access: `u8`, `u16`, `u32`, `u64`, in host (little-endian) byte order.
pub trait Word: sealed::Sealed + Copy {
    /// Loads from `p`.
    ///
    /// # Safety
    /// `p` is valid for reads of the type, aligned for it, and lives in memory that is only accessed atomically.
    #[doc(hidden)]
    unsafe fn load(p: *mut u8) -> Self;
    /// Stores to `p`.
    ///
    /// # Safety
    /// As [`load`](Word::load), for writes.
    #[doc(hidden)]
    unsafe fn store(p: *mut u8, value: Self);
    /// Stores `new` to `p` if it holds `old`; what it held.
    ///
    /// # Safety
    /// As [`store`](Word::store).
    #[doc(hidden)]
    unsafe fn compare_exchange(p: *mut u8, old: Self, new: Self) -> Self;
    /// From little-endian bytes, the first `size_of::<Self>()` of them.
    #[doc(hidden)]
    fn from_bytes(bytes: [u8; 8]) -> Self;
    /// As little-endian bytes, zero-extended.
    #[doc(hidden)]
    fn to_bytes(self) -> [u8; 8];
}

macro_rules! word {
    ($($type:ty, $atomic:ty;)*) => { $(
        impl sealed::Sealed for $type {}
        impl Word for $type {
            unsafe fn load(p: *mut u8) -> Self {
                // SAFETY: the caller vouches for validity, alignment and atomic access.
                unsafe { <$atomic>::from_ptr(p.cast()) }.load(Relaxed)
            }
            unsafe fn store(p: *mut u8, value: Self) {
                // SAFETY: as above.
                unsafe { <$atomic>::from_ptr(p.cast()) }.store(value, Relaxed)
            }
            unsafe fn compare_exchange(p: *mut u8, old: Self, new: Self) -> Self {
                // SAFETY: as above.
                let at = unsafe { <$atomic>::from_ptr(p.cast()) };
                match at.compare_exchange(old, new, AcqRel, Acquire) {
                    Ok(held) | Err(held) => held,
                }
            }
            fn from_bytes(bytes: [u8; 8]) -> Self {
                u64::from_le_bytes(bytes) as $type
            }
            fn to_bytes(self) -> [u8; 8] {
                u64::from(self).to_le_bytes()
            }
        }
    )* };
}

word! {
    u8, AtomicU8;
    u16, AtomicU16;
    u32, AtomicU32;
    u64, AtomicU64;
}

impl Ram {
    /// `length` bytes of zeros, backed by a new memfd. Nothing is committed: pages come with their first use.
    ///
    /// # Errors
    /// What the host says: no memory descriptor to be had, or `length` beyond its limits. A `length` of 0 is
    /// [`InvalidInput`](io::ErrorKind::InvalidInput).
    pub fn new(length: u64) -> io::Result<Ram> {
        let too_long = |_| io::Error::new(io::ErrorKind::OutOfMemory, "larger than the host's address space");
        let bytes = usize::try_from(length).map_err(too_long)?;
        if bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no bytes"));
        }
        let (fd, map) = shared(bytes)?;
        Ok(Ram {
            map: Arc::new(map),
            fd,
            length: bytes,
        })
    }

    /// Start of the mapping, page-aligned, valid for [`len`](Ram::len) bytes as long as the `Ram` lives. For
    /// translated code; Rust code uses the accessors.
    pub fn base(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// The mapping, for those who access it directly: it lives as long as one of them has it.
    pub fn mapping(&self) -> &Arc<MmapRaw> {
        &self.map
    }

    /// Bytes. Never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.length as u64
    }

    /// Whether all `length` bytes from `offset` are inside.
    #[inline]
    pub fn contains(&self, offset: u64, length: u64) -> bool {
        offset.checked_add(length).is_some_and(|end| end <= self.len())
    }

    /// Loads a word: one access where `offset` is aligned, byte by byte otherwise. `None` outside.
    #[inline]
    pub fn load<W: Word>(&self, offset: u64) -> Option<W> {
        if !self.contains(offset, size_of::<W>() as u64) {
            return None;
        }
        if !offset.is_multiple_of(size_of::<W>() as u64) {
            let mut bytes = [0; 8];
            self.copy_out(offset, bytes.get_mut(..size_of::<W>())?)?;
            return Some(W::from_bytes(bytes));
        }
        // SAFETY: in bounds and aligned as just checked (the base is page-aligned), and this memory is only ever
        // accessed through atomics or by the guest.
        Some(unsafe { W::load(self.at(offset)) })
    }

    /// Stores a word: one access where `offset` is aligned, byte by byte otherwise. `None`, and nothing stored, outside.
    #[inline]
    pub fn store<W: Word>(&self, offset: u64, value: W) -> Option<()> {
        if !self.contains(offset, size_of::<W>() as u64) {
            return None;
        }
        if !offset.is_multiple_of(size_of::<W>() as u64) {
            return self.copy_in(offset, value.to_bytes().get(..size_of::<W>())?);
        }
        // SAFETY: as in `load`.
        unsafe { W::store(self.at(offset), value) };
        Some(())
    }

    /// Stores a word in place of another that is there, in one access; what was there. `None`, and nothing stored, outside
    /// or where `offset` is not aligned.
    #[inline]
    pub fn compare_exchange<W: Word>(&self, offset: u64, old: W, new: W) -> Option<W> {
        let size = size_of::<W>() as u64;
        if !self.contains(offset, size) || !offset.is_multiple_of(size) {
            return None;
        }
        // SAFETY: as in `load`.
        Some(unsafe { W::compare_exchange(self.at(offset), old, new) })
    }

    /// Fills `out` with the bytes from `offset`. `None`, and `out` unchanged, where that leaves the block.
    pub fn copy_out(&self, offset: u64, out: &mut [u8]) -> Option<()> {
        if !self.contains(offset, out.len() as u64) {
            return None;
        }
        let (head, words, tail) = split(offset, out.len());
        let (first, rest) = out.split_at_mut(head);
        let (middle, last) = rest.split_at_mut(words);
        self.bytes_out(offset, first);
        let start = offset + head as u64;
        for (at, chunk) in (start..).step_by(8).zip(middle.chunks_exact_mut(8)) {
            // SAFETY: in bounds as checked above; `split` makes the middle start 8-aligned.
            chunk.copy_from_slice(&unsafe { u64::load(self.at(at)) }.to_le_bytes());
        }
        debug_assert_eq!(last.len(), tail);
        self.bytes_out(start + words as u64, last);
        Some(())
    }

    /// Writes `data` to `offset` on. `None`, and nothing written, where that leaves the block.
    pub fn copy_in(&self, offset: u64, data: &[u8]) -> Option<()> {
        if !self.contains(offset, data.len() as u64) {
            return None;
        }
        let (head, words, tail) = split(offset, data.len());
        let (first, rest) = data.split_at(head);
        let (middle, last) = rest.split_at(words);
        self.bytes_in(offset, first);
        let start = offset + head as u64;
        for (at, chunk) in (start..).step_by(8).zip(middle.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            // SAFETY: in bounds as checked above; `split` makes the middle start 8-aligned.
            unsafe { u64::store(self.at(at), u64::from_le_bytes(word)) };
        }
        debug_assert_eq!(last.len(), tail);
        self.bytes_in(start + words as u64, last);
        Some(())
    }

    /// Gives the pages of a range back to the host: they read as zeros and take no memory until touched again. Partial
    /// pages at the ends are left alone. For a reset that clears memory.
    ///
    /// # Errors
    /// What the host says; a range that leaves the block is [`InvalidInput`](io::ErrorKind::InvalidInput).
    pub fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        if !self.contains(offset, length) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "range outside guest RAM"));
        }
        // The smallest pages of an x86-64 host.
        let page = 0x1000;
        let start = offset.next_multiple_of(page);
        let end = (offset + length) / page * page;
        if start < end {
            fallocate(
                &self.fd,
                FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                start,
                end - start,
            )?;
        }
        Ok(())
    }

    /// The first bytes from `from` on that the host has pages for; all between reads as zeros. For a snapshot, which would
    /// otherwise give memory pages by reading them.
    pub fn used(&self, from: u64) -> Option<Range<u64>> {
        use rustix::fs::{SeekFrom, seek};
        if from >= self.len() {
            return None;
        }
        match seek(&self.fd, SeekFrom::Data(from)) {
            Ok(start) => Some(start..seek(&self.fd, SeekFrom::Hole(start)).unwrap_or(self.len())),
            Err(rustix::io::Errno::NXIO) => None,
            // A host that cannot tell.
            Err(_) => Some(from..self.len()),
        }
    }

    fn at(&self, offset: u64) -> *mut u8 {
        self.base().wrapping_add(offset as usize)
    }

    /// Callers have checked the bounds.
    fn bytes_out(&self, offset: u64, out: &mut [u8]) {
        for (at, byte) in (offset..).zip(out) {
            // SAFETY: in bounds as checked by the callers; bytes are always aligned.
            *byte = unsafe { u8::load(self.at(at)) };
        }
    }

    /// Callers have checked the bounds.
    fn bytes_in(&self, offset: u64, data: &[u8]) {
        for (at, &byte) in (offset..).zip(data) {
            // SAFETY: in bounds as checked by the callers; bytes are always aligned.
            unsafe { u8::store(self.at(at), byte) };
        }
    }
}

/// The memfd, for further mappings of the same bytes.
impl AsFd for Ram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A memfd of `bytes` zeros that cannot shrink, whoever gets it, and a mapping of it.
#[cfg(not(miri))]
fn shared(bytes: usize) -> io::Result<(File, MmapRaw)> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    let fd = memfd_create("emu-guest-ram", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&fd, bytes as u64)?;
    fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    let map = MmapOptions::new().len(bytes).no_reserve_swap().map_raw(&fd)?;
    Ok((File::from(fd), map))
}

/// Miri knows private memory only.
#[cfg(miri)]
fn shared(bytes: usize) -> io::Result<(File, MmapRaw)> {
    let map = MmapOptions::new().len(bytes).map_anon()?;
    Ok((File::open("/dev/null")?, map.into()))
}

/// Lengths of the bytes before the first 8-aligned offset, of the whole words, and of the bytes after them.
fn split(offset: u64, length: usize) -> (usize, usize, usize) {
    let head = (offset.wrapping_neg() % 8) as usize;
    let head = head.min(length);
    let words = (length - head) / 8 * 8;
    (head, words, length - head - words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_at_every_alignment_round_trip() {
        let ram = Ram::new(64).unwrap();
        let data: Vec<u8> = (1..=40).collect();

        for offset in 0..16 {
            for length in (0..=40).step_by(if cfg!(miri) { 7 } else { 1 }) {
                ram.copy_in(0, &[0; 64]).unwrap();
                ram.copy_in(offset, &data[..length]).unwrap();
                let mut all = [0; 64];
                ram.copy_out(0, &mut all).unwrap();
                let (start, end) = (offset as usize, offset as usize + length);
                assert_eq!(all[start..end], data[..length], "{offset} {length}");
                assert!(
                    all[..start].iter().chain(&all[end..]).all(|&b| b == 0),
                    "{offset} {length}"
                );
            }
        }
    }

    #[test]
    fn words_are_little_endian_aligned_or_not() {
        let ram = Ram::new(16).unwrap();

        ram.store(3, 0x1122_3344u32).unwrap();
        ram.store(8, 0x0102_0304_0506_0708u64).unwrap();

        assert_eq!(ram.load::<u8>(3), Some(0x44));
        assert_eq!(ram.load::<u16>(5), Some(0x1122));
        assert_eq!(ram.load::<u64>(8), Some(0x0102_0304_0506_0708));
    }

    #[test]
    fn a_word_is_exchanged_where_another_is() {
        let ram = Ram::new(0x1000).unwrap();
        ram.store(0xff8, 5u64);
        for (offset, old, new, want, then) in [
            (0xff8, 5u64, 6, Some(5), 6),
            (0xff8, 5, 7, Some(6), 6),
            (0xff9, 6, 7, None, 6),
            (0x1000, 0, 7, None, 6),
            (u64::MAX - 6, 0, 7, None, 6),
        ] {
            assert_eq!(ram.compare_exchange(offset, old, new), want, "{offset:#x} {old}");
            assert_eq!(ram.load::<u64>(0xff8), Some(then), "{offset:#x} {old}");
        }
    }

    #[test]
    fn nothing_outside_is_touched() {
        let ram = Ram::new(4096).unwrap();

        assert_eq!(ram.load::<u32>(4093), None);
        assert_eq!(ram.store(u64::MAX, 1u8), None);
        assert_eq!(ram.copy_in(4095, &[1, 2]), None);
        assert_eq!(ram.load::<u8>(4095), Some(0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no memory descriptors")]
    fn untouched_memory_is_not_committed() {
        let ram = Ram::new(1 << 40).unwrap();

        ram.store(1 << 39, 1u8).unwrap();

        let blocks = rustix::fs::fstat(&ram).unwrap().st_blocks;
        assert!(blocks * 512 <= 4 << 20, "{blocks} blocks for one byte");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no memory descriptors")]
    fn nobody_can_take_mapped_bytes_away() {
        let ram = Ram::new(4096).unwrap();

        assert!(rustix::fs::ftruncate(&ram, 0).is_err());
        assert_eq!(ram.load::<u8>(0), Some(0));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri ends at what it cannot allocate")]
    fn impossible_sizes_are_errors() {
        assert!(Ram::new(0).is_err());
        assert!(Ram::new(1 << 50).is_err());
        assert!(Ram::new(u64::MAX).is_err());
    }
}
