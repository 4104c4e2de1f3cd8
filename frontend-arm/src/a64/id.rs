//! Identification registers (Arm ARM DDI 0487, D19.2, ID_AA64*, and of AArch32 ID_* and MVFR*): what a model's features come to in them, so that they say
//! exactly what is there.

use super::aarch32::MODEL as AARCH32;
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
    A32Pfr0,
    A32Pfr1,
    A32Pfr2,
    A32Dfr0,
    A32Isar5,
    A32Isar6,
    Mvfr1,
    Mvfr2,
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
    (Id::A32Pfr0, 16, 1, Feature::Csv2),
    (Id::A32Pfr0, 24, 1, Feature::Dit),
    (Id::A32Pfr0, 28, 1, Feature::Ras),
    (Id::A32Pfr1, 28, 1, Feature::Gic),
    (Id::A32Pfr2, 0, 1, Feature::Csv3),
    (Id::A32Pfr2, 4, 1, Feature::Ssbs),
    (Id::A32Dfr0, 24, 3, Feature::Pmu), // PerfMon: version 3
    (Id::A32Isar5, 4, 1, Feature::Aes),
    (Id::A32Isar5, 4, 2, Feature::Pmull),
    (Id::A32Isar5, 8, 1, Feature::Sha1),
    (Id::A32Isar5, 12, 1, Feature::Sha256),
    (Id::A32Isar5, 16, 1, Feature::Crc32),
    (Id::A32Isar5, 24, 1, Feature::Rdm),
    (Id::A32Isar5, 28, 1, Feature::Fcma),
    (Id::A32Isar6, 0, 1, Feature::JsCvt),
    (Id::A32Isar6, 4, 1, Feature::DotProd),
    (Id::A32Isar6, 8, 1, Feature::Fhm),
    (Id::A32Isar6, 12, 1, Feature::Sb),
    (Id::A32Isar6, 20, 1, Feature::Bf16),
    (Id::A32Isar6, 24, 1, Feature::I8mm),
    (Id::Mvfr1, 20, 2, Feature::Fp16), // SIMDHP
    (Id::Mvfr1, 24, 3, Feature::Fp16), // FPHP
    (Id::Mvfr2, 0, 3, Feature::Base), // SIMDMisc
    (Id::Mvfr2, 4, 4, Feature::Base), // FPMisc
];

/// What AArch32 has whatever the features.
fn of_aarch32(id: Id) -> u32 {
    let [pfr0, pfr1] = AARCH32.id_pfr;
    let [.., isar5] = AARCH32.id_isar;
    match id {
        Id::A32Pfr0 => pfr0,
        Id::A32Pfr1 => pfr1,
        Id::A32Dfr0 => AARCH32.id_dfr0,
        Id::A32Isar5 => isar5,
        Id::Mvfr1 => AARCH32.mvfr1,
        _ => 0,
    }
}

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
    let fields = rows.fold(of_aarch32(id).into(), |all, &(_, at, value, _)| {
        all & !(15 << at) | value << at
    });
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
    fn aarch32_has_what_aarch64_has() {
        let ids = |text: &str| {
            let model = model::find(text).unwrap();
            [Id::A32Isar5, Id::A32Isar6, Id::Mvfr1, Id::Mvfr2].map(|id| value(id, &model))
        };

        assert_eq!(ids("cortex-a53"), [0x0001_1121, 0, 0x1211_1111, 0x43]);
        assert_eq!(ids("neoverse-n1"), [0x0101_1121, 0x10, 0x1321_1111, 0x43]);
        assert_eq!(ids("max"), [0x1101_1121, 0x0110_1111, 0x1321_1111, 0x43]);
        assert_eq!(ids("cortex-a53,aes=off,crc32=off"), [0x1101, 0, 0x1211_1111, 0x43]);
    }

    #[test]
    fn sizes_of_addresses_are_the_models() {
        let range = |text: &str| value(Id::Mmfr0, &model::find(text).unwrap()) & 15;

        assert_eq!((range("cortex-a53"), range("cortex-a57")), (2, 4));
        assert_eq!((range("neoverse-n1"), range("max"), range("max,lpa=off")), (5, 6, 5));
    }
}
