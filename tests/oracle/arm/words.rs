//! Instructions of a row: every free bit is random, though fields whose values are mostly UNPREDICTABLE or without effect
//! take the others more often.

use super::super::{Random, Row};
use super::armv8::MODEL;
use super::record::{CODE, CODE_WORDS, Record, T, UDF, UDF_NARROW};
use bytemuck::Zeroable;
use emu_frontend_arm::a32::{Set, decoders};
use emu_frontend_arm::guest::CALLS;
use emu_frontend_arm::state::mode;
use emu_frontend_arm::translate::translate;
use emu_ir::{BlockKey, Builder, Effect, Fault, Fetch, HelperFn, Op};

/// A row's fields: where their bits are.
pub struct Fields<'a>(&'a str);

impl Fields<'_> {
    pub fn of(row: &Row) -> Fields<'_> {
        Fields(&row.pattern)
    }
    /// The bits of the field, if the row has it.
    pub fn mask(&self, name: char) -> u32 {
        let bits = self.0.chars().filter(|c| *c != ' ');
        bits.fold(0, |mask, c| mask << 1 | u32::from(c == name))
    }
    /// The value of the field in a word, if the row has it.
    pub fn value(&self, name: char, word: u32) -> Option<u32> {
        let mask = self.mask(name);
        (mask != 0).then(|| emu_ir::pattern::extract(word, mask))
    }
}

