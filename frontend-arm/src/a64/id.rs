//! Identification registers (Arm ARM DDI 0487, D19.2, ID_AA64*): what a model's features come to in them, so that they say
//! exactly what is there.

use super::features::Feature;
use super::model::Model;

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Id {
    Pfr0,
    Pfr1,
    Dfr0,
    Isar0,
    Isar1,
    Mmfr0,
    Mmfr1,
    Mmfr2,
}

/// Fields: the register, the lowest of its four bits, its value, and the feature that the value is for. Of the rows of one
/// field the last counts whose feature is there.
#[rustfmt::skip]
const FIELDS: &[(Id, u32, u64, Feature)] = &[
    (Id::Pfr0, 0, 2, Feature::Base), // EL0: AArch64 and AArch32
    (Id::Pfr0, 4, 1, Feature::Base), // EL1: AArch64 only
    (Id::Pfr0, 16, 1, Feature::Fp16), // FP
    (Id::Pfr0, 20, 1, Feature::Fp16), // AdvSIMD
    (Id::Pfr0, 24, 1, Feature::Gic),
    (Id::Pfr0, 28, 1, Feature::Ras),
    (Id::Pfr0, 48, 1, Feature::Dit),
    (Id::Pfr0, 56, 1, Feature::Csv2),
    (Id::Pfr0, 60, 1, Feature::Csv3),
    (Id::Pfr1, 0, 1, Feature::Bti),
    (Id::Pfr1, 4, 2, Feature::Ssbs),
    (Id::Dfr0, 0, 6, Feature::Base), // DebugVer: Armv8.0
    (Id::Dfr0, 8, 1, Feature::Pmu), // PMUVer: version 3
    (Id::Isar0, 4, 1, Feature::Aes),
    (Id::Isar0, 4, 2, Feature::Pmull),
    (Id::Isar0, 8, 1, Feature::Sha1),
    (Id::Isar0, 12, 1, Feature::Sha256),
    (Id::Isar0, 12, 2, Feature::Sha512),
    (Id::Isar0, 16, 1, Feature::Crc32),
    (Id::Isar0, 20, 2, Feature::Lse),
    (Id::Isar0, 28, 1, Feature::Rdm),
    (Id::Isar0, 32, 1, Feature::Sha3),
    (Id::Isar0, 36, 1, Feature::Sm3),
    (Id::Isar0, 40, 1, Feature::Sm4),
    (Id::Isar0, 44, 1, Feature::DotProd),
    (Id::Isar0, 48, 1, Feature::Fhm),
    (Id::Isar0, 52, 1, Feature::FlagM),
    (Id::Isar0, 52, 2, Feature::FlagM2),
    (Id::Isar0, 56, 1, Feature::TlbiOs),
    (Id::Isar0, 56, 2, Feature::TlbiRange),
    (Id::Isar0, 60, 1, Feature::Rng),
    (Id::Isar1, 0, 1, Feature::Dpb),
    (Id::Isar1, 0, 2, Feature::Dpb2),
    (Id::Isar1, API, 1, Feature::PAuth),
    (Id::Isar1, API, 3, Feature::PAuth2),
    (Id::Isar1, API, 4, Feature::Fpac),
    (Id::Isar1, API, 5, Feature::FpacCombine),
    (Id::Isar1, 12, 1, Feature::JsCvt),
    (Id::Isar1, 16, 1, Feature::Fcma),
    (Id::Isar1, 20, 1, Feature::Lrcpc),
    (Id::Isar1, 20, 2, Feature::Lrcpc2),
    (Id::Isar1, GPI, 1, Feature::PAuth),
    (Id::Isar1, 32, 1, Feature::FrintTs),
    (Id::Isar1, 36, 1, Feature::Sb),
    (Id::Isar1, 44, 1, Feature::Bf16),
    (Id::Isar1, 52, 1, Feature::I8mm),
    (Id::Mmfr0, 4, 2, Feature::Base), // ASIDBits: 16
    (Id::Mmfr0, 8, 1, Feature::Base), // BigEnd
    (Id::Mmfr0, 20, 1, Feature::Gran16),
    (Id::Mmfr1, 0, 1, Feature::Haf),
    (Id::Mmfr1, 0, 2, Feature::Hafdbs),
    (Id::Mmfr1, 12, 1, Feature::Hpds),
    (Id::Mmfr1, 16, 1, Feature::Lor),
    (Id::Mmfr1, 20, 1, Feature::Pan),
    (Id::Mmfr1, 20, 2, Feature::Pan2),
    (Id::Mmfr1, 20, 3, Feature::Pan3),
    (Id::Mmfr2, 0, 1, Feature::Cnp),
    (Id::Mmfr2, 4, 1, Feature::Uao),
    (Id::Mmfr2, 16, 1, Feature::Lva),
    (Id::Mmfr2, 28, 1, Feature::Ttst),
    (Id::Mmfr2, 32, 1, Feature::Lse2), // AT
    (Id::Mmfr2, 36, 1, Feature::Idst),
    (Id::Mmfr2, 48, 1, Feature::Ttl),
    (Id::Mmfr2, 52, 2, Feature::Bbm),
    (Id::Mmfr2, 60, 1, Feature::E0pd),
];

