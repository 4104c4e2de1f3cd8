//! VFP and Advanced SIMD instructions that the mode does not allow are Undefined, and do nothing before.

use super::*;
use crate::a32::{Insn, neon, vfp};
use crate::calls;
use crate::state;
use emu_ir::Op;
use emu_ir::pattern::Row;

/// Words of a row with condition AL, and the block each makes.
fn blocks(row: &Row<Insn>, mode: u32) -> Vec<(u32, Builder)> {
    let mut random = Random::new(7);
    (0..32)
        .map(|_| {
            let mut word = random.word() & !row.pattern.mask | row.pattern.bits;
            if row.pattern.mask >> 28 == 0 {
                word = word & 0x0fff_ffff | 0xe000_0000;
            }
            (word, block(mode, encode(Set::A32, word)))
        })
        .collect()
}

/// Takes the Undefined Instruction exception, and that is all.
fn is_undefined(b: &Builder) -> bool {
    let acts = |op: &Op| !matches!(op, Op::Insn { .. } | Op::Exit { .. });
    let mut acting = b.block.insts.iter().map(|i| i.op).filter(acts);
    let call = acting.next();
    matches!(call, Some(Op::Call { helper, .. }) if helper == calls::UNDEFINED) && acting.next().is_none()
}

fn assert_undefined(tables: &[super::super::Table], mode: u32, except: &[&str]) {
    for row in tables
        .iter()
        .flat_map(|t| t.iter())
        .filter(|r| !except.contains(&r.name))
    {
        for (word, b) in blocks(row, mode) {
            assert!(
                is_undefined(&b),
                "{} {word:#010x} is not Undefined: {:?}",
                row.name,
                b.block.insts
            );
        }
    }
}

#[test]
fn nothing_runs_while_disabled() {
    assert_undefined(vfp::TABLES, mode::USER, &[]);
    assert_undefined(neon::TABLES, mode::USER, &[]);
    assert_undefined(vfp::TABLES, 0, &["vmrs", "vmsr"]);
}

#[test]
fn advanced_simd_has_a_switch_of_its_own() {
    assert_undefined(neon::TABLES, mode::VFP, &[]);
    let lanes: Vec<_> = vfp::TABLES
        .iter()
        .flat_map(|t| t.iter())
        .filter(|r| r.name == "vdup_core")
        .collect();
    for row in &lanes {
        assert!(
            blocks(row, mode::VFP).iter().all(|(_, b)| is_undefined(b)),
            "{}",
            row.name
        );
    }
    // VMOV.32 to a lane is VFP's, VMOV.8 is not.
    assert!(!is_undefined(&block(mode::VFP, encode(Set::A32, 0xee00_1b10))));
    assert!(is_undefined(&block(mode::VFP, encode(Set::A32, 0xee40_1b10))));
}

#[test]
fn short_vectors_are_undefined_but_comparisons_conversions_and_transfers_are_not() {
    let on = mode::VFP | mode::NEON | mode::SHORT_VECTORS;
    for row in vfp::TABLES.iter().flat_map(|t| t.iter()).filter(|row| row.needs == 0) {
        let vectors = [
            "vmla", "vmls", "vnmls", "vnmla", "vmul", "vnmul", "vadd", "vsub", "vdiv", "vfnms", "vfnma", "vfma",
            "vfms", "vmov_imm", "vmov_reg", "vabs", "vneg", "vsqrt",
        ];
        let undefined = blocks(row, on).iter().all(|(_, b)| is_undefined(b));
        assert_eq!(undefined, vectors.contains(&row.name), "{}", row.name);
    }
}

#[test]
fn vmrs_copies_the_flags_without_a_call() {
    let b = block(mode::VFP, encode(Set::A32, 0xeef1_fa10));
    let gets: Vec<_> = b
        .block
        .insts
        .iter()
        .filter(|i| matches!(i.op, Op::Get { .. }))
        .collect();
    assert_eq!(gets.len(), 4);
    assert!(b.block.insts.iter().all(|i| !matches!(i.op, Op::Call { .. })));
}

#[test]
fn literals_are_at_the_aligned_pc() {
    let offset = |mode, code: Vec<u8>| {
        let b = block(mode, code);
        let of = |op| {
            if let Op::PcRel { offset } = op {
                Some(offset)
            } else {
                None
            }
        };
        b.block.insts.iter().find_map(|i| of(i.op)).expect("an address")
    };
    let vldr = 0xed9f_0b02; // vldr d0, [pc, #8]
    assert_eq!(offset(mode::VFP, encode(Set::A32, vldr)), 16);
    let after_nop = [encode(Set::T16, 0xbf00), encode(Set::T32, vldr)].concat();
    assert_eq!(offset(mode::VFP | mode::T, after_nop), 12);
}

#[test]
fn faulting_loads_change_no_register() {
    let multiple = ["vldmia", "vldmdb", "vldr"];
    let rows = vfp::TABLES.iter().chain(neon::TABLES).flat_map(|t| t.iter());
    let loads = rows.filter(|r| multiple.contains(&r.name) || r.name.starts_with("vld") && r.name.len() > 3);
    for row in loads {
        for (word, b) in blocks(row, mode::VFP | mode::NEON) {
            let insts = &b.block.insts;
            let last = insts.iter().rposition(|i| matches!(i.op, Op::Load { .. }));
            let first = insts
                .iter()
                .position(|i| matches!(i.op, Op::Set { slot, .. } if slot != state::R[15].off));
            assert!(last < first || last.is_none(), "{} {word:#010x}", row.name);
        }
    }
}
