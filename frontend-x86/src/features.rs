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
pub const NAMES: [&str; 82] = [
    "fpu", "tsc", "msr", "cx8", "sep", "cmov", "clflush", "mmx", "fxsr", "sse", "sse2", "pni", "pclmulqdq", "monitor",
    "ssse3", "fma", "cx16", "sse4.1", "sse4.2", "movbe", "popcnt", "aes", "xsave", "avx", "f16c", "rdrand", "fsgsbase",
    "bmi1", "avx2", "bmi2", "invpcid", "rdseed", "adx", "smap", "clflushopt", "clwb", "sha-ni", "pku", "rdpid", "gfni",
    "vaes", "vpclmulqdq", "syscall", "rdtscp", "lm", "lahf-lm", "abm", "xsaveopt", "xsavec", "xsaves", "3dnowprefetch",
    "vme", "de", "pse", "pae", "mce", "mtrr", "pge", "mca", "pat", "pse36", "pcid", "smep", "umip", "la57", "nx", "pdpe1gb",
    "fxsr-opt", "tsc-adjust", "apic", "x2apic", "tsc-deadline", "hypervisor", "arat", "invtsc", "arch-capabilities", "ss",
    "cmp-legacy", "topoext", "mmxext", "xgetbv1", "zero-fcs-fds",
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
    /// The set of several.
    ///
    /// # Panics
    /// There is none of a name.
    pub const fn of(names: &[&str]) -> Features {
        let (mut set, mut n) = (Features::NONE, 0);
        while n < names.len() {
            let one = Features::named(names[n].as_bytes());
            assert!(one.is_some(), "no such feature");
            if let Some(one) = one {
                set = set.with(one);
            }
            n += 1;
        }
        set
    }
    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let has = move |n: &usize| self.0 >> n & 1 != 0;
        (0..NAMES.len()).filter(has).map(|n| NAMES[n])
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

/// What a feature needs besides itself: without that it is not there either.
#[rustfmt::skip]
const NEEDS: &[(&str, &[&str])] = &[
    ("mmx", &["fpu"]), ("fxsr", &["fpu"]), ("sse", &["fxsr", "mmx"]), ("sse2", &["sse"]), ("pni", &["sse2"]),
    ("pclmulqdq", &["sse2"]), ("ssse3", &["pni"]), ("sse4.1", &["ssse3"]), ("sse4.2", &["sse4.1"]), ("aes", &["sse2"]),
    ("sha-ni", &["ssse3"]), ("gfni", &["sse2"]), ("xsave", &["fxsr"]), ("avx", &["xsave", "sse4.2"]), ("avx2", &["avx"]),
    ("fma", &["avx"]), ("f16c", &["avx"]), ("vaes", &["avx", "aes"]), ("vpclmulqdq", &["avx", "pclmulqdq"]),
    ("xsaveopt", &["xsave"]), ("xgetbv1", &["xsave"]), ("xsavec", &["xsave"]), ("xsaves", &["xsavec"]), ("pku", &["lm", "xsave"]),
    ("lm", &["pae", "pge", "cx8", "cmov", "msr", "sse2", "syscall", "nx"]), ("lahf-lm", &["lm"]), ("cx16", &["lm", "cx8"]),
    ("fsgsbase", &["lm"]), ("pcid", &["lm", "pge"]), ("la57", &["lm"]), ("pdpe1gb", &["lm"]), ("nx", &["pae", "msr", "syscall"]),
    ("syscall", &["msr"]), ("sep", &["msr"]), ("mtrr", &["msr"]), ("pat", &["msr"]), ("mca", &["mce", "msr"]),
    ("tsc-adjust", &["tsc", "msr"]), ("rdtscp", &["tsc", "msr"]), ("rdpid", &["rdtscp"]), ("invtsc", &["tsc"]),
    ("apic", &["msr"]), ("x2apic", &["apic"]), ("tsc-deadline", &["apic", "tsc"]), ("arat", &["apic"]),
    ("arch-capabilities", &["msr"]), ("fxsr-opt", &["fxsr", "lm"]), ("mmxext", &["mmx"]), ("pse36", &["pse"]),
    ("zero-fcs-fds", &["fpu"]),
];

impl Features {
    /// The same, one of them switched on with what it needs, or off with what needs it.
    #[must_use]
    pub fn switched(self, one: Features, on: bool) -> Features {
        let mut set = if on { self.with(one) } else { self.without(one) };
        // As deep as the table's chains are at most.
        for _ in NEEDS {
            for (what, needs) in NEEDS {
                let (what, needs) = (Features::of(&[what]), Features::of(needs));
                if on && set.has(what) {
                    set = set.with(needs);
                } else if !on && !set.has(needs) {
                    set = set.without(what);
                }
            }
        }
        set
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_feature_needs_comes_and_goes_with_it() {
        let on = Features::NONE.switched(Features::of(&["avx2"]), true);
        assert!(on.has(Features::of(&["avx", "sse4.2", "xsave", "fpu"])));
        assert!(!on.has(Features::of(&["aes"])));

        let off = Features::ALL.switched(Features::of(&["xsave"]), false);
        assert!(off.has(Features::of(&["sse4.2", "lm"])));
        for gone in ["avx", "avx2", "fma", "vaes", "pku", "xsaves"] {
            assert!(!off.has(Features::of(&[gone])), "{gone}");
        }
    }

    #[test]
    fn needs_are_of_features_that_there_are() {
        for (what, needs) in NEEDS {
            for name in needs.iter().chain([what]) {
                assert!(Features::named(name.as_bytes()).is_some(), "{name}");
            }
        }
    }
}
