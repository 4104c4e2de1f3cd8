//! The test every device passes: nonsense does not panic or hang it, and what it saves it loads again.

use super::{Access, Device};
use emu_ir::testing;

/// Numbers that a seed repeats, so that a failing one can be run again, and what a device is given of them.
pub(crate) struct Random(testing::Random);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(testing::Random::scattered(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next()
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    /// Mostly small or telling values.
    pub(crate) fn value(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => self.below(256),
            4 => self.below(256) << (8 * self.below(8)),
            _ => self.next(),
        }
    }

    pub(crate) fn access(&mut self, offsets: &[u64], span: u64) -> Access {
        let offset = match self.below(16) {
            0 => self.next(),
            1..=5 => self.below(span),
            _ => offsets[self.below(offsets.len() as u64) as usize].wrapping_add(self.below(4) & self.next()),
        };
        let size = [1, 2, 4, 4, 4, 8, 3, 0, 16, 255][self.below(10) as usize];
        Access {
            offset,
            size,
            cpu: self.below(10) as usize,
        }
    }
}

/// Random accesses to `device`, three of four at `offsets`, the others below `span` or anywhere; `between` stirs the
/// rest of the world now and then. Every so often the device must come back from its own saved state, and a second
/// device of the same kind, `other`, must take it over.
pub(crate) fn registers<D: Device>(
    seed: u64,
    device: &mut D,
    other: &mut D,
    offsets: &[u64],
    span: u64,
    mut between: impl FnMut(&mut D, &mut Random),
) {
    let mut random = Random::new(seed);
    for step in 0..20_000 {
        let access = random.access(offsets, span);
        if random.below(2) == 0 {
            device.read(access);
        } else {
            device.write(access, random.value());
        }
        if random.below(64) == 0 {
            between(device, &mut random);
        }
        if random.below(512) == 0 {
            let saved = device.save();
            device
                .load(&saved)
                .unwrap_or_else(|e| panic!("seed {seed} step {step}: {e}"));
            assert_eq!(
                device.save(),
                saved,
                "seed {seed} step {step}: a reload changed the state"
            );
            other
                .load(&saved)
                .unwrap_or_else(|e| panic!("seed {seed} step {step}: {e}"));
            assert_eq!(
                other.save(),
                saved,
                "seed {seed} step {step}: another device took over another state"
            );
        }
        if random.below(4096) == 0 {
            device.reset();
        }
    }
}
