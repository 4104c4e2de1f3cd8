//! Physical memory that others than the vCPU have written, until the vCPU looks.

use std::sync::{Mutex, PoisonError};

/// Ranges kept apart; beyond that, all between the lowest and the highest counts as written.
const RANGES: usize = 64;

/// What was written: first address and length of each range.
#[derive(Default)]
pub struct Written(Mutex<Vec<(u64, u64)>>);

impl Written {
    /// Note a range. However often this is called, it holds no more than [`RANGES`].
    pub fn add(&self, phys: u64, len: u64) {
        let mut ranges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((start, before)) = ranges.last_mut()
            && start.checked_add(*before) == Some(phys)
        {
            *before = before.saturating_add(len);
        } else if ranges.len() < RANGES {
            ranges.push((phys, len));
        } else {
            let all = ranges.iter().copied().chain([(phys, len)]);
            let (first, end) = all.fold((u64::MAX, 0), |(first, end), (phys, len)| {
                (first.min(phys), end.max(phys.saturating_add(len)))
            });
            ranges.clear();
            ranges.push((first, end - first));
        }
    }
    /// The ranges, once.
    pub fn take(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_once() {
        let written = Written::default();
        written.add(0x5000, 0x800);
        written.add(0x5800, 0x800);
        written.add(0x9000, 4);

        assert_eq!(written.take(), [(0x5000, 0x1000), (0x9000, 4)]);
        assert!(written.take().is_empty());
    }

    #[test]
    fn any_number_of_writes_takes_little_memory_and_none_is_lost() {
        let written = Written::default();
        let count = if cfg!(miri) { 1000 } else { 100_000 };
        let all: Vec<u64> = (0..count).map(|n| (n * 7919 % count) << 13).collect();
        all.iter().for_each(|&phys| written.add(phys, 0x100));

        let ranges = written.take();

        assert!(ranges.len() <= RANGES, "{}", ranges.len());
        let inside = |phys: &u64| ranges.iter().any(|(start, len)| (*start..start + len).contains(phys));
        assert!(all.iter().all(inside));
    }

    #[test]
    fn the_end_of_the_address_space_is_no_harm() {
        let written = Written::default();
        (0..1000).for_each(|_| written.add(u64::MAX - 1, u64::MAX));

        assert!(written.take().iter().any(|(start, _)| *start == u64::MAX - 1));
    }
}
