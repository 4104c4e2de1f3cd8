//! Every row makes IR that the verifier accepts, and none shadows another. (What capstone says of them is in the tests of
//! all crates, `tests/coverage`; what they do is held against an oracle in `tests/oracle`.)

mod access;

use super::{Insn, Row, Set, decoders, rows, thumb};
use crate::features::Features;
use crate::model::{MODELS, Model};
use crate::state::mode;
use crate::translate::{Around, translate_hosted};
use emu_ir::testing::Random;
use emu_ir::{BlockKey, Builder, Fault, Fetch};

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
    block_around(Around::default(), mode, code)
}

fn block_around(around: Around, mode: u32, code: Vec<u8>) -> Builder {
    block_of(&MODELS[0], around, mode, code)
}

/// A CPU with every row.
static ARMV8: Model = Model {
    features: Features::ALL,
    ..MODELS[0]
};

fn block_of(model: &Model, around: Around, mode: u32, code: Vec<u8>) -> Builder {
    let (mut b, limit) = (Builder::new(), 64);
    let key = BlockKey {
        phys: 0,
        mode: mode.into(),
        marked: false,
    };
    translate_hosted(model, around, key, (0, limit), &mut Code(code), &mut b).expect("code is there");
    b
}

/// Whether a block waits for other CPUs to complete maintenance.
fn completes(b: &Builder) -> bool {
    let is_it = |op| matches!(op, emu_ir::Op::Call { helper, .. } if helper == crate::calls::COMPLETE);
    b.block.insts.iter().any(|i| is_it(i.op))
}

#[test]
fn a_synchronization_barrier_waits_for_other_cpus_if_there_are_any() {
    let (dsb, dmb) = (encode(Set::A32, 0xf57f_f04b), encode(Set::A32, 0xf57f_f05b));
    let several = Around {
        several: true,
        ..Around::default()
    };

    assert!(completes(&block_around(several, 0, dsb.clone())));
    assert!(!completes(&block_around(several, 0, dmb)));
    assert!(!completes(&block(0, dsb)));
}

fn sets() -> [(Set, u32); 3] {
    [(Set::A32, 0), (Set::T32, mode::T), (Set::T16, mode::T)]
}

#[test]
fn every_row_makes_valid_blocks_under_every_mode() {
    let mut random = Random::new(1);
    for (set, thumb) in sets() {
        for row in rows(set) {
            for round in 0..40 {
                let word = random.word() & !row.pattern.mask | row.pattern.bits;
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
                let model = if round % 2 == 0 { &ARMV8 } else { &MODELS[0] };
                let model = if row.needs == 0 { model } else { &ARMV8 };
                let b = block_of(model, Around::default(), mode, code);
                if let Err(e) = emu_ir::verify::verify(&b.block) {
                    panic!("{set:?} {} {word:#010x}: {e}\n{:?}", row.name, b.block.insts);
                }
                assert!(b.block.guest_insns >= 1, "{}", row.name);
                assert!(b.block.guest_bytes >= 2, "{}", row.name);
            }
        }
    }
}

/// The IR of one instruction, but for where the next one is and in which mode.
fn meaning((set, word): (Set, u32)) -> Vec<emu_ir::Inst> {
    let thumb = if set == Set::A32 { 0 } else { mode::T };
    let mut insts = block(thumb, encode(set, word)).block.insts;
    insts.retain(|inst| !matches!(inst.op, emu_ir::Op::Insn { .. } | emu_ir::Op::Goto { .. }));
    insts
}

#[test]
fn forms_of_thumb_mean_what_the_long_ones_mean() {
    use Set::{A32, T16, T32};
    for (one, other) in [
        ((T16, 0x0011), (T32, 0xea5f_0102)),
        ((T16, 0x4351), (A32, 0xe011_0192)),
        ((T16, 0x31ff), (A32, 0xe291_10ff)),
        ((T16, 0x39ff), (A32, 0xe251_10ff)),
        ((T16, 0x4488), (A32, 0xe088_8001)),
        ((T16, 0xa10c), (T32, 0xf20f_0130)),
        ((T16, 0xb50f), (T32, 0xe92d_400f)),
        ((T16, 0xb4f0), (T32, 0xe92d_00f0)),
        ((T16, 0xbd10), (T32, 0xe8bd_8010)),
        ((T16, 0xbcff), (T32, 0xe8bd_00ff)),
        ((T16, 0xc90c), (T32, 0xe8b1_000c)),
        ((T16, 0xc906), (T32, 0xe891_0006)),
        ((T32, 0xf64a_31cd), (A32, 0xe30a_1bcd)),
        ((T32, 0xf6ca_31cd), (A32, 0xe34a_1bcd)),
    ] {
        assert_eq!(meaning(one), meaning(other), "{one:x?} {other:x?}");
    }
}

