//! What a CPU is: models by libvirt's names, with their features as libvirt has them, of those that there are here.

use crate::features::Features;

/// A model of CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for the list of models.
    pub about: &'static str,
    /// What it has.
    pub features: Features,
    /// Bits of a physical address: MAXPHYADDR, 32 to 52.
    pub address_bits: u8,
    /// Family, model and stepping: EDX after reset, EAX of CPUID 1.
    pub signature: u32,
    /// It does as AMD's processors do where they and Intel's differ.
    pub amd: bool,
    /// The highest leaf of CPUID.
    pub level: u32,
    /// The highest of its extended leaves; 0 where there are none.
    pub extended_level: u32,
    /// What it calls itself, at most 47 bytes.
    pub brand: &'static str,
}

const I486: Features = Features::of(&["fpu", "vme", "pse"]);
const PENTIUM: Features = I486.with(Features::of(&["de", "tsc", "msr", "mce", "cx8", "mmx", "apic"]));
const PENTIUM3: Features = PENTIUM.with(Features::of(&[
    "pae", "sep", "mtrr", "pge", "mca", "cmov", "pat", "pse36", "fxsr", "sse",
]));
/// What processors with 64 bits all have.
const AMD64: Features = PENTIUM3.with(Features::of(&[
    "clflush", "sse2", "pni", "cx16", "syscall", "nx", "lm", "lahf-lm",
]));
const QEMU64: Features = AMD64.without(Features::of(&["vme"]));
const CORE2DUO: Features = AMD64.with(Features::of(&["ss", "monitor", "ssse3"]));
const NEHALEM: Features = AMD64.with(Features::of(&["ssse3", "sse4.1", "sse4.2", "popcnt"]));
#[rustfmt::skip]
const HASWELL: Features = NEHALEM.with(Features::of(&[
    "pclmulqdq", "aes", "xsave", "avx", "f16c", "rdrand", "fma", "movbe", "pcid", "x2apic", "tsc-deadline",
    "fsgsbase", "bmi1", "avx2", "smep", "bmi2", "invpcid", "rdtscp", "abm", "xsaveopt", "arat",
]));
#[rustfmt::skip]
const SKYLAKE_SERVER: Features = HASWELL.with(Features::of(&[
    "rdseed", "adx", "smap", "clflushopt", "clwb", "pku", "xsavec", "xgetbv1", "pdpe1gb", "3dnowprefetch",
]));
#[rustfmt::skip]
const EPYC: Features = NEHALEM.with(Features::of(&[
    "rdrand", "f16c", "avx", "xsave", "aes", "movbe", "fma", "monitor", "pclmulqdq", "rdtscp", "pdpe1gb", "fxsr-opt",
    "mmxext", "3dnowprefetch", "abm", "topoext", "cmp-legacy", "fsgsbase", "bmi1", "avx2", "smep", "bmi2", "rdseed",
    "adx", "smap", "clflushopt", "sha-ni", "xsaveopt", "xsavec", "xgetbv1", "arat",
]));
/// What no model has unless told so. MWAIT does not wait: a system that has MONITOR would idle by it and never rest. The others say
/// that it is AMD's, or that there is a hypervisor.
const ASKED_FOR: Features = Features::of(&["monitor", "hypervisor", "cmp-legacy", "topoext", "mmxext", "fxsr-opt"]);

