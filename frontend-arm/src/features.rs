//! Architectural features by the manual's names (Arm ARM DDI 0487, A2.2 to A2.10): what rows of the decode tables and of the
//! system registers need, and what a CPU model has. A model of ARMv7 has none.

macro_rules! features {
    ($( $feature:ident $name:literal $doc:literal; )*) => {
        /// A feature that instructions or registers need.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Feature {
            /// What a row without a feature needs: of A64 Armv8.0-A, of A32 and T32 ARMv7-A.
            Base,
            $( #[doc = $doc] $feature, )*
            /// What Armv8.0-A adds to A32 and T32. It goes with AArch64 and cannot be switched.
            A32V8,
        }

        /// Every feature but the base, with its name on the command line.
        pub const NAMES: &[(Feature, &str)] = &[ $( (Feature::$feature, $name), )* ];
    };
}

features! {
    Crc32 "crc32" "FEAT_CRC32.";
    Aes "aes" "FEAT_AES.";
    Pmull "pmull" "FEAT_PMULL.";
    Sha1 "sha1" "FEAT_SHA1.";
    Sha256 "sha256" "FEAT_SHA256.";
    Lse "lse" "FEAT_LSE.";
    Lor "lor" "FEAT_LOR.";
    Pan "pan" "FEAT_PAN.";
    Rdm "rdm" "FEAT_RDM.";
    Uao "uao" "FEAT_UAO.";
    Dpb "dpb" "FEAT_DPB.";
    Fp16 "fp16" "FEAT_FP16.";
    DotProd "dotprod" "FEAT_DotProd.";
    Sha512 "sha512" "FEAT_SHA512.";
    Sha3 "sha3" "FEAT_SHA3.";
    Sm3 "sm3" "FEAT_SM3.";
    Sm4 "sm4" "FEAT_SM4.";
    Fhm "fhm" "FEAT_FHM.";
    Fcma "fcma" "FEAT_FCMA.";
    JsCvt "jscvt" "FEAT_JSCVT.";
    Lrcpc "lrcpc" "FEAT_LRCPC.";
    PAuth "pauth" "FEAT_PAuth, by an IMPLEMENTATION DEFINED algorithm if not by another.";
    Lrcpc2 "lrcpc2" "FEAT_LRCPC2.";
    FlagM "flagm" "FEAT_FlagM.";
    Dit "dit" "FEAT_DIT.";
    FlagM2 "flagm2" "FEAT_FlagM2.";
    FrintTs "frintts" "FEAT_FRINTTS.";
    Sb "sb" "FEAT_SB.";
    Ssbs "ssbs" "FEAT_SSBS2.";
    Bti "bti" "FEAT_BTI.";
    Rng "rng" "FEAT_RNG.";
    Dpb2 "dpb2" "FEAT_DPB2.";
    Bf16 "bf16" "FEAT_BF16.";
    I8mm "i8mm" "FEAT_I8MM.";
    Pmu "pmu" "FEAT_PMUv3.";
    PAuth2 "pauth2" "FEAT_PAuth2: an authentication code is combined with what is in its place.";
    Fpac "fpac" "FEAT_FPAC: a wrong authentication code is an exception.";
    FpacCombine "fpaccombine" "FEAT_FPACCOMBINE: in instructions that do something else besides too.";
    Qarma5 "qarma5" "FEAT_PACQARMA5: the architected algorithm of pointer authentication.";
    Pan2 "pan2" "FEAT_PAN2: address translation instructions that heed PSTATE.PAN.";
    Pan3 "pan3" "FEAT_PAN3: SCTLR_EL1.EPAN.";
    Haf "haf" "FEAT_HAFDBS's first half: hardware sets the Access flag.";
    Hafdbs "hafdbs" "FEAT_HAFDBS: hardware keeps the dirty state as well.";
    Hpds "hpds" "FEAT_HPDS: hierarchical permissions can be disabled.";
    Cnp "cnp" "FEAT_TTCNP.";
    Ttst "ttst" "FEAT_TTST: small translation tables.";
    Lva "lva" "FEAT_LVA: virtual addresses of 52 bits with the 64 KiB granule.";
    Lpa "lpa" "FEAT_LPA: physical addresses of 52 bits with the 64 KiB granule.";
    Gran16 "gran16" "The 16 KiB granule.";
    TlbiOs "tlbios" "FEAT_TLBIOS.";
    TlbiRange "tlbirange" "FEAT_TLBIRANGE.";
    E0pd "e0pd" "FEAT_E0PD.";
    Ttl "ttl" "FEAT_TTL: TLB maintenance may say at which level the entry is.";
    Bbm "bbm" "FEAT_BBM, level 2: mappings may change their size without a break.";
    Idst "idst" "FEAT_IDST: reads of identification registers at EL0 trap.";
    Csv2 "csv2" "FEAT_CSV2.";
    Csv3 "csv3" "FEAT_CSV3.";
    Gic "gic" "FEAT_GICv3: the board's to have, no model's.";
    Lse2 "lse2" "FEAT_LSE2: accesses within an aligned 16 bytes are atomic, and need not be aligned.";
    Ras "ras" "FEAT_RAS, without a record of errors.";
}

/// A set of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u64);

const _: () = assert!((Feature::A32V8 as u32) < 64, "a bit each");

impl Features {
    /// Armv8.0-A, or ARMv7-A, without its options.
    pub const BASE: Features = Features(1);
    /// All that are known.
    pub const ALL: Features = Features(u64::MAX >> (63 - Feature::A32V8 as u32));

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

/// What a feature needs besides itself: without that it is not there either.
const NEEDS: &[(Feature, Feature)] = &[
    (Feature::Pmull, Feature::Aes),
    (Feature::Sha512, Feature::Sha256),
    (Feature::Sha256, Feature::Sha1),
    (Feature::Sha3, Feature::Sha512),
    (Feature::Fhm, Feature::Fp16),
    (Feature::Lrcpc2, Feature::Lrcpc),
    (Feature::FlagM2, Feature::FlagM),
    (Feature::Dpb2, Feature::Dpb),
    (Feature::Pan2, Feature::Pan),
    (Feature::Pan3, Feature::Pan2),
    (Feature::Hafdbs, Feature::Haf),
    (Feature::TlbiRange, Feature::TlbiOs),
    (Feature::PAuth2, Feature::PAuth),
    (Feature::Fpac, Feature::PAuth2),
    (Feature::FpacCombine, Feature::Fpac),
    (Feature::Qarma5, Feature::PAuth),
];

impl Features {
    /// The same, one of them switched on with what it needs, or off with what needs it: a field of an identification register
    /// says no more than a number, which includes what lower ones stand for.
    #[must_use]
    pub fn switched(self, feature: Feature, on: bool) -> Features {
        let mut set = if on {
            self.with(&[feature])
        } else {
            self.without(feature)
        };
        // As deep as the table's chains are at most.
        for _ in NEEDS {
            for &(what, needs) in NEEDS {
                if on && set.has(what) {
                    set = set.with(&[needs]);
                } else if !on && !set.has(needs) {
                    set = set.without(what);
                }
            }
        }
        set
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
        assert!(Features::ALL.has(Feature::Base) && Features::ALL.has(Feature::Gic));
    }

    #[test]
    fn what_a_feature_needs_comes_and_goes_with_it() {
        let on = Features::BASE.switched(Feature::Pan3, true);
        assert!(on.has(Feature::Pan) && on.has(Feature::Pan2));

        let off = Features::ALL.switched(Feature::Sha1, false);
        assert!(!off.has(Feature::Sha3) && !off.has(Feature::Sha256) && off.has(Feature::Aes));
    }
}
