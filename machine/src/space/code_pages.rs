//! Which pages vCPUs may have translated code of. A device that writes to others need not tell anybody.
//!
//! A vCPU notes a page, then reads its bytes; a device writes, then asks. With a fence between the two on either side,
//! the vCPU reads what was written or the device is told that the page has code.

use super::PAGE;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// How many sets pages are put into, a bit each.
const SETS: u64 = 1 << 20;
/// Ranges of more pages than this are taken to have code.
const ASKED: u64 = 256;

/// A set of pages that only grows, and may seem to have some that were never noted.
pub struct CodePages(Box<[AtomicU64]>);

impl Default for CodePages {
    fn default() -> CodePages {
        CodePages((0..SETS / 64).map(|_| AtomicU64::new(0)).collect())
    }
}

impl CodePages {
    fn place(&self, page: u64) -> Option<(&AtomicU64, u64)> {
        let set = page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SETS.ilog2());
        Some((self.0.get(set as usize / 64)?, 1 << (set % 64)))
    }

    /// The bytes of the page around an address are about to be translated.
    pub fn note(&self, address: u64) {
        if let Some((word, bit)) = self.place(address / PAGE) {
            word.fetch_or(bit, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
    }

    /// Whether any of `length` bytes at an address, which were just written, may be translated.
    pub fn may_have(&self, address: u64, length: u64) -> bool {
        fence(Ordering::SeqCst);
        let (first, last) = (address / PAGE, address.saturating_add(length.saturating_sub(1)) / PAGE);
        last - first >= ASKED || (first..=last).any(|page| self.has(page))
    }

    fn has(&self, page: u64) -> bool {
        self.place(page)
            .is_none_or(|(word, bit)| word.load(Ordering::SeqCst) & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noted_page_is_found_by_any_range_that_touches_it() {
        let pages = CodePages::default();
        pages.note(0x4000_5123);

        let found = [
            (0x4000_5000, 1),
            (0x4000_4fff, 2),
            (0x4000_5fff, 9),
            (0x4000_0000, 0x8000),
        ];
        let others = [
            (0x4000_4000, 0x1000),
            (0x4000_6000, 2),
            (0x4000_4fff, 1),
            (0x4000_4fff, 0),
        ];

        assert!(found.iter().all(|&(at, length)| pages.may_have(at, length)));
        assert!(!others.iter().any(|&(at, length)| pages.may_have(at, length)));
    }

    #[test]
    fn very_long_ranges_may_have_code() {
        let pages = CodePages::default();
        assert!(!pages.may_have(0, ASKED * PAGE));
        assert!(pages.may_have(0, ASKED * PAGE + 1));
        assert!(pages.may_have(u64::MAX - 1, u64::MAX) || !pages.may_have(u64::MAX, 1));
    }

    /// What a vCPU reads and what a device is told, at the same time, round after round on bytes of their own.
    #[test]
    fn nobody_reads_old_bytes_without_the_writer_being_told() {
        const ROUNDS: usize = 1 << 15;
        let pages = CodePages::default();
        let bytes: Vec<AtomicU64> = (0..ROUNDS).map(|_| AtomicU64::new(0)).collect();
        let turn = AtomicU64::new(0);
        let meet = |round: usize| {
            turn.fetch_add(1, Ordering::SeqCst);
            while turn.load(Ordering::SeqCst) < 2 * (round as u64 + 1) {
                std::hint::spin_loop();
            }
        };

        let (old, told) = std::thread::scope(|scope| {
            let translator = scope.spawn(|| {
                let read = |round: usize| {
                    meet(round);
                    pages.note(round as u64 * PAGE);
                    bytes[round].load(Ordering::Relaxed) == 0
                };
                (0..ROUNDS).map(read).collect::<Vec<bool>>()
            });
            let write = |round: usize| {
                meet(round);
                bytes[round].store(1, Ordering::Relaxed);
                pages.may_have(round as u64 * PAGE, 8)
            };
            let told: Vec<bool> = (0..ROUNDS).map(write).collect();
            (translator.join().unwrap(), told)
        });

        let missed = old.iter().zip(&told).filter(|(old, told)| **old && !**told).count();
        assert_eq!(missed, 0, "of {ROUNDS}");
    }
}
