//! CPU models: identification and features as data (Cortex-A53 TRM DDI 0500, Cortex-A57 TRM DDI 0488, Cortex-A72 TRM 100095,
//! Neoverse N1 TRM 100616), without EL2, EL3 and AArch32; and a CPU as a part of a machine.

use super::features::{Feature, Features, NAMES};
use crate::platform::{NoPlatform, Platform};

/// A CPU model: its identification registers, named as in the manual, as far as they do not follow from its features.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for the list of models.
    pub about: &'static str,
    /// The `compatible` string of the device tree.
    pub compatible: &'static str,
    pub midr: u32,
    pub revidr: u32,
    pub ctr: u32,
    pub clidr: u32,
    /// By CSSELR: level 1 data, level 1 instruction, level 2.
    pub ccsidr: [u32; 3],
    /// Implementer, identification code and number of event counters (up to six).
    pub pmcr: u32,
    /// The performance monitors' events, of the model's those that are counted: see [`crate::pmu`].
    pub events: &'static [u8],
    /// Bits of a physical address, without FEAT_LPA.
    pub pa_bits: u8,
    pub features: Features,
}

impl Model {
    /// Bits of a physical address.
    pub fn address_bits(&self) -> u8 {
        if self.features.has(Feature::Lpa) {
            52
        } else {
            self.pa_bits
        }
    }
}

/// What the models of Armv8.0 have.
const V8_0: Features = Features::BASE.with(&[
    Feature::Crc32,
    Feature::Aes,
    Feature::Pmull,
    Feature::Sha1,
    Feature::Sha256,
    Feature::Pmu,
]);

/// What Neoverse N1 has: Armv8.2 with some of later versions.
const N1: Features = V8_0.with(&[
    Feature::Lse,
    Feature::Lor,
    Feature::Rdm,
    Feature::Fp16,
    Feature::DotProd,
    Feature::Pan,
    Feature::Pan2,
    Feature::Uao,
    Feature::Dpb,
    Feature::Lrcpc,
    Feature::Ssbs,
    Feature::Haf,
    Feature::Hafdbs,
    Feature::Hpds,
    Feature::Cnp,
    Feature::Gran16,
    Feature::Csv2,
    Feature::Csv3,
    Feature::Ras,
]);

/// Everything.
const MAX: Features = N1.with(&[
    Feature::Sha512,
    Feature::Sha3,
    Feature::Sm3,
    Feature::Sm4,
    Feature::Fhm,
    Feature::Fcma,
    Feature::JsCvt,
    Feature::FrintTs,
    Feature::Bf16,
    Feature::I8mm,
    Feature::Lrcpc2,
    Feature::FlagM,
    Feature::FlagM2,
    Feature::Dit,
    Feature::Sb,
    Feature::Dpb2,
    Feature::Pan3,
    Feature::Ttst,
    Feature::Lva,
    Feature::Lpa,
    Feature::TlbiOs,
    Feature::TlbiRange,
    Feature::E0pd,
    Feature::Ttl,
    Feature::Bbm,
    Feature::Idst,
    Feature::PAuth,
    Feature::PAuth2,
    Feature::Fpac,
    Feature::FpacCombine,
    Feature::Bti,
    Feature::Rng,
    Feature::Lse2,
]);

/// What a model can have.
const POSSIBLE: Features = MAX.with(&[Feature::Qarma5]);

/// All events that are counted.
const EVENTS: [u8; 17] = [
    0x00, 0x03, 0x04, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x10, 0x11, 0x13, 0x1b, 0x1c, 0x1d, 0x21,
];
/// Of these, those of Cortex-A53.
const EVENTS_A53: [u8; 14] = [
    0x00, 0x03, 0x04, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x10, 0x11, 0x13, 0x1d,
];
/// Those of Cortex-A57 and A72.
const EVENTS_A57: [u8; 13] = [
    0x00, 0x03, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x13, 0x1b, 0x1c, 0x1d,
];
/// Those of Neoverse N1.
const EVENTS_N1: [u8; 14] = [
    0x00, 0x03, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x13, 0x1b, 0x1c, 0x1d, 0x21,
];

