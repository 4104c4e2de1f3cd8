//! A32, T32 and T16.

use super::Isa;
use crate::oracle::Random;
use capstone::Capstone;
use emu_frontend_arm::MODELS;
use emu_frontend_arm::a32::{self, Set, decoders, vfp};
use emu_frontend_arm::state::mode;
use emu_frontend_arm::translate::translate;
use emu_ir::{BlockKey, Builder, Fault, Fetch, Op};

struct Arm {
    set: Set,
    capstone: Capstone,
    /// Armv8's, which lacks SWP.
    armv8: Capstone,
}

impl Arm {
    fn new(set: Set) -> Arm {
        use capstone::prelude::*;
        let mode = match set {
            Set::A32 => arch::arm::ArchMode::Arm,
            _ => arch::arm::ArchMode::Thumb,
        };
        let of = |extra: &[_]| {
            let built = Capstone::new()
                .arm()
                .mode(mode)
                .extra_mode(extra.iter().copied())
                .build();
            built.expect("capstone knows ARM")
        };
        Arm {
            set,
            capstone: of(&[]),
            armv8: of(&[arch::arm::ArchExtraMode::V8]),
        }
    }
    fn all() -> [Arm; 3] {
        [Set::A32, Set::T32, Set::T16].map(Arm::new)
    }
    /// Whether an instruction of Armv8 is where capstone sees it: of Advanced SIMD it does not look at all of a T32 word.
    fn is_there(&self, word: u32, mnemonic: &str) -> bool {
        let top = word >> 24;
        match mnemonic {
            _ if self.set != Set::T32 => true,
            m if m.starts_with("aes") || m.starts_with("sha") => matches!(top, 0xef | 0xff),
            m if m.starts_with("vld") || m.starts_with("vst") => true,
            m if m.starts_with('v') => matches!(top, 0xec..=0xef | 0xfc..=0xff),
            _ => true,
        }
    }
    /// The bytes of an instruction, as in memory.
    fn encode(&self, word: u32) -> Vec<u8> {
        match self.set {
            Set::A32 => word.to_le_bytes().to_vec(),
            Set::T32 => word.rotate_left(16).to_le_bytes().to_vec(),
            Set::T16 => (word as u16).to_le_bytes().to_vec(),
        }
    }
}

/// Spread the bits of `value` over those of `mask`.
fn spread(mut value: u32, mask: u32) -> u32 {
    let (mut out, mut left) = (0, mask);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        out |= if value & 1 != 0 { bit } else { 0 };
        (value, left) = (value >> 1, left & !bit);
    }
    out
}

