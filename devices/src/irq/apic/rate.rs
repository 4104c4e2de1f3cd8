//! Counters that run by the machine's clock.

use std::num::NonZeroU32;

const SECOND: u64 = 1_000_000_000;

/// How fast a counter counts that was 0 at guest time 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    hz: u64,
}

impl Rate {
    /// So many ticks a second.
    pub const fn new(hz: NonZeroU32) -> Rate {
        Rate { hz: hz.get() as u64 }
    }

    /// Its value at a guest time in nanoseconds.
    #[inline]
    pub fn ticks(self, ns: u64) -> u64 {
        (ns / SECOND).wrapping_mul(self.hz) + ns % SECOND * self.hz / SECOND
    }

    /// The first guest time at which it has this value, in nanoseconds; the last time there is, if that is later.
    pub fn nanoseconds(self, ticks: u64) -> u64 {
        let whole = (ticks / self.hz).saturating_mul(SECOND);
        whole.saturating_add((ticks % self.hz * SECOND).div_ceil(self.hz))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_there_from_its_first_nanosecond_on() {
        for hz in [
            1,
            3,
            32_768,
            1_193_182,
            999_999_937,
            1_000_000_000,
            2_500_000_001,
            u32::MAX,
        ] {
            let rate = Rate::new(NonZeroU32::new(hz).unwrap());
            for ticks in [0, 1, 2, 3, 1000, 999_999_999, 1 << 32, 123_456_789_012] {
                let ns = rate.nanoseconds(ticks);
                if ns == u64::MAX {
                    continue;
                }
                assert!(rate.ticks(ns) >= ticks, "{hz} {ticks}");
                assert!(ns == 0 || rate.ticks(ns - 1) < ticks, "{hz} {ticks}");
            }
        }
    }

    #[test]
    fn a_counter_is_as_fast_as_it_says() {
        let rate = |hz| Rate::new(NonZeroU32::new(hz).unwrap());
        assert_eq!(rate(1).ticks(1_999_999_999), 1);
        assert_eq!(rate(2_000_000_000).ticks(3), 6);
        assert_eq!(rate(1_193_182).ticks(10 * SECOND), 11_931_820);
        assert_eq!(rate(u32::MAX).nanoseconds(u64::MAX), 4_294_967_297_000_000_000);
        assert_eq!(rate(1).nanoseconds(u64::MAX), u64::MAX);
    }
}
