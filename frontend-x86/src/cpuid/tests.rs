use super::*;
use crate::decode::{Code, Size, decode};
use crate::features::{Features, NAMES};
use crate::machine_for_tests::{Bench, x86};
use crate::model::{MODELS, find};

/// What a model says in 64-bit mode.
fn asked(model: Model, leaf: u32, subleaf: u32) -> Registers {
    cpuid(&x86(model), &Bench::long(0).cpu, leaf, subleaf)
}
fn bit(model: Model, (leaf, subleaf, register, bit): Bit) -> bool {
    asked(model, leaf, subleaf)[register] >> bit & 1 != 0
}

/// Neither does a bit stand for what is not there, nor is there what has no bit.
#[test]
fn bits_and_features_agree_in_each_model() {
    for model in MODELS {
        for &(name, at) in BITS {
            let has_leaf = at.0 <= model.level || at.0 >= EXTENDED && at.0 <= model.extended_level;
            let said = has_leaf && bit(*model, at);
            assert_eq!(said, model.has(name), "{name} of {}", model.name);
        }
    }
    for name in NAMES {
        assert_eq!(BITS.iter().filter(|row| row.0 == name).count(), 1, "{name}");
    }
    for (n, row) in BITS.iter().enumerate() {
        assert!(BITS.iter().skip(n + 1).all(|other| other.1 != row.1), "{}", row.0);
    }
}

/// An instruction that a bit of CPUID stands for is #UD without it.
#[test]
fn what_is_denied_is_not_decoded() {
    let instructions: [(&str, &[u8]); 14] = [
        ("avx2", &[0xc5, 0xfd, 0xfe, 0xc1]),
        ("sse2", &[0x66, 0x0f, 0xfe, 0xc1]),
        ("popcnt", &[0xf3, 0x0f, 0xb8, 0xc1]),
        ("movbe", &[0x0f, 0x38, 0xf0, 0x07]),
        ("rdrand", &[0x0f, 0xc7, 0xf0]),
        ("rdseed", &[0x0f, 0xc7, 0xf8]),
        ("rdtscp", &[0x0f, 0x01, 0xf9]),
        ("cmov", &[0x0f, 0x40, 0xc1]),
        ("cx16", &[0x48, 0x0f, 0xc7, 0x0f]),
        ("smap", &[0x0f, 0x01, 0xca]),
        ("fsgsbase", &[0xf3, 0x0f, 0xae, 0xc0]),
        ("xsave", &[0x0f, 0x01, 0xd0]),
        ("syscall", &[0x0f, 0x05]),
        ("sep", &[0x0f, 0x34]),
    ];
    for model in MODELS {
        for (name, bytes) in instructions {
            let code = Code {
                size: Size::Bits64,
                vex: true,
                wide_branches: true,
                features: model.features,
            };
            let decoded = decode(&code, |n| bytes.get(usize::from(n)).copied().ok_or(())).is_ok();
            // Without CMPXCHG16B the bytes are CMPXCHG8B.
            let other = name == "cx16" && model.has("cx8");
            assert_eq!(decoded, model.has(name) || other, "{name} of {}", model.name);
        }
    }
}

#[test]
fn leaves_that_there_are_not_are_the_highest_or_nothing() {
    let [intel, amd] = ["Haswell", "EPYC"].map(|name| find(name).unwrap());

    assert_eq!(asked(intel, 0x1234, 0), asked(intel, 0xd, 0));
    assert_eq!(asked(intel, 0x8000_0009, 1), asked(intel, 0xd, 1));
    assert_eq!(asked(intel, HYPERVISOR, 0), asked(intel, 0xd, 0));
    assert_eq!(asked(amd, 0x1234, 0), [0; 4]);
    let guest = find("Haswell,hypervisor").unwrap();
    assert_eq!(asked(guest, HYPERVISOR, 0)[0], HYPERVISOR);
}

