//! The processor that this runs on, which is the oracle.

use emu_frontend_x86::features::Features;
use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

/// Lines of /proc/cpuinfo of the first processor, by name.
fn line(name: &str) -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| key.trim() == name);
    found.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// Its name.
pub fn model() -> String {
    let (family, model) = (line("cpu family"), line("model"));
    format!(
        "{} {}, family {family} model {model}",
        line("vendor_id"),
        line("model name")
    )
}

/// Whether it is of the maker whose processors made the vectors.
pub fn is_amd() -> bool {
    line("vendor_id") == "AuthenticAMD"
}

/// What Linux calls features that libvirt and QEMU, and so this project, call otherwise.
const NAMES: [(&str, &str); 8] = [
    ("cx8", "cx8"),
    ("sse4_1", "sse4.1"),
    ("sse4_2", "sse4.2"),
    ("sha_ni", "sha-ni"),
    ("lahf_lm", "lahf-lm"),
    ("nrip_save", "nrip-save"),
    ("pclmulqdq", "pclmulqdq"),
    ("cx16", "cx16"),
];

/// What it has.
pub static FEATURES: LazyLock<Features> = LazyLock::new(|| {
    let flags = line("flags");
    let names = flags.split_whitespace().map(|flag| {
        let other = NAMES.iter().find(|(linux, _)| *linux == flag);
        other.map_or(flag, |(_, name)| *name)
    });
    let sets = names.filter_map(|name| Features::named(name.as_bytes()));
    sets.fold(Features::NONE, Features::with)
});

/// Features that rows need and it lacks, by name.
pub fn lacks<'a>(rows: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let needs = rows.flat_map(|text| text.split_whitespace().filter_map(|word| word.strip_prefix('@')));
    let lacking = |name: &&str| Features::named(name.as_bytes()).is_some_and(|f| !FEATURES.has(f));
    needs.filter(lacking).collect()
}
