//! The alignment that loads and stores demand: Arm ARM DDI 0406C, A3.2.1, table A3-1, and A8.8 for the standard alignment
//! of structures.

use super::super::super::Row;

/// What an instruction's address must be a multiple of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Bytes.
    pub bytes: u32,
    /// Also in Normal memory while SCTLR.A is 0. Else only where it is 1, or in Device or Strongly-ordered memory (A3.5.7,
    /// B3.12.4: these CPUs have the Virtualization Extensions, so that it is not UNPREDICTABLE there).
    pub always: bool,
}

const fn always(bytes: u32) -> Rule {
    Rule { bytes, always: true }
}

const fn checked(bytes: u32) -> Rule {
    Rule { bytes, always: false }
}

/// The rule for a word of a row (A32's for VFP and Advanced SIMD).
pub fn rule(row: &Row, word: u32) -> Rule {
    match row.file.as_str() {
        "vfp" => always(4),
        "neon" => structures(word),
        _ => core(&row.name),
    }
}

/// The names that start so, first match first.
const CORE: &[(&str, Rule)] = &[
    ("ldrexb", always(1)),
    ("strexb", always(1)),
    ("ldrexh", always(2)),
    ("strexh", always(2)),
    ("ldrexd", always(8)),
    ("strexd", always(8)),
    ("ldrex", always(4)),
    ("strex", always(4)),
    ("swpb", checked(1)),
    ("swp", always(4)),
    ("ldm", always(4)),
    ("stm", always(4)),
    ("push", always(4)),
    ("pop", always(4)),
    ("ldrd", always(4)),
    ("strd", always(4)),
    ("rfe", always(4)),
    ("srs", always(4)),
    ("ldc", always(4)),
    ("stc", always(4)),
    ("tbb", checked(1)),
    ("tbh", checked(2)),
    ("ldrb", checked(1)),
    ("ldrsb", checked(1)),
    ("strb", checked(1)),
    ("ldrh", checked(2)),
    ("ldrsh", checked(2)),
    ("strh", checked(2)),
    ("ldr", checked(4)),
    ("str", checked(4)),
];

fn core(name: &str) -> Rule {
    let found = CORE.iter().find(|(start, _)| name.starts_with(start));
    found.unwrap_or_else(|| panic!("no rule for {name}")).1
}

/// VLD1 to VLD4 and VST1 to VST4: the alignment that is specified, else the element's size.
fn structures(word: u32) -> Rule {
    let (several, size) = (word >> 8 & 3, word >> 10 & 3);
    let (specified, element) = match (word >> 23 & 1, size) {
        (0, _) => ([1, 8, 16, 32][word as usize >> 4 & 3], 1 << (word >> 6 & 3)),
        (_, 3) => all_lanes(several, word >> 6 & 3, word >> 4 & 1),
        _ => (one_lane(several, size, word >> 4 & 15), 1 << size),
    };
    if specified > 1 {
        always(specified)
    } else {
        checked(element)
    }
}

/// To all lanes: what is specified, and the element's size. `several` is one less than the elements of the structure.
fn all_lanes(several: u32, size: u32, a: u32) -> (u32, u32) {
    let element = 1 << size.min(2);
    let specified = match (several, size, a) {
        (_, _, 0) | (2, ..) => 1,
        (3, 3, _) => 16,
        (3, 2, _) => 8,
        (n, ..) => (n + 1) * element,
    };
    (specified, element)
}

/// To or from one lane: what index_align specifies.
fn one_lane(several: u32, size: u32, index_align: u32) -> u32 {
    match (several, size) {
        (0, 0) | (2, _) => 1,
        (0, 1) => 1 << (index_align & 1),
        (0, _) if index_align & 3 == 3 => 4,
        (0, _) => 1,
        (3, 2) => [1, 8, 16, 1][index_align as usize & 3],
        (n, size) if index_align & 1 != 0 => (n + 1) << size,
        _ => 1,
    }
}