#[test]
fn a_block_that_a_mode_bit_changes_says_that_it_depends_on_it() {
    let mut random = Random::new(2);
    let bits = (0..32).map(|n| 1 << n).filter(|bit| mode::FLOATING & bit != 0);
    let mut changed = 0;
    for (set, thumb) in sets() {
        for row in rows(set) {
            for bit in bits.clone().cycle().take(24) {
                let word = random.word() & !row.pattern.mask | row.pattern.bits;
                let on = if random.word() & 1 == 0 {
                    mode::VFP | mode::NEON
                } else {
                    0
                };
                let mode = random.word() & mode::FLOATING & !mode::SHORT_VECTORS | on | thumb;
                let model = if row.needs == 0 { &MODELS[0] } else { &ARMV8 };
                let [one, other] =
                    [mode, mode ^ bit].map(|mode| block_of(model, Around::default(), mode, encode(set, word)).block);
                let made = |b: &emu_ir::Block| (b.insts.clone(), b.pool.clone(), b.guest_bytes);
                if made(&one) != made(&other) {
                    changed += 1;
                    let ignored = one.mode_ignored | other.mode_ignored;
                    assert_eq!(
                        ignored & u64::from(bit),
                        0,
                        "{set:?} {} {word:#010x}, bit {bit:#x}",
                        row.name
                    );
                }
            }
        }
    }
    assert!(changed > 900, "only {changed} blocks were changed");
}

#[test]
fn a_block_without_floating_point_is_one_under_all_its_modes() {
    let ignored = |words: &[u32]| {
        let code = words.iter().flat_map(|&word| encode(Set::A32, word)).collect();
        block(mode::VFP, code).block.mode_ignored as u32
    };
    let (add, bx_lr, ldr, vadd_f32, vmov) = (0xe081_0002, 0xe12f_ff1e, 0xe591_0000, 0xee30_0a20, 0xee10_0a10);
    let blx = 0xfa00_0000;

    assert_eq!([ignored(&[add, bx_lr]), ignored(&[ldr, bx_lr])], [mode::FLOATING; 2]);
    assert_eq!(ignored(&[add, blx]), 0, "the mode slot is set as a whole");
    assert_eq!(ignored(&[vmov, bx_lr]), mode::FLOATING & !mode::VFP);
    let arithmetic = mode::VFP | mode::SHORT_VECTORS | mode::FZ | mode::DN;
    assert_eq!(ignored(&[add, vadd_f32, bx_lr]), mode::FLOATING & !arithmetic);
}