impl Model {
    /// One that has everything, for where no other is asked for.
    pub const ALL: Model = Model {
        name: "all",
        about: "everything",
        features: Features::ALL,
        address_bits: 46,
        // A stepping whose TSC deadline Linux trusts without new microcode.
        signature: 0x0005_0657,
        amd: false,
        level: 0x1f,
        extended_level: 0x8000_0008,
        brand: "emu",
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

/// The models, the default first.
pub const MODELS: &[Model] = &[
    Model {
        name: "max",
        about: "everything that is there (the default)",
        features: Features::ALL.without(ASKED_FOR),
        brand: "emu max",
        ..Model::ALL
    },
    Model {
        name: "qemu64",
        about: "x86-64 without options",
        features: QEMU64,
        address_bits: 40,
        signature: 0x0006_0fb1,
        amd: true,
        level: 0xd,
        extended_level: 0x8000_0008,
        brand: "emu qemu64",
    },
    Model {
        name: "486",
        about: "Intel 80486",
        features: I486,
        address_bits: 32,
        signature: 0x0480,
        amd: false,
        level: 1,
        extended_level: 0,
        brand: "",
    },
    Model {
        name: "pentium",
        about: "Intel Pentium with MMX",
        features: PENTIUM,
        address_bits: 32,
        signature: 0x0543,
        amd: false,
        level: 1,
        extended_level: 0,
        brand: "",
    },
    Model {
        name: "pentium3",
        about: "Intel Pentium III",
        features: PENTIUM3,
        address_bits: 36,
        signature: 0x0683,
        amd: false,
        level: 2,
        extended_level: 0,
        brand: "",
    },
    Model {
        name: "core2duo",
        about: "Intel Core 2 Duo",
        features: CORE2DUO,
        address_bits: 36,
        signature: 0x06fb,
        amd: false,
        level: 0xa,
        extended_level: 0x8000_0008,
        brand: "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
    },
    Model {
        name: "Nehalem",
        about: "Intel Core i7 of 2008",
        features: NEHALEM,
        address_bits: 40,
        signature: 0x0001_06a3,
        amd: false,
        level: 0xb,
        extended_level: 0x8000_0008,
        brand: "Intel Core i7 9xx (Nehalem Class Core i7)",
    },
    Model {
        name: "Haswell",
        about: "Intel Core of 2013",
        features: HASWELL,
        address_bits: 46,
        signature: 0x0003_06c4,
        amd: false,
        level: 0xd,
        extended_level: 0x8000_0008,
        brand: "Intel Core Processor (Haswell)",
    },
    Model {
        name: "Skylake-Server",
        about: "Intel Xeon of 2017, without AVX-512",
        features: SKYLAKE_SERVER,
        address_bits: 46,
        signature: 0x0005_0654,
        amd: false,
        level: 0x16,
        extended_level: 0x8000_0008,
        brand: "Intel Xeon Processor (Skylake)",
    },
    Model {
        name: "EPYC",
        about: "AMD EPYC of 2017",
        features: EPYC,
        address_bits: 48,
        signature: 0x0080_0f12,
        amd: true,
        level: 0xd,
        extended_level: 0x8000_001e,
        brand: "AMD EPYC Processor",
    },
];

/// The model of a name, with features switched: `max`, `Haswell,avx2=off`, `qemu64,popcnt`. `_` in a feature's name is `-`.
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
        let (name, on) = match (switch.strip_prefix('+'), switch.strip_prefix('-')) {
            (Some(name), _) => (name, "on"),
            (_, Some(name)) => (name, "off"),
            _ => switch.split_once('=').unwrap_or((switch, "on")),
        };
        let feature = Features::named(name.replace('_', "-").as_bytes());
        let feature = feature.ok_or_else(|| format!("no CPU feature {name}"))?;
        let on = match on {
            "on" => true,
            "off" => false,
            other => return Err(format!("{name} is on or off, not {other}")),
        };
        model.features = model.features.switched(feature, on);
    }
    Ok(model)
}

/// The list of models for `--cpu help`: a line each.
pub fn list() -> String {
    MODELS.iter().map(|m| format!("{:<15} {}\n", m.name, m.about)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_names_and_what_their_features_need() {
        for model in MODELS {
            assert_eq!(find(model.name).as_ref(), Ok(model));
            let all = model.features.names();
            let settled = all.fold(model.features, |set, name| set.switched(Features::of(&[name]), true));
            assert_eq!(settled, model.features, "{}", model.name);
            assert!(model.brand.len() < 48 && list().contains(model.name));
        }
    }

    #[test]
    fn features_are_switched_by_name() {
        let model = find("Haswell,xsave=off,lahf_lm=off,sha-ni").unwrap();

        for gone in ["xsave", "avx", "avx2", "fma", "lahf-lm"] {
            assert!(!model.has(gone), "{gone}");
        }
        assert!(model.has("sha-ni") && model.has("sse4.2"));
        assert_eq!(find("Haswell,-xsave,-lahf_lm,+sha_ni"), Ok(model));
        for (text, words) in [
            ("vax", "no CPU model vax"),
            ("max,quantum", "no CPU feature quantum"),
            ("max,avx=maybe", "avx is on or off, not maybe"),
            ("max,+", "no CPU feature "),
            ("max,-avx=on", "no CPU feature avx=on"),
        ] {
            assert_eq!(find(text).unwrap_err(), words);
        }
    }
}
