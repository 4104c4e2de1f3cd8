//! What is known of all the mappings of an address space together, so that most flushes need not look at any.

/// A bit for each of many sets of numbers: one that is not set says that no number of the set is there.
pub(super) struct Sets<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Sets<WORDS> {
    pub(super) const NONE: Self = Sets([0; WORDS]);

    fn bit(n: u64) -> (usize, u64) {
        let set = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % (64 * WORDS);
        (set / 64, 1 << (set % 64))
    }
    pub(super) fn note(&mut self, n: u64) {
        let (word, bit) = Self::bit(n);
        self.0[word] |= bit;
    }
    pub(super) fn may_have(&self, n: u64) -> bool {
        let (word, bit) = Self::bit(n);
        self.0[word] & bit != 0
    }
}

/// Addresses from the first to the last of some; those between may be among them or not.
#[derive(Clone, Copy)]
pub(super) struct Hull {
    first: u64,
    last: u64,
}

impl Hull {
    pub(super) const EMPTY: Hull = Hull {
        first: u64::MAX,
        last: 0,
    };

    pub(super) fn add(&mut self, first: u64, last: u64) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }
    pub(super) fn meets(&self, first: u64, last: u64) -> bool {
        self.first <= last && first <= self.last
    }
}

/// Where the mappings are that are larger than a page.
pub(super) struct Large {
    /// Regions that have one, but for those larger than a region.
    regions: Sets<16>,
    /// What these cover together.
    wider: Hull,
}

impl Large {
    pub(super) const NONE: Large = Large {
        regions: Sets::NONE,
        wider: Hull::EMPTY,
    };
    /// log2 of the size of a region: what most kernels map by a block.
    const REGION: u32 = 21;

    pub(super) fn add(&mut self, first: u64, last: u64) {
        if first >> Large::REGION == last >> Large::REGION {
            self.regions.note(first >> Large::REGION);
        } else {
            self.wider.add(first, last);
        }
    }
    /// Whether there may be one that has a byte between two addresses.
    pub(super) fn may_meet(&self, first: u64, last: u64) -> bool {
        /// More are not looked at one by one.
        const FEW: u64 = 16;
        let mut regions = first >> Large::REGION..=last >> Large::REGION;
        self.wider.meets(first, last)
            || regions.end().saturating_sub(*regions.start()) >= FEW
            || regions.any(|region| self.regions.may_have(region))
    }
}
