//! The code cache: one memfd mapped twice, writable at one address and executable at another, never both at one.
//!
//! Space is handed out upwards and taken back all at once. Everything in it is position-relative to its start, so that
//! 32-bit displacements reach everywhere.
#![expect(
    clippy::indexing_slicing,
    reason = "what was pushed lies inside, and who pushes asked for room"
)]
#![allow(unsafe_code)]

use memmap2::{MmapMut, MmapOptions, MmapRaw};
use std::sync::atomic::{AtomicU32, Ordering};

/// A span of the cache: byte offset from its start.
pub type Offset = u32;

/// Host code, twice mapped.
pub struct Cache {
    write: MmapMut,
    /// Only executed: its bytes change under whoever would borrow them.
    exec: MmapRaw,
    used: usize,
    floor: usize,
}

impl Cache {
    /// The largest there can be, in bytes: 32-bit displacements reach everywhere.
    pub const LARGEST: usize = 1 << 30;

    /// Reserve `size` bytes (a multiple of the page size, at most [`Cache::LARGEST`]); memory is taken as it is filled.
    ///
    /// # Errors
    /// The host's, from `memfd_create`, `ftruncate` or `mmap`.
    pub fn new(size: usize) -> std::io::Result<Cache> {
        assert!(size <= Cache::LARGEST, "rel32 must reach everywhere");
        let fd = rustix::fs::memfd_create("emu-code", rustix::fs::MemfdFlags::CLOEXEC)?;
        rustix::fs::ftruncate(&fd, size as u64)?;
        let file = std::fs::File::from(fd);
        // SAFETY: the file is a fresh memfd that nobody else has; only this struct writes it, through `write`.
        let (write, exec) = unsafe {
            (
                MmapOptions::new().len(size).map_mut(&file)?,
                MmapOptions::new().len(size).map_exec(&file)?.into(),
            )
        };
        Ok(Cache {
            write,
            exec,
            used: 0,
            floor: 0,
        })
    }
    /// Bytes left.
    pub fn free(&self) -> usize {
        self.write.len() - self.used
    }
    /// Bytes used.
    pub fn used(&self) -> usize {
        self.used
    }
    /// Where the next span will start.
    pub fn next(&self) -> Offset {
        self.used as Offset
    }
    /// The executable address of the cache's start.
    pub fn base(&self) -> u64 {
        self.exec.as_ptr() as u64
    }
    /// The executable address of a span.
    pub fn address(&self, at: Offset) -> u64 {
        self.base() + at as u64
    }
    /// The offset of an executable address inside the cache.
    pub fn offset(&self, address: u64) -> Offset {
        (address - self.base()) as Offset
    }
    /// Append code (made for [`Cache::next`]); the next span is aligned to 16 bytes. The caller saw to [`Cache::free`].
    pub fn push(&mut self, code: &[u8]) -> Offset {
        let at = self.used;
        self.write[at..at + code.len()].copy_from_slice(code);
        self.used = (at + code.len() + 15) & !15;
        at as Offset
    }
    /// What was appended so far survives [`Cache::reset`].
    pub fn keep(&mut self) {
        self.floor = self.used;
    }
    /// Take back all space but what is kept, and its memory.
    pub fn reset(&mut self) {
        let from = (self.floor + 4095) & !4095;
        let to = (self.used + 4095) & !4095;
        if to > from {
            // SAFETY: the range lies inside the mapping and no reference into it is alive; the pages read as zero again.
            // A failure only means that memory is not returned early.
            let _ = unsafe {
                rustix::mm::madvise(
                    self.write.as_mut_ptr().add(from).cast(),
                    to - from,
                    rustix::mm::Advice::LinuxRemove,
                )
            };
        }
        self.used = self.floor;
    }
    /// Point the 32-bit displacement at `site` (4-byte aligned, so that a running thread sees the old or the new one) at
    /// the code at `target`; where it pointed.
    pub fn patch(&mut self, site: Offset, target: Offset) -> Offset {
        assert!(site.is_multiple_of(4) && (site as usize) + 4 <= self.used, "patch site");
        let rel = (target as i32).wrapping_sub(site as i32 + 4) as u32;
        // SAFETY: in bounds and aligned (checked above), and ours as long as the borrow of `self`; the executable alias sees
        // the store as one.
        let word = unsafe { AtomicU32::from_ptr(self.write.as_mut_ptr().add(site as usize).cast()) };
        let before = word.load(Ordering::Relaxed);
        if before != rel {
            // Only then: a store to code that may be running costs the host's CPUs what they have decoded.
            word.store(rel, Ordering::Release);
        }
        site.wrapping_add(4).wrapping_add(before)
    }
    /// The bytes of a span, for listings.
    pub fn bytes(&self, at: Offset, len: usize) -> &[u8] {
        &self.write[at as usize..at as usize + len]
    }
}