impl Isa for Arm {
    fn name(&self) -> &'static str {
        match self.set {
            Set::A32 => "A32",
            Set::T32 => "T32",
            Set::T16 => "T16",
        }
    }
    /// Every value of the opcode's bits, registers at random; then some at random. Conditions but AL change nothing.
    fn words(&self, random: &mut Random) -> Box<dyn Iterator<Item = u32> + '_> {
        let (tops, opcode): (&[u32], u32) = match self.set {
            Set::A32 => (&[0xe000_0000, 0xf000_0000], 0x0fff_0ff0),
            Set::T32 => (&[0xe800_0000, 0xf000_0000, 0xf800_0000], 0x07f0_fff0),
            Set::T16 => return Box::new(0..0xe800),
        };
        let mut random = Random::of(&random.next().to_string(), 0);
        let by_opcode = move |top: u32| {
            let mut random = Random::of("coverage", top.into());
            (0..1 << opcode.count_ones()).map(move |n| top | spread(n, opcode) | random.word() & 0x07ff_ffff & !opcode)
        };
        let some = (0..200_000).map(move |_| random.pick(tops) | random.word() & 0x07ff_ffff);
        Box::new(tops.iter().copied().flat_map(by_opcode).chain(some))
    }
    fn disassemble(&self, word: u32) -> Option<(String, String)> {
        let code = self.encode(word);
        let by = |capstone: &Capstone| {
            let insns = capstone.disasm_count(&code, 0x1000, 1).ok()?;
            let insn = insns.iter().next().filter(|i| i.bytes().len() == code.len())?;
            let mnemonic = insn.mnemonic()?.to_string();
            let text = format!("{mnemonic} {}", insn.op_str().unwrap_or(""));
            Some((mnemonic, text))
        };
        let armv8 = by(&self.armv8).filter(|(mnemonic, _)| self.is_there(word, mnemonic));
        // ARMv7 has coprocessors where Armv8 has Advanced SIMD.
        let other = |mnemonic: &str| mnemonic.contains('2') && self.row(word).is_some() && word >> 26 == 0b11_1111;
        armv8.or_else(|| by(&self.capstone).filter(|(mnemonic, _)| !other(mnemonic)))
    }
    fn row(&self, word: u32) -> Option<&'static str> {
        decoders().find(self.set, word).0.map(|r| r.name)
    }
    fn words_of_rows(&self, random: &mut Random) -> Vec<(&'static str, Vec<u32>)> {
        let word = |row: &a32::Row<a32::Insn>, random: &mut Random| {
            let word = random.word() & !row.pattern.mask | row.pattern.bits;
            let conditional = self.set == Set::A32 && row.pattern.mask >> 28 == 0;
            if conditional {
                word & 0x0fff_ffff | 0xe000_0000
            } else {
                word
            }
        };
        let words = |row, random: &mut Random| (0..200).map(|_| word(row, random)).collect();
        a32::rows(self.set).map(|row| (row.name, words(row, random))).collect()
    }
    fn may_be_unknown(&self, row: &str) -> bool {
        // Unallocated hints, and sizes that a row is there to make Undefined.
        ["nop", "vmull_polynomial"].contains(&row) || UNKNOWN.contains(&row)
    }
    fn is_named(&self, row: &str, mnemonic: &str) -> bool {
        UNKNOWN.contains(&row) || named_alike(row, mnemonic)
    }
    fn reason(&self, word: u32, mnemonic: &str, text: &str) -> Option<&'static str> {
        let table = REASONS
            .iter()
            .find(|(_, starts)| starts.iter().any(|s| mnemonic.starts_with(s)));
        if mnemonic.starts_with("vcvt.") && mnemonic.contains("f16") && text.contains('#') {
            return Some("more than 16 bits of a fraction: VCVT (between floating-point and fixed-point), Undefined");
        }
        if let Some((reason, _)) = table {
            return Some(reason);
        }
        if text.ends_with('^') && text.contains('!') {
            return Some(
                "User registers with write-back, UNPREDICTABLE: LDM and STM (User registers), B9.3.6 and B9.3.17",
            );
        }
        self.has_twin(word, mnemonic, text).then_some(TWIN)
    }
}

/// Rows of Armv8 that capstone does not know; binutils does, in tests/programs.
const UNKNOWN: &[&str] = &[
    "sb",
    "vcvt_bf16",
    "vdot_bf16",
    "vdot_bf16_scalar",
    "vfma_bf16",
    "vfma_bf16_scalar",
    "vfmal",
    "vfmal_scalar",
    "vfmsl",
    "vfmsl_scalar",
    "vmmla_bf16",
    "vsmmla",
    "vsudot_scalar",
    "vummla",
    "vusdot",
    "vusdot_scalar",
    "vusmmla",
];

const TWIN: &str = "UNPREDICTABLE, bits that should be zero or one are not (A5.1.2, A6.1.1), here Undefined";

/// By how the mnemonics start.
const REASONS: &[(&str, &[&str])] = &[
    (
        "coprocessors other than CP10, CP11, CP14 and CP15, and other instructions of these: there are none",
        &["cdp", "ldc", "stc", "mrc", "mcr", "mrrc"],
    ),
    ("system: of the Debug state of Armv8", &["dcps"]),
    ("Armv8-M", &["sg", "blxns", "bxns", "tt"]),
];

