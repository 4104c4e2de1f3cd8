//! Every row makes IR that the verifier accepts, and means what capstone says it does.

mod access;

use super::{Insn, Row, Set, rows};
use crate::model::MODELS;
use crate::state::mode;
use crate::translate::translate;
use emu_ir::{BlockKey, Builder, Fault, Fetch};

/// Pseudo-random words (SplitMix64), the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) as u32
    }
}

/// Code bytes from the start of the page.
struct Code(Vec<u8>);

impl Fetch for Code {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let at = offset as usize;
        let bytes = self.0.get(at..at + 2).ok_or(Fault::Bus {
            addr: offset.into(),
            access: emu_ir::Access::Execute,
        })?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }
}

/// The bytes of an instruction, as in memory.
fn encode(set: Set, word: u32) -> Vec<u8> {
    match set {
        Set::A32 => word.to_le_bytes().to_vec(),
        Set::T32 => [(word >> 16) as u16, word as u16]
            .iter()
            .flat_map(|h| h.to_le_bytes())
            .collect(),
        Set::T16 => (word as u16).to_le_bytes().to_vec(),
    }
}

/// Translate code at the start of a page.
fn block(mode: u32, code: Vec<u8>) -> Builder {
    let (mut b, limit) = (Builder::new(), 64);
    translate(
        &MODELS[0],
        BlockKey { phys: 0, mode },
        0,
        limit,
        &mut Code(code),
        &mut b,
    )
    .expect("code is there");
    b
}

fn sets() -> [(Set, u32); 3] {
    [(Set::A32, 0), (Set::T32, mode::T), (Set::T16, mode::T)]
}

#[test]
fn every_row_makes_valid_blocks_under_every_mode() {
    let mut random = Random(1);
    for (set, thumb) in sets() {
        for row in rows(set) {
            for round in 0..40 {
                let word = random.next() & !row.pattern.mask | row.pattern.bits;
                let modes = [
                    0,
                    mode::USER,
                    mode::VFP | mode::NEON,
                    mode::E | mode::ALIGN | mode::VFP | mode::NEON,
                ];
                let it = if set != Set::A32 && round % 3 == 0 {
                    0x18 << mode::IT_SHIFT
                } else {
                    0
                };
                let mode = thumb | modes[round % 4] | it;
                let mut code = encode(set, word);
                code.extend(encode(Set::A32, 0xe1a0_0000).repeat(2));
                let b = block(mode, code);
                if let Err(e) = emu_ir::verify::verify(&b.block) {
                    panic!("{set:?} {} {word:#010x}: {e}\n{:?}", row.name, b.block.insts);
                }
                assert!(b.block.guest_insns >= 1, "{}", row.name);
                assert!(b.block.guest_bytes >= 2, "{}", row.name);
            }
        }
    }
}

/// Capstone's view of an instruction: its mnemonic without condition and width, and the whole text.
struct Capstone(capstone::Capstone);

impl Capstone {
    fn new(set: Set) -> Self {
        use capstone::prelude::*;
        let mode = if set == Set::A32 {
            arch::arm::ArchMode::Arm
        } else {
            arch::arm::ArchMode::Thumb
        };
        Capstone(
            capstone::Capstone::new()
                .arm()
                .mode(mode)
                .build()
                .expect("capstone knows ARM"),
        )
    }
    /// Mnemonic and text of an instruction, if it is one that fills the bytes.
    fn disassemble(&self, code: &[u8]) -> Option<(String, String)> {
        let insns = self.0.disasm_count(code, 0x1000, 1).ok()?;
        let insn = insns.iter().next().filter(|i| i.bytes().len() == code.len())?;
        let mnemonic = insn.mnemonic()?.to_string();
        let text = format!("{mnemonic} {}", insn.op_str().unwrap_or(""));
        Some((mnemonic, text))
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
    ("strex", &["tt"]), // Armv8-M has another instruction where the data register is R15
];

fn named_alike(row: &str, mnemonic: &str) -> bool {
    let name = row.split('_').next().unwrap_or(row);
    let aliases = ALIASES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, a)| a);
    mnemonic.starts_with(name) || aliases.iter().any(|a| mnemonic.starts_with(a))
}

#[test]
fn no_two_rows_of_a_decoder_are_ambiguous() {
    let with_condition = |r: &&Row<Insn>| r.pattern.mask >> 28 == 0;
    let (conditional, unconditional): (Vec<_>, Vec<_>) = rows(Set::A32).partition(with_condition);
    for group in [conditional, unconditional] {
        for (i, a) in group.iter().enumerate() {
            for b in &group[..i] {
                let clash = a.pattern.conflicts(&b.pattern);
                assert!(
                    !clash,
                    "{} {} and {} {}",
                    a.name, a.pattern.text, b.name, b.pattern.text
                );
            }
        }
    }
}

