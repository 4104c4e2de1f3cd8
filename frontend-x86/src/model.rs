//! What a CPU is, as far as its system functions depend on it.

use crate::features::Features;

/// A model of CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// What it has.
    pub features: Features,
    /// Bits of a physical address: MAXPHYADDR, 32 to 52.
    pub address_bits: u8,
    /// Family, model and stepping: EDX after reset, EAX of CPUID 1.
    pub signature: u32,
    /// It does as AMD's processors do where they and Intel's differ.
    pub amd: bool,
}

impl Model {
    /// One that has everything, for where no other is asked for.
    pub const ALL: Model = Model {
        features: Features::ALL,
        address_bits: 46,
        signature: 0x0005_0654,
        amd: false,
    };

    /// Whether it has a feature, by its name; there is no such name: no.
    pub const fn has(&self, name: &str) -> bool {
        match Features::named(name.as_bytes()) {
            Some(feature) => self.features.has(feature),
            None => false,
        }
    }
    /// The bits of a physical address.
    pub const fn address_mask(&self) -> u64 {
        u64::MAX >> (64 - self.address_bits as u32 % 64)
    }
    /// Bits of a linear address that it has at most: what the base registers of MSRs are checked by (SDM 3, "Canonicality
    /// Checking").
    pub const fn linear_bits(&self) -> u32 {
        if self.has("la57") { 57 } else { 48 }
    }
}

/// Whether an address of so many bits is canonical: those above are as the highest of them.
pub const fn is_canonical(address: u64, bits: u32) -> bool {
    let above = 64 - bits;
    ((address << above) as i64 >> above) as u64 == address
}