impl Arm {
    /// Whether a word with a row differs from this one in bits only that capstone ignores: they should be zero or one.
    fn has_twin(&self, word: u32, mnemonic: &str, text: &str) -> bool {
        let shared = [vfp::TABLES, vfp::UNCONDITIONAL]
            .into_iter()
            .flatten()
            .flat_map(|t| t.iter())
            .filter(|_| self.set == Set::T32);
        let mut rows = a32::rows(self.set)
            .chain(shared)
            .filter(|row| named_alike(row.name, mnemonic));
        rows.any(|row| {
            let twin = word & !row.pattern.mask | row.pattern.bits;
            // Of RFE with such bits capstone names another base.
            let same = |m: &str, t: &str| t == text || row.name == "rfe" && m == mnemonic;
            self.row(twin).is_some() && self.disassemble(twin).is_some_and(|(m, t)| same(&m, &t))
        })
    }
}

/// What else capstone calls a row's instruction than by the row's name up to the first underscore.
const ALIASES: &[(&str, &[&str])] = &[
    ("mov", &["lsl", "lsr", "asr", "ror", "rrx"]),
    ("ldm", &["pop"]),
    ("stmdb", &["push"]),
    ("vldmia", &["vpop", "fldmiax"]),
    ("vstmia", &["fstmiax"]),
    ("vldmdb", &["fldmdbx"]),
    ("vstmdb", &["vpush", "fstmdbx"]),
    ("nop", &["hint", "csdb", "esb"]),
    ("vshll", &["vmovl"]),
    ("dsb", &["dfb", "ssbb", "pssbb"]),
    ("subs", &["eret"]),
    ("vdot", &["vudot", "vsdot"]),
    ("udf", &["trap"]),
    ("strex", &["tt"]), // Armv8-M has another instruction where the data register is R15
];

fn named_alike(row: &str, mnemonic: &str) -> bool {
    let name = row.split('_').next().unwrap_or(row);
    let aliases = ALIASES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, a)| a);
    mnemonic.starts_with(name) || aliases.iter().any(|a| mnemonic.starts_with(a))
}

#[test]
fn what_capstone_accepts_is_a_row_or_not_required() {
    insta::assert_snapshot!("arm_not_implemented", super::not_implemented("arm", &Arm::all()));
}

#[test]
fn every_row_disassembles_to_its_own_mnemonic() {
    let wrong: Vec<_> = Arm::all().iter().flat_map(super::misnamed).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Direct branches.
const DIRECT: &[&str] = &[
    "b",
    "bl",
    "blx_imm",
    "b_narrow",
    "b_wide",
    "b_cond_narrow",
    "b_cond_wide",
    "bl_wide",
    "blx_wide",
    "cbz",
    "cbnz",
];

/// Code bytes from the start of the page.
struct Code(Vec<u8>);

impl Fetch for Code {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let at = offset as usize;
        Ok(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }
}

/// Where an instruction at the start of a page goes, as an offset from there.
fn target(mode: u32, code: Vec<u8>) -> Option<i32> {
    let mut b = Builder::new();
    let key = BlockKey {
        phys: 0,
        mode: mode.into(),
        marked: false,
    };
    translate(&MODELS[0], key, 0, 1, &mut Code(code), &mut b).expect("code is there");
    b.block.insts.iter().find_map(|i| match i.op {
        Op::Goto { offset, .. } => Some(offset),
        _ => None,
    })
}

#[test]
fn branches_go_where_capstone_says() {
    for isa in Arm::all() {
        let mode = if isa.set == Set::A32 { 0 } else { mode::T };
        let rows = isa.words_of_rows(&mut Random::of(isa.name(), 2));
        for (row, words) in rows.into_iter().filter(|(row, _)| DIRECT.contains(row)) {
            for word in words.into_iter().filter(|w| isa.row(*w) == Some(row)) {
                let Some((_, text)) = isa.disassemble(word) else {
                    continue;
                };
                let to = text
                    .rsplit_once("#0x")
                    .map(|(_, hex)| u32::from_str_radix(hex, 16).expect("an address"));

                let gone = target(mode, isa.encode(word)).map(|offset| 0x1000_u32.wrapping_add_signed(offset));

                assert_eq!(gone, to, "{} {word:#010x}: {text}", isa.name());
            }
        }
    }
}