#[test]
fn every_row_disassembles_to_its_own_mnemonic() {
    let (mut random, mut wrong) = (Random(2), Vec::new());
    for (set, _) in sets() {
        let (capstone, decoders) = (Capstone::new(set), super::decoders());
        for row in rows(set) {
            let mut known = 0;
            for _ in 0..200 {
                let mut word = random.next() & !row.pattern.mask | row.pattern.bits;
                if set == Set::A32 && row.pattern.mask >> 28 == 0 {
                    word = word & 0x0fff_ffff | 0xe000_0000;
                }
                let Some(found) = decoders.find(set, word).0 else {
                    continue;
                };
                let Some((mnemonic, text)) = capstone.disassemble(&encode(set, word)) else {
                    continue;
                };
                known += 1;
                if !named_alike(found.name, &mnemonic) {
                    wrong.push(format!("{set:?} {word:#010x}: row {} is {text}", found.name));
                }
            }
            // Unallocated hints, and sizes that a row is there to make Undefined, are nothing to capstone.
            if known == 0 && !["nop", "vmull_polynomial"].contains(&row.name) {
                wrong.push(format!(
                    "{set:?} row {} {}: never an instruction",
                    row.name, row.pattern.text
                ));
            }
        }
    }
    wrong.dedup_by_key(|w| w.split("row").nth(1).map(|w| w.chars().take(16).collect::<String>()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn branches_go_where_capstone_says() {
    let mut random = Random(4);
    let direct = [
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
    for (set, mode) in sets() {
        let (capstone, decoders) = (Capstone::new(set), super::decoders());
        for row in rows(set).filter(|r| direct.contains(&r.name)) {
            for _ in 0..50 {
                let word = random.next() & !row.pattern.mask | row.pattern.bits;
                let Some((_, text)) = capstone.disassemble(&encode(set, word)) else {
                    continue;
                };
                if decoders.find(set, word).0.is_none_or(|r| r.name != row.name) {
                    continue;
                }
                let to = text
                    .rsplit_once("#0x")
                    .map(|(_, hex)| i64::from_str_radix(hex, 16).expect("an address"));
                let b = block(mode, encode(set, word));
                let gone = b.block.insts.iter().find_map(|i| match i.op {
                    emu_ir::Op::Goto { offset, .. } => Some((i64::from(offset) + 0x1000) & 0xffff_ffff),
                    _ => None,
                });
                assert_eq!(gone, to, "{set:?} {word:#010x}: {text}");
            }
        }
    }
}

/// What capstone knows beyond Armv7-A: half-precision arithmetic, Armv8, other coprocessors (whose instructions are all
/// Undefined here), LDM (user registers) with write-back.
fn beyond(text: &str) -> bool {
    const MNEMONICS: &[&str] = &[
        "cdp", "ldc", "stc", "mrc", "mcr", "mrrc", "vsel", "vmaxnm", "vminnm", "vrint", "vcvta", "vcvtn", "vcvtp",
        "vcvtm", "vjcvt", "crc32", "lda", "stl", "aes", "sha", "hlt", "dcps", "vdot", "vudot", "vsdot", "vcmla",
        "vcadd", "vins", "vmovx", "vfmal", "vfmsl", "setpan", "sg", "blxns", "bxns", "tt", "eret",
    ];
    text.contains(".f16")
        || text.contains(".16 s")
        || text.contains("f16.") && text.contains('s')
        || MNEMONICS.iter().any(|m| text.starts_with(m))
        || text.ends_with('^') && text.contains('!')
}

/// Whether a decoded word differs from this one in a row's should-be-zero or should-be-one bits only: UNPREDICTABLE.
fn has_twin(set: Set, capstone: &Capstone, word: u32, text: &str) -> bool {
    rows(set).any(|row| {
        let twin = word & !row.pattern.mask | row.pattern.bits;
        (twin ^ word).count_ones() <= 12 && capstone.disassemble(&encode(set, twin)).is_some_and(|(_, t)| t == text)
    })
}

#[test]
fn what_capstone_accepts_is_decoded() {
    let (mut random, mut missing) = (Random(3), Vec::new());
    for (set, _) in sets() {
        let (capstone, decoders) = (Capstone::new(set), super::decoders());
        for _ in 0..100_000 {
            let word = match set {
                Set::A32 => random.next(),
                Set::T32 => random.next() | 0xe000_0000,
                Set::T16 => random.next() & 0xffff,
            };
            let narrow = if set == Set::T32 {
                word >> 27 == 0b11100
            } else {
                word >> 11 >= 0b11101
            };
            if set != Set::A32 && narrow || decoders.find(set, word).0.is_some() {
                continue;
            }
            if let Some((_, text)) = capstone.disassemble(&encode(set, word))
                && !beyond(&text)
                && !has_twin(set, &capstone, word, &text)
            {
                missing.push(format!("{set:?} {word:#010x}: {text}"));
            }
        }
    }
    assert!(missing.is_empty(), "{} missing:\n{}", missing.len(), missing.join("\n"));
}