/// The models, the default first.
pub const MODELS: &[Model] = &[
    Model {
        name: "max",
        about: "everything that is there (the default)",
        compatible: "arm,armv8",
        // Implementer 0 is reserved for software, so that no kernel looks for a product's errata.
        midr: 0x000f_e640,
        revidr: 0,
        // DIC and IDC: code is never stale, memory has no caches.
        ctr: 0xb444_c004,
        clidr: 0x0a20_0023,
        ccsidr: [0x701f_e00a, 0x201f_e012, 0x70ff_e07a],
        pmcr: 0x0000_3000,
        events: &EVENTS,
        pa_bits: 48,
        features: MAX,
    },
    Model {
        name: "cortex-a53",
        about: "Armv8.0-A",
        compatible: "arm,cortex-a53",
        midr: 0x410f_d034,
        revidr: 0,
        ctr: 0x8444_8004,
        clidr: 0x0a20_0023,
        ccsidr: [0x700f_e01a, 0x201f_e00a, 0x707f_e07a],
        pmcr: 0x4103_3000,
        events: &EVENTS_A53,
        pa_bits: 40,
        features: V8_0,
    },
    Model {
        name: "cortex-a57",
        about: "Armv8.0-A",
        compatible: "arm,cortex-a57",
        midr: 0x411f_d070,
        revidr: 0,
        ctr: 0x8444_c004,
        clidr: 0x0a20_0023,
        ccsidr: [0x701f_e00a, 0x201f_e012, 0x70ff_e07a],
        pmcr: 0x4101_3000,
        events: &EVENTS_A57,
        pa_bits: 44,
        features: V8_0,
    },
    Model {
        name: "cortex-a72",
        about: "Armv8.0-A",
        compatible: "arm,cortex-a72",
        midr: 0x410f_d083,
        revidr: 0,
        ctr: 0x8444_c004,
        clidr: 0x0a20_0023,
        ccsidr: [0x701f_e00a, 0x201f_e012, 0x707f_e07a],
        pmcr: 0x4102_3000,
        events: &EVENTS_A57,
        pa_bits: 44,
        features: V8_0,
    },
    Model {
        name: "neoverse-n1",
        about: "Armv8.2-A",
        compatible: "arm,neoverse-n1",
        midr: 0x414f_d0c1,
        revidr: 0,
        ctr: 0x8444_c004,
        clidr: 0x0a20_0023,
        ccsidr: [0x701f_e01a, 0x201f_e01a, 0x70ff_e03a],
        pmcr: 0x410c_3000,
        events: &EVENTS_N1,
        pa_bits: 48,
        features: N1,
    },
];

/// The model of a name, with features switched: `max`, `cortex-a72,crc32=off`.
///
/// # Errors
/// What is wrong with it, for the user.
pub fn find(text: &str) -> Result<Model, String> {
    let (name, switches) = text
        .split_once(',')
        .map_or((text, None), |(name, rest)| (name, Some(rest)));
    let found = MODELS.iter().find(|model| model.name == name);
    let mut model = *found.ok_or_else(|| format!("no CPU model {name}"))?;
    for switch in switches.iter().flat_map(|all| all.split(',')) {
        let (name, on) = switch.split_once('=').unwrap_or((switch, "on"));
        let feature = NAMES.iter().find(|row| row.1 == name);
        let (feature, _) = *feature.ok_or_else(|| format!("no CPU feature {name}"))?;
        let (feature, on) = match on {
            "on" => (feature, true),
            "off" => (feature, false),
            "architected" if feature == Feature::PAuth => (Feature::Qarma5, true),
            other if feature == Feature::PAuth => {
                return Err(format!("{name} is on, architected or off, not {other}"));
            }
            other => return Err(format!("{name} is on or off, not {other}")),
        };
        if on && !POSSIBLE.has(feature) {
            return Err(format!("no model has {name}"));
        }
        model.features = model.features.switched(feature, on);
    }
    Ok(model)
}

/// The list of models for `--cpu help`: a line each.
pub fn list() -> String {
    MODELS.iter().map(|m| format!("{:<12} {}\n", m.name, m.about)).collect()
}

/// An AArch64 CPU: its model and its way to the machine. The architectural state is a [`Cpu`](super::state::Cpu).
pub struct A64 {
    /// The CPU model.
    pub model: Model,
    /// The machine around it.
    pub platform: Box<dyn Platform>,
    /// HLT #0xf000 calls the machine. Else it is what it is without a halting debugger.
    pub semihosting: bool,
}

impl A64 {
    /// A CPU of a model on its own.
    pub fn alone(model: Model) -> A64 {
        A64 {
            model,
            platform: Box::new(NoPlatform),
            semihosting: false,
        }
    }
    /// One of the default model on its own, but with these features.
    pub fn with(features: Features) -> A64 {
        #[allow(clippy::indexing_slicing, reason = "a constant's first")]
        let model = MODELS[0];
        A64::alone(Model { features, ..model })
    }
    /// What it has.
    pub fn features(&self) -> Features {
        self.model.features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_switched_by_name() {
        let model = find("max,lse=off,sb=on,pan=off").unwrap();

        assert!(!model.features.has(Feature::Lse) && model.features.has(Feature::Sb));
        assert!(!model.features.has(Feature::Pan3), "needs what is off");
        assert!(find("max").unwrap().features.has(Feature::Pan3));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for (text, why) in [
            ("arm926", "no CPU model arm926"),
            ("max,flux=off", "no CPU feature flux"),
            ("max,lse=maybe", "lse is on or off, not maybe"),
            ("max,pauth=maybe", "pauth is on, architected or off, not maybe"),
            ("max,", "no CPU feature "),
        ] {
            assert_eq!(find(text).err().as_deref(), Some(why), "{text}");
        }
    }

    /// A feature whose instructions have no rows is not claimed.
    #[test]
    fn models_have_no_features_without_rows() {
        use super::super::rows;
        let of_instructions = NAMES.iter().map(|row| row.0).filter(|&f| f < Feature::Pmu);
        let elsewhere = [
            Feature::Pan,
            Feature::Uao,
            Feature::Dpb,
            Feature::Dpb2,
            Feature::Dit,
            Feature::Ssbs,
            Feature::Bti,
            Feature::Rng,
        ];
        for feature in of_instructions.filter(|f| MAX.has(*f) && !elsewhere.contains(f)) {
            assert!(rows().any(|row| row.needs == feature as u8), "{feature:?}");
        }
    }
}