/// ID_AA64ISAR1_EL1.API and GPI. The fields of the architected algorithm, APA and GPA, are right below them.
const API: u32 = 8;
const GPI: u32 = 28;

/// PARange: bits of a physical address by the field's value.
pub const PA_BITS: [u8; 7] = [32, 36, 40, 42, 44, 48, 52];

/// Breakpoints, watchpoints, and those of the breakpoints that compare contexts, each less one.
const DEBUG: u64 = 5 << 12 | 3 << 20 | 1 << 28;

/// The register's value on a model.
pub fn value(id: Id, model: &Model) -> u64 {
    let rows = FIELDS.iter().filter(|row| row.0 == id && model.features.has(row.3));
    let fields = rows.fold(0, |all, &(_, at, value, _)| all & !(15 << at) | value << at);
    match id {
        Id::Dfr0 => fields | DEBUG,
        Id::Mmfr0 => {
            let bits = model.address_bits();
            let range = PA_BITS.iter().position(|&b| b == bits).unwrap_or(0);
            fields | range as u64
        }
        Id::Isar1 if model.features.has(Feature::Qarma5) => {
            let architected = 15 << API | 15 << GPI;
            fields & !architected | (fields & architected) >> 4
        }
        _ => fields,
    }
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;

    #[test]
    fn a_field_says_the_most_that_is_there() {
        let id = |text: &str, id| value(id, &model::find(text).unwrap());

        assert_eq!(id("max", Id::Isar0) >> 20 & 15, 2);
        assert_eq!(id("max,lse=off", Id::Isar0) >> 20 & 15, 0);
        assert_eq!(id("max", Id::Mmfr1) >> 20 & 15, 3);
        assert_eq!(id("max,pan3=off", Id::Mmfr1) >> 20 & 15, 2);
        assert_eq!(id("cortex-a72", Id::Mmfr1) >> 20 & 15, 0);
        let authentication = |text: &str| id(text, Id::Isar1) & 0xff00_0ff0;
        assert_eq!(authentication("max"), 5 << API | 1 << GPI);
        assert_eq!(authentication("max,pauth=architected"), 5 << 4 | 1 << 24);
        assert_eq!(authentication("max,pauth2=off"), 1 << API | 1 << GPI);
        assert_eq!(authentication("max,pauth=off"), 0);
    }

    #[test]
    fn sizes_of_addresses_are_the_models() {
        let range = |text: &str| value(Id::Mmfr0, &model::find(text).unwrap()) & 15;

        assert_eq!((range("cortex-a53"), range("cortex-a57")), (2, 4));
        assert_eq!((range("neoverse-n1"), range("max"), range("max,lpa=off")), (5, 6, 5));
    }
}
