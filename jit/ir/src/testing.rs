//! What the tests of several crates share; the feature `testing` has it.

use crate::{Bus, Env, Flush, Page, RamPage, Stop, X87Insn, X87Unit};
use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

/// How long anything may take on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(60);

/// Says on the terminal, past the test harness, that something was not tested.
pub fn skipped(test: &str, reason: &str) {
    say(&format!("\n*** SKIPPED {test}: {reason}"));
}

/// Says something on the terminal, past the test harness: how far a long run is.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// The page around a physical address, which may be accessed in any way.
pub const fn page(phys: u64) -> Page {
    Page {
        phys: phys & !0xfff,
        read: true,
        write: true,
        exec: true,
        global: true,
        strict: false,
        size: 12,
        marked: false,
    }
}

/// Memory at an address; nothing answers elsewhere.
pub struct Memory {
    base: u64,
    bytes: Vec<u8>,
}

impl Memory {
    /// Zeros, so many bytes of them.
    pub fn new(base: u64, size: usize) -> Memory {
        Memory {
            base,
            bytes: vec![0; size],
        }
    }
    /// Put 1, 2, 4 or 8 bytes there.
    ///
    /// # Panics
    /// There is no memory.
    #[track_caller]
    pub fn put(&mut self, at: u64, size: u8, value: u64) {
        assert!(self.store(at, size, value).is_some(), "no memory at {at:#x}");
    }
    /// Put four bytes there: see [`Memory::put`].
    #[track_caller]
    pub fn put32(&mut self, at: u64, value: u32) {
        self.put(at, 4, value.into());
    }
    /// Put eight bytes there: see [`Memory::put`].
    #[track_caller]
    pub fn put64(&mut self, at: u64, value: u64) {
        self.put(at, 8, value);
    }
    fn at(&self, phys: u64, size: u8) -> Option<Range<usize>> {
        let start = usize::try_from(phys.checked_sub(self.base)?).ok()?;
        let end = start.checked_add(size.into())?;
        (end <= self.bytes.len()).then_some(start..end)
    }
}

impl Bus for Memory {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let bytes = self.bytes.get(self.at(phys, size)?)?;
        Some(bytes.iter().rev().fold(0, |all, &b| all << 8 | u64::from(b)))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let at = self.at(phys, size)?;
        let bytes = self.bytes.get_mut(at)?;
        bytes
            .iter_mut()
            .zip(value.to_le_bytes())
            .for_each(|(to, byte)| *to = byte);
        Some(())
    }
    fn ram(&mut self, _: u64) -> Option<RamPage<'_>> {
        None
    }
}

/// Waits until it is so: what never comes is a failure, not a hang.
///
/// # Panics
/// It is not so in time: the test failed.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not yet");
        std::thread::yield_now();
    }
}

/// Pseudo-random numbers, the same for a seed in every run and on every machine: stored vectors depend on them.
/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed. Those of seeds 0x9e37_79b9_7f4a_7c15 apart are one stream a step apart.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }
    /// The numbers of a seed, unlike those of any other.
    pub fn scattered(seed: u64) -> Random {
        let start = Random(seed).next();
        Random(Random(!start).next())
    }
    /// The numbers that belong to a text and a number.
    pub fn of(text: &str, number: u64) -> Random {
        // FNV-1a
        let hash = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let seed = text.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
        Random(Random(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d)).next())
    }
    /// 64 random bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    /// 32 random bits.
    pub fn word(&mut self) -> u32 {
        self.next() as u32
    }
    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
    /// A number below `end`, which is not zero.
    pub fn word_below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end)) as u32
    }
    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    /// One of some, of which there is at least one.
    #[expect(clippy::indexing_slicing, reason = "below the length")]
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Memory that is all there is: what a helper asks of the engine besides is not noticed.
pub trait Alone: Bus {
    /// As [`Env::x87`]: nothing, where there is no unit.
    fn executes(&mut self, _: X87Insn, _: &mut X87Unit, _: &mut [u8; 10], status: u16) -> u16 {
        status
    }
}

impl<M: Alone> Env for M {
    fn bus(&mut self) -> &mut dyn Bus {
        self
    }
    fn flush(&mut self, _: Flush, _: bool) {}
    fn traps_changed(&mut self) {}
    fn context_changed(&mut self) {}
    fn stop(&mut self, _: Stop) {}
    fn x87(&mut self, insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16 {
        self.executes(insn, unit, operand, status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_its_numbers() {
        let mut random = Random::new(1_234_567);
        let numbers = [random.next(), random.next(), random.next()];

        // Of the generator's description (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
