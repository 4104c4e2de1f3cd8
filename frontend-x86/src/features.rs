//! What a CPU may have or lack, by the names that libvirt and QEMU have for CPUID's bits.
#![expect(
    clippy::indexing_slicing,
    reason = "numbers are below the length of what they number"
)]

/// A set of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u128);

/// Every feature's name. A feature's number is its place.
#[rustfmt::skip]
const NAMES: [&str; 69] = [
    "fpu", "tsc", "msr", "cx8", "sep", "cmov", "clflush", "mmx", "fxsr", "sse", "sse2", "pni", "pclmulqdq", "monitor",
    "ssse3", "fma", "cx16", "sse4.1", "sse4.2", "movbe", "popcnt", "aes", "xsave", "avx", "f16c", "rdrand", "fsgsbase",
    "bmi1", "avx2", "bmi2", "invpcid", "rdseed", "adx", "smap", "clflushopt", "clwb", "sha-ni", "pku", "rdpid", "gfni",
    "vaes", "vpclmulqdq", "syscall", "rdtscp", "lm", "lahf-lm", "abm", "xsaveopt", "xsavec", "xsaves", "3dnowprefetch",
    "vme", "de", "pse", "pae", "mce", "mtrr", "pge", "mca", "pat", "pse36", "pcid", "smep", "umip", "la57", "nx", "pdpe1gb",
    "fxsr-opt", "tsc-adjust",
];
const _: () = assert!(NAMES.len() < 128);

impl Features {
    /// None.
    pub const NONE: Features = Features(0);
    /// All that there are.
    pub const ALL: Features = Features((1 << NAMES.len()) - 1);

    /// The set of one feature; none of that name: `None`.
    pub const fn named(name: &[u8]) -> Option<Features> {
        let mut n = 0;
        while n < NAMES.len() {
            if same(NAMES[n].as_bytes(), name) {
                return Some(Features(1 << n));
            }
            n += 1;
        }
        None
    }
    /// Those of both sets.
    pub const fn with(self, more: Features) -> Features {
        Features(self.0 | more.0)
    }
    /// Those that are not in another set.
    pub const fn without(self, less: Features) -> Features {
        Features(self.0 & !less.0)
    }
    /// Whether all of another set are in it.
    pub const fn has(self, all: Features) -> bool {
        all.0 & !self.0 == 0
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