#[test]
fn vendors_and_brands_are_spelt() {
    let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
    for (name, vendor) in [("Nehalem", b"GenuineIntel"), ("EPYC", b"AuthenticAMD")] {
        let model = find(name).unwrap();
        let [highest, b, c, d] = asked(model, 0, 0);
        assert_eq!((highest, bytes(&[b, d, c])), (model.level, vendor.to_vec()));
        let brand: Vec<u8> = (2..5).flat_map(|n| bytes(&asked(model, EXTENDED + n, 0))).collect();
        assert_eq!(brand.len(), 48);
        assert!(brand.starts_with(model.brand.as_bytes()) && brand[47] == 0);
    }
}

/// SDM 1, 13.2.
#[test]
fn areas_are_as_large_as_what_is_enabled() {
    let mut cpu = Bench::long(0).cpu;
    cpu.sys.xcr0 = 3;
    let max = x86(find("max").unwrap());

    assert_eq!(cpuid(&max, &cpu, 0xd, 0), [0x207, 576, 2696, 0]);
    assert_eq!(cpuid(&max, &cpu, 0xd, 2), [256, 576, 0, 0]);
    assert_eq!(cpuid(&max, &cpu, 0xd, 9), [8, 2688, 0, 0]);
    assert_eq!(cpuid(&max, &cpu, 0xd, 3), [0; 4]);
    cpu.sys.xcr0 = 7;
    assert_eq!(cpuid(&max, &cpu, 0xd, 0)[EBX], 832);
    cpu.sys.xcr0 = 0x207;
    assert_eq!(cpuid(&max, &cpu, 0xd, 1), [0xf, 840, 0, 0]);
    let less = x86(find("max,avx=off,pku=off").unwrap());
    assert_eq!(cpuid(&less, &cpu, 0xd, 0), [3, 576, 576, 0]);
}

/// The machine for tests has two CPUs.
#[test]
fn cpus_are_cores_of_one_package() {
    let max = find("max").unwrap();

    let [_, ebx, _, edx] = asked(max, 1, 0);
    assert_eq!((ebx >> 16 & 0xff, edx >> 28 & 1), (2, 1));
    assert_eq!(asked(max, 0xb, 0), [0, 1, 0x100, 0]);
    assert_eq!(asked(max, 0xb, 1), [1, 2, 0x201, 0]);
    assert_eq!(asked(max, 0xb, 2), [0, 0, 2, 0]);
    let [cores, share] = [asked(max, 4, 0)[0] >> 26, asked(max, 4, 3)[0] >> 14 & 0xfff];
    assert_eq!((cores, share, asked(max, 4, 4)), (1, 1, [0; 4]));
    assert_eq!(asked(find("EPYC").unwrap(), 0x8000_0008, 0)[ECX], 1 << 12 | 1);
}

/// OSXSAVE and OSPKE are what CR4 says; SYSCALL is Intel's in 64-bit mode alone.
#[test]
fn some_bits_are_of_the_state() {
    let max = x86(find("max").unwrap());
    let mut cpu = Bench::long(0).cpu;
    let on = |cpu: &Cpu| {
        (
            cpuid(&max, cpu, 1, 0)[ECX] >> 27 & 1,
            cpuid(&max, cpu, 7, 0)[ECX] >> 4 & 1,
        )
    };

    assert_eq!(on(&cpu), (0, 0));
    cpu.sys.cr4 |= cr4::OSXSAVE | cr4::PKE;
    assert_eq!(on(&cpu), (1, 1));
    assert_eq!(cpuid(&max, &Bench::protected(0).cpu, EXTENDED + 1, 0)[EDX] >> 11 & 1, 0);
}

/// The test platform's counter has 1 GHz; above 4 GHz the crystal is slower.
#[test]
fn the_rate_of_time_is_told() {
    let max = find("max").unwrap();

    assert_eq!(asked(max, 0x15, 0), [1, 1, 1_000_000_000, 0]);
    assert_eq!(asked(max, 0x16, 0), [1000, 1000, 100, 0]);
    assert_eq!(clock(5_000_000_000), [1, 2, 2_500_000_000, 0]);
}

#[test]
fn a_model_of_everything_lacks_what_is_asked_for() {
    let max = find("max").unwrap();

    for name in ["monitor", "hypervisor", "topoext"] {
        assert!(!max.has(name) && find(&format!("max,{name}")).unwrap().has(name));
    }
    assert!(
        max.features
            .has(Features::of(&["avx2", "la57", "sha-ni", "xsaves", "pku"]))
    );
}
