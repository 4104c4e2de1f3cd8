//! Architectural features by the manual's names (Arm ARM DDI 0487, A2.2 to A2.10): what rows of the decode tables need, and
//! what a CPU model has.

/// A feature that instructions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Feature {
    /// Armv8.0-A: what a row without a feature needs.
    Base,
    /// FEAT_CRC32.
    Crc32,
    /// FEAT_AES.
    Aes,
    /// FEAT_PMULL.
    Pmull,
    /// FEAT_SHA1.
    Sha1,
    /// FEAT_SHA256.
    Sha256,
    /// FEAT_LSE.
    Lse,
    /// FEAT_LOR.
    Lor,
    /// FEAT_PAN.
    Pan,
    /// FEAT_RDM.
    Rdm,
    /// FEAT_UAO.
    Uao,
    /// FEAT_DPB.
    Dpb,
    /// FEAT_FP16.
    Fp16,
    /// FEAT_DotProd.
    DotProd,
    /// FEAT_SHA512.
    Sha512,
    /// FEAT_SHA3.
    Sha3,
    /// FEAT_SM3.
    Sm3,
    /// FEAT_SM4.
    Sm4,
    /// FEAT_FHM.
    Fhm,
    /// FEAT_FCMA.
    Fcma,
    /// FEAT_JSCVT.
    JsCvt,
    /// FEAT_LRCPC.
    Lrcpc,
    /// FEAT_PAuth.
    PAuth,
    /// FEAT_LRCPC2.
    Lrcpc2,
    /// FEAT_FlagM.
    FlagM,
    /// FEAT_DIT.
    Dit,
    /// FEAT_FlagM2.
    FlagM2,
    /// FEAT_FRINTTS.
    FrintTs,
    /// FEAT_SB.
    Sb,
    /// FEAT_SSBS2.
    Ssbs,
    /// FEAT_BTI.
    Bti,
    /// FEAT_RNG.
    Rng,
    /// FEAT_DPB2.
    Dpb2,
    /// FEAT_BF16.
    Bf16,
    /// FEAT_I8MM.
    I8mm,
}

/// A set of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// Armv8.0-A without its options.
    pub const BASE: Features = Features(1);
    /// All that are known.
    pub const ALL: Features = Features((2 << Feature::I8mm as u32) - 1);

    /// With some more.
    pub const fn with(self, more: &[Feature]) -> Features {
        let (mut bits, mut i) = (self.0, 0);
        while i < more.len() {
            #[allow(clippy::indexing_slicing, reason = "below the length")]
            let feature = more[i];
            bits |= 1 << feature as u32;
            i += 1;
        }
        Features(bits)
    }
    /// Without one.
    pub const fn without(self, feature: Feature) -> Features {
        Features(self.0 & !(1 << feature as u32))
    }
    /// Whether a feature is in it.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 >> feature as u32 & 1 != 0
    }
    /// Whether what a row [needs](emu_ir::pattern::Row::needs) is in it.
    pub const fn allows(self, needs: u8) -> bool {
        self.0 >> (needs & 63) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_had_or_not() {
        let some = Features::BASE.with(&[Feature::Lse, Feature::I8mm]);

        assert!(some.has(Feature::Lse) && some.allows(Feature::I8mm as u8) && some.allows(0));
        assert!(!some.has(Feature::Crc32) && !some.without(Feature::Lse).has(Feature::Lse));
        assert!(Features::ALL.has(Feature::Base) && Features::ALL.has(Feature::I8mm));
    }
}
