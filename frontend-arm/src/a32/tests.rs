//! Every row makes IR that the verifier accepts, and none shadows another. (What capstone says of them is in the tests of
//! all crates, `tests/coverage`; what they do is held against an oracle in `tests/oracle`.)

mod access;

use super::{Insn, Row, Set, rows};
use crate::model::MODELS;
use crate::state::mode;
use crate::translate::translate;
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
    let (mut b, limit) = (Builder::new(), 64);
    translate(
        &MODELS[0],
        BlockKey {
            phys: 0,
            mode: mode.into(),
        },
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