/// But for hints that are not there before Armv8.
#[test]
fn what_armv8_adds_is_undefined_on_armv7() {
    let mut random = Random::new(9);
    let on = mode::VFP | mode::NEON;
    for (set, thumb) in sets() {
        for row in rows(set).filter(|row| row.needs != 0) {
            let word = random.word() & !row.pattern.mask | row.pattern.bits;
            let word = if set == Set::A32 && row.pattern.mask >> 28 == 0 {
                word & 0x0fff_ffff | 0xe000_0000
            } else {
                word
            };
            let b = block(thumb | on, encode(set, word));
            let undefined =
                |i: &emu_ir::Inst| matches!(i.op, emu_ir::Op::Call { helper, .. } if helper == crate::calls::UNDEFINED);
            assert!(b.block.insts.iter().any(undefined), "{set:?} {} {word:#010x}", row.name);
        }
    }
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

/// What tells rows apart.
fn named(row: Option<&'static Row<Insn>>) -> Option<(&'static str, &'static str)> {
    row.map(|row| (row.name, row.pattern.text))
}

/// The row of a group that fits a word and fixes the most bits.
fn most_refined(group: &[&'static Row<Insn>], word: u32) -> Option<&'static Row<Insn>> {
    let fits = group.iter().filter(|row| row.pattern.matches(word));
    fits.max_by_key(|row| row.pattern.mask.count_ones()).copied()
}

/// Rows of a set that are looked through together, and which words they are for.
type Group<'a> = (Set, &'a [&'static Row<Insn>], &'a dyn Fn(u32) -> bool);

#[test]
fn the_most_refined_row_of_a_word_is_found() {
    let mut random = Random::new(7);
    let flat = |tables: &[super::Table]| tables.iter().flat_map(|table| table.iter()).collect::<Vec<_>>();
    let (conditional, unconditional): (Vec<_>, Vec<_>) = rows(Set::A32).partition(|row| row.pattern.mask >> 28 == 0);
    // Loads whose base is the PC are a table of their own (A6.3.7 to A6.3.10).
    let is_literal = |word: u32| word & 0xfe0f_0000 == 0xf80f_0000;
    let (t32, literals, t16) = (flat(thumb::T32), flat(thumb::LITERALS), flat(thumb::T16));
    let groups: [Group; 5] = [
        (Set::A32, &conditional, &|word| word >> 28 != 15),
        (Set::A32, &unconditional, &|_| true),
        (Set::T32, &t32, &|word| !is_literal(word)),
        (Set::T32, &literals, &is_literal),
        (Set::T16, &t16, &|_| true),
    ];
    for (set, group, belongs) in groups {
        let mut found = 0;
        for row in group {
            for _ in 0..50 {
                let word = random.word() & !row.pattern.mask | row.pattern.bits;
                if belongs(word) {
                    let (row, same) = decoders().find(set, word);
                    assert_eq!(named(row), named(most_refined(group, word)), "{set:?} {word:#010x}");
                    assert_eq!(same, word, "{set:?}: a word of the set's own tables is run as it is");
                    found += 1;
                }
            }
        }
        assert!(found > 20 * group.len(), "{found} words of {} rows", group.len());
    }
}

/// Where Advanced SIMD and VFP instructions of A32 are in T32 (A7.4, A7.5, A7.7).
fn in_thumb(arm: u32) -> u32 {
    match arm >> 24 {
        0xf2 | 0xf3 => 0xef00_0000 | (arm >> 24 & 1) << 28 | arm & 0x00ff_ffff,
        0xf4 => 0xf900_0000 | arm & 0x00ff_ffff,
        0xfc..=0xfe => arm,
        _ => 0xe000_0000 | arm & 0x0fff_ffff,
    }
}

#[test]
fn thumb_has_advanced_simd_and_vfp_from_the_rows_of_arm() {
    let mut random = Random::new(8);
    let tables = super::SIMD_CONDITIONAL.iter().chain(super::SIMD_UNCONDITIONAL);
    for row in tables.flat_map(|table| table.iter()) {
        for _ in 0..50 {
            let word = random.word() & !row.pattern.mask | row.pattern.bits;
            let arm = if row.pattern.mask >> 28 == 0 {
                0xe000_0000 | word & 0x0fff_ffff
            } else {
                word
            };

            let (found, run) = decoders().t32(in_thumb(arm));

            assert_eq!(named(found), named(decoders().a32(arm)), "{} {arm:#010x}", row.name);
            assert_eq!(run, arm, "{}: it is run as that of A32", row.name);
        }
    }
}

/// Names of what a block does besides computing: helpers, memory, writes of R1.
fn acts(word: u32) -> Vec<&'static str> {
    let b = block(0, encode(Set::A32, word));
    let act = |i: &emu_ir::Inst| match i.op {
        emu_ir::Op::Call { helper, .. } => Some(crate::guest::name(helper)),
        emu_ir::Op::Load { .. } | emu_ir::Op::Store { .. } => Some(i.op.name()),
        emu_ir::Op::Set { slot, .. } if slot == crate::state::R[1].off => Some("r1"),
        _ => None,
    };
    b.block.insts.iter().filter_map(act).collect()
}

#[test]
fn ldc_and_stc_reach_the_debug_channel() {
    assert_eq!(acts(0xeda1_5e01), ["COPROC_READ", "Store", "r1"]); // STC p14, c5, [r1, #4]!
    assert_eq!(acts(0xecb1_5e01), ["Load", "COPROC_WRITE", "r1"]); // LDC p14, c5, [r1], #4
    assert_eq!(acts(0xed81_5e01), ["COPROC_READ", "Store"]); // STC p14, c5, [r1, #4]
    assert_eq!(acts(0xec91_5e01), ["Load", "COPROC_WRITE"]); // LDC p14, c5, [r1], {1}
    assert_eq!(acts(0xec11_5e01), ["UNDEFINED"]);
    assert_eq!(acts(0xed91_5f01), ["UNDEFINED"]); // another coprocessor
}