/// Whether instructions of that name access memory.
pub fn touches_memory(name: &str) -> bool {
    [
        "ld", "st", "push", "pop", "tbb", "tbh", "swp", "vld", "vst", "rfe", "srs",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// The set that the row's words are of: A32 for VFP and Advanced SIMD, whose T32 words follow from them.
pub fn set(row: &Row) -> Set {
    match row.file.as_str() {
        "t32" => Set::T32,
        "t16" => Set::T16,
        _ => Set::A32,
    }
}

/// A word of the row, which no finer row takes.
pub fn word_of(row: &Row, random: &mut Random) -> u32 {
    let fields = Fields::of(row);
    let (ones, fixed) = (fields.mask('1'), fields.mask('0') | fields.mask('1'));
    let narrow = set(row) == Set::T16;
    let conditional = fixed >> 28 == 0 && !narrow;
    let mut word = 0;
    for _ in 0..100 {
        word = random.word() & !fixed | ones;
        if conditional {
            let cond = if random.one_in(2) { 14 } else { random.below(15) as u32 };
            word = word & 0x0fff_ffff | cond << 28;
        }
        // One in some words is as it came.
        if !random.one_in(12) {
            word = tamed(row, word, random);
        }
        if narrow {
            word &= 0xffff;
        }
        if is_of(row, word) && !is_breakpoint(word) && !reads_environment(row, word) {
            break;
        }
    }
    word
}

/// Whether the decoder finds this row for the word.
pub fn is_of(row: &Row, word: u32) -> bool {
    let found = decoders().find(set(row), word).0;
    found.is_some_and(|f| f.name == row.name && f.pattern.text == row.pattern)
}

/// The word with fewer UNPREDICTABLE fields.
fn tamed(row: &Row, word: u32, random: &mut Random) -> u32 {
    match row.file.as_str() {
        "vfp" => tamed_vfp(row, word, random),
        "neon" => tamed_neon(row, word, random),
        _ => tamed_core(row, word, random),
    }
}

/// No register is R15, no transfer to nowhere.
fn tamed_core(row: &Row, mut word: u32, random: &mut Random) -> u32 {
    let fields = Fields::of(row);
    for name in "dnmahlrset".chars() {
        let mask = fields.mask(name);
        if mask.count_ones() == 4 && word & mask == mask && !random.one_in(8) {
            word &= !(random.pick(&[1, 2, 4, 8]) << mask.trailing_zeros());
        }
    }
    let store_at_pc = row.name.starts_with("st") && fields.value('n', word) == Some(15);
    if store_at_pc {
        word |= 0x880; // beyond the code itself
    }
    if fields.mask('l') == 0xffff && !random.one_in(6) {
        word = tamed_list(row, word);
    }
    let dual = row.name.starts_with("ldrd") || row.name.starts_with("strd") || row.name.ends_with("exd");
    if dual && row.file == "a32" && !random.one_in(4) {
        let register = if row.name.starts_with("st") && row.name.ends_with("exd") {
            's'
        } else {
            'd'
        };
        word &= !(fields.mask(register) & fields.mask(register).wrapping_neg());
        if row.name.ends_with("_imm") {
            word &= !3; // an aligned address
        }
        if word >> 24 & 1 == 0 {
            word &= !(1 << 21); // written back after the access anyway
        }
    }
    if row.name == "mcr" && random.one_in(2) {
        // What User mode may write: barriers, and a thread's register.
        let register = random.pick(&[0x0007_0f95, 0x0007_0f9a, 0x0007_0fba, 0x000d_0f50]);
        word = word & 0xf000_f000 | 0x0e00_0010 | register;
    }
    if row.file == "t32" && ["rev", "rev16", "revsh", "rbit", "clz"].contains(&row.name.as_str()) {
        word = word & !(15 << 16) | (word & 15) << 16; // Rm is there twice
    }
    if matches!(row.name.as_str(), "bx" | "blx" | "setend") {
        word &= !fields.mask('-');
    }
    word
}

/// LDM or STM without what it must not have in its list, and with two registers at least.
fn tamed_list(row: &Row, word: u32) -> u32 {
    let base = 1 << (word >> 16 & 15);
    let barred = match (row.file.as_str(), word >> 15 & 1) {
        ("t32", _) if row.name.starts_with("st") => 0xa000,
        ("t32", 1) => 0x6000,
        ("t32", _) => 0x2000,
        _ => 0,
    };
    let list = word & 0xffff & !barred & !base;
    let more = if list.count_ones() < 2 {
        0x0c & !base | 0x30 & !base
    } else {
        0
    };
    word & !0xffff | list | more
}

/// What User mode may read of threads and timers is the oracle's own.
fn reads_environment(row: &Row, word: u32) -> bool {
    match row.name.as_str() {
        "mrc" => matches!(word >> 16 & 15, 13 | 14),
        "mrrc" => word & 15 == 14,
        _ => false,
    }
}

/// Undefined instructions that Linux takes for a debugger's.
fn is_breakpoint(word: u32) -> bool {
    matches!(word & 0x0fff_ffff, 0xde01 | 0x07f0_01f0 | 0x07f0_a000)
}

fn tamed_vfp(row: &Row, mut word: u32, random: &mut Random) -> u32 {
    let fields = Fields::of(row);
    if touches_memory(&row.name) {
        word = word & !(15 << 16) | (random.below(10) as u32) << 16;
        if row.name.len() > 4 && !random.one_in(4) {
            // Short enough to fit the registers, more often than not.
            word = word & !0xf0 & !(1 << 15) | 2;
        }
    } else {
        for mask in ['t', 'u'].map(|f| fields.mask(f)) {
            while mask.count_ones() == 4 && matches!((word & mask) >> mask.trailing_zeros(), 13 | 15) {
                word ^= 4 << mask.trailing_zeros();
            }
        }
    }
    if row.name.starts_with("vmov_from") && (word >> 12 ^ word >> 16) & 15 == 0 {
        word ^= 2 << 12; // not the same core register twice
    }
    if row.name.ends_with("two_singles") {
        word &= !8; // there is none after S31
    }
    if row.name.ends_with("fixed") && word & 0x80 == 0 {
        word &= !8; // no negative number of fraction bits
    }
    if row.name == "vmsr" || row.name == "vmrs" {
        word = word & !(15 << 16) | 1 << 16;
    }
    word
}

fn tamed_neon(row: &Row, mut word: u32, random: &mut Random) -> u32 {
    let fields = Fields::of(row);
    if touches_memory(&row.name) {
        word = word & !(15 << 16) | (random.below(10) as u32) << 16;
        word &= !(8 << 12); // no registers past the last
        if random.one_in(2) {
            // No alignment, and no size of 64 bits.
            word &= !fields.mask('a') & !(fields.mask('s') & fields.mask('s') << 1);
        }
    } else if random.one_in(2) || Fields::of(row).value('q', word) == Some(1) {
        let low = |field| fields.mask(field) & 1 << fields.mask(field).trailing_zeros().min(31);
        word &= !(low('d') | low('n') | low('m'));
    }
    let bytes = [
        "vcnt",
        "vmvn_reg",
        "vrev16",
        "vswp",
        "vmul_polynomial",
        "vmull_polynomial",
    ];
    if bytes.contains(&row.name.as_str()) {
        word &= !fields.mask('s');
    }
    if matches!(row.name.as_str(), "vtrn" | "vuzp" | "vzip") && (word ^ word >> 12) & 15 == 0 {
        word ^= 2; // not the same register twice
    }
    word
}

/// The T32 form of an A32 word of VFP and Advanced SIMD.
pub fn t32(word: u32) -> u32 {
    match word >> 24 {
        0xf2 => word & 0x00ff_ffff | 0xef00_0000,
        0xf3 => word & 0x00ff_ffff | 0xff00_0000,
        0xf4 => word & 0x00ff_ffff | 0xf900_0000,
        0xfc..=0xfe => word,
        _ => word & 0x0fff_ffff | 0xe000_0000,
    }
}

/// Code in the making.
pub struct Code {
    thumb: bool,
    bytes: Vec<u8>,
}

impl Code {
    pub fn new(thumb: bool) -> Code {
        let bytes = Vec::new();
        Code { thumb, bytes }
    }
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    pub fn wide(&mut self, word: u32) {
        let word = if self.thumb { word.rotate_left(16) } else { word };
        self.bytes.extend(word.to_le_bytes());
    }
    pub fn narrow(&mut self, word: u32) {
        self.bytes.extend((word as u16).to_le_bytes());
    }
    fn setend_be(&mut self) {
        match self.thumb {
            true => self.narrow(0xb658),
            false => self.wide(0xf101_0200),
        }
    }
    /// Instructions that are Undefined up to the end.
    pub fn ended(mut self) -> [u32; CODE_WORDS] {
        while self.bytes.len() < 4 * CODE_WORDS {
            match self.thumb {
                true => self.narrow(UDF_NARROW.into()),
                false => self.wide(UDF),
            }
        }
        bytemuck::pod_read_unaligned(&self.bytes)
    }
}

/// The load-exclusive that arms the monitor for a store-exclusive.
fn load_exclusive(row: &Row, word: u32, thumb: bool, random: &mut Random) -> Option<u32> {
    let fields = Fields::of(row);
    let n = fields.value('n', word)?;
    let used = |t: u32| ['n', 'd', 's', 'e'].iter().any(|f| fields.value(*f, word) == Some(t));
    let free = |t: &u32| {
        ![*t, *t + 1]
            .into_iter()
            .any(|t| used(t) || used(t.wrapping_sub(1)) || t == 13)
    };
    let t = (0..12).step_by(2).find(free)?;
    let n = if random.one_in(6) { random.below(12) as u32 } else { n };
    let (a32, t32) = match row.name.trim_end_matches("_pair") {
        "strex" => (0xe190_0f9f, 0xe850_0f00 | word & 0xff),
        "strexb" | "stlexb" => (0xe1d0_0f9f, 0xe8d0_0f4f),
        "strexh" | "stlexh" => (0xe1f0_0f9f, 0xe8d0_0f5f),
        "strexd" | "stlexd" => (0xe1b0_0f9f, 0xe8d0_007f | (t + 1) << 8),
        "stlex" => (0xe190_0f9f, 0xe850_0f00),
        _ => return None,
    };
    Some(if thumb { t32 } else { a32 } | n << 16 | t << 12)
}

/// Whether an instruction writes the PC.
pub fn writes_pc(row: &Row, word: u32) -> bool {
    let fields = Fields::of(row);
    let loads = row.name.starts_with("ldm") || row.name == "pop";
    let list = fields
        .value('l', word)
        .filter(|_| loads && fields.mask('l').count_ones() > 8);
    let branches = [
        "b", "b_narrow", "b_wide", "bl", "bl_wide", "blx", "blx_wide", "bx", "bxj", "tbb", "tbh",
    ];
    branches.contains(&row.name.as_str())
        || fields.value('d', word) == Some(15)
        || list.is_some_and(|l| l >> if row.name == "pop" { 8 } else { 15 } & 1 != 0)
}

/// Rows that may not be in an IT block, or only at its end.
fn it_state(row: &Row, word: u32, random: &mut Random) -> u32 {
    const NEVER: &[&str] = &["it", "cbz", "cbnz", "setend", "cps", "b_cond_narrow", "b_cond_wide"];
    if NEVER.contains(&row.name.as_str()) || !random.one_in(3) {
        return 0;
    }
    let last = writes_pc(row, word);
    let mask = if random.one_in(4) && !last {
        1 + random.below(15) as u32
    } else {
        8
    };
    match random.below(15) as u32 {
        14 => 14 << 4 | 8,
        cond => cond << 4 | mask,
    }
}

/// A random instruction of the row, and what leads to it: big-endian data, an IT block, an armed monitor.
pub fn code(row: &Row, random: &mut Random) -> Record {
    let (set, word) = (set(row), word_of(row, random));
    let mut r = Record {
        word,
        ..Record::zeroed()
    };
    let shared = row.file == "vfp" || row.file == "neon";
    let thumb = if shared { random.one_in(2) } else { set != Set::A32 };
    let mut code = Code::new(thumb);
    let memory = touches_memory(&row.name);
    let big_endian = memory && random.one_in(4);
    let exclusive = ((row.name.starts_with("strex") || row.name.starts_with("stlex")) && !random.one_in(4))
        .then(|| load_exclusive(row, word, thumb, random))
        .flatten();
    let it = if thumb { it_state(row, word, random) } else { 0 };
    if big_endian {
        code.setend_be();
    }
    if let Some(load) = exclusive {
        code.wide(load);
    }
    match it {
        0 => {}
        _ if big_endian || exclusive.is_some() => code.narrow(0xbf00 | it),
        _ => r.set_it(it),
    }
    // An instruction across two pages, now and then.
    r.lead = code.len() as u32;
    let offset = match random.below(16) {
        0 if thumb => 0xffe - r.lead,
        _ if thumb => random.below(0x800) as u32 * 2,
        _ => random.below(0x400) as u32 * 4,
    };
    r.pc = CODE + 0x1000 + offset;
    r.cpsr |= random.word() & 0xf80f_0000 | if thumb { T } else { 0 };
    match set {
        Set::T16 => code.narrow(word),
        _ if shared && thumb => code.wide(t32(word)),
        _ => code.wide(word),
    }
    r.code = code.ended();
    r
}

/// Code bytes from an offset on.
struct From<'a>(&'a [u8]);

impl Fetch for From<'_> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let at = offset as usize;
        Ok(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }
}

/// Whether the row computes in floating point: by what its instructions are translated to.
pub fn is_float(row: &Row) -> bool {
    let computes = |i: &emu_ir::Inst| match i.op {
        Op::Call { helper, .. } => matches!(CALLS[helper as usize].f, HelperFn::Flags(_)),
        op => op.effect() == Effect::Fp || matches!(op, Op::FNeg { .. } | Op::FAbs { .. }),
    };
    (0..16).any(|n| {
        let r = code(row, &mut Random::of(&row.id(), n));
        let (mut b, thumb) = (Builder::new(), r.cpsr & T != 0);
        let mode = mode::VFP | mode::NEON | if thumb { mode::T } else { 0 };
        let key = BlockKey {
            phys: 0,
            mode: mode.into(),
            marked: false,
        };
        let bytes = &bytemuck::bytes_of(&r.code)[r.lead as usize..];
        translate(&MODEL, key, 0, 1, &mut From(bytes), &mut b).expect("code is there");
        b.block.insts.iter().any(computes)
    })
}
