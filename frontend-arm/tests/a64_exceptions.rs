//! What exceptions say and when they come: aborts, alignment, privilege, debug, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod pages;
mod ram;

use emu_frontend_arm::a64::Cpu;
use emu_frontend_arm::a64::state::{psr, sctlr, tcr};
use pages::{Bench, OTHER, PLAIN, STACK, VECTORS, WFI, benches};
use ram::BASE;

/// The first address behind what is mapped.
const END: u64 = BASE as u64 + 0x2_0000;
const TAG: u64 = 0x5a << 56;
/// Of a page: read-only; for EL0 too; Device.
const READ_ONLY: u64 = 1 << 7;
const EL0: u64 = 1 << 6;
const DEVICE: u64 = 1 << 2;

const NOP: u32 = 0xd503_201f;
const ERET: u32 = 0xd69f_03e0;
const SVC: u32 = 0xd400_0001;

// Accesses at X1.
const LDR: u32 = 0xf940_0020;
const LDR_W: u32 = 0xb940_0020;
const LDRH: u32 = 0x7940_0020;
const STR: u32 = 0xf900_0022;
const LDP: u32 = 0xa940_0820;
const STP: u32 = 0xa900_0822;
const LDR_Q: u32 = 0x3dc0_0020;
const STR_Q: u32 = 0x3d80_0020;
const LD1_B: u32 = 0x4c40_7020; // LD1 {V0.16B}, [X1]
const LD1_D: u32 = 0x4c40_7c20; // LD1 {V0.2D}, [X1]
const LDADD: u32 = 0xf822_0020;
const SWP: u32 = 0xf822_8020;
const CAS: u32 = 0xc8a0_7c22;
const CASP: u32 = 0x4824_7c26;
const LDXR: u32 = 0xc85f_7c20;
const STXR: u32 = 0xc803_7c22;
const LDAR: u32 = 0xc8df_fc20;
const STLR: u32 = 0xc89f_fc22;
const DC_ZVA: u32 = 0xd50b_7421;
const DC_CVAU: u32 = 0xd50b_7b21;
const DC_CIVAC: u32 = 0xd50b_7e21;

/// Where it ends, or ESR_EL1 and ELR_EL1 of the exception.
fn run(bench: &mut Bench) -> Result<u64, (u64, u64)> {
    bench.run().map_err(|(esr, elr, _)| (esr, elr))
}

/// ESR_EL1 and FAR_EL1 of an abort of the last of some instructions.
fn aborted(words: &[u32], x1: u64, page: u64) -> Vec<(u64, u64)> {
    let with = |mut bench: Bench| {
        bench.page(STACK, page);
        bench.cpu().x[1] = x1;
        let (esr, elr) = run(&mut bench).expect_err(&format!("{words:x?} at {x1:#x}"));
        assert_eq!(elr, u64::from(PLAIN) + 4 * (words.len() as u64 - 1), "{words:x?}");
        (esr, bench.cpu().sys.far)
    };
    benches(words).into_iter().map(with).collect()
}

/// Where an access crosses into what is not mapped, the address is the first there, with its tag.
#[test]
fn an_abort_names_the_first_byte_that_cannot_be_accessed() {
    for (word, before, write) in [
        (LDR, 4, 0),
        (LDR, 1, 0),
        (STR, 4, 0x40),
        (LDP, 8, 0),
        (LDP, 3, 0),
        (STP, 8, 0x40),
        (LDR_Q, 8, 0),
        (STR_Q, 15, 0x40),
        (LD1_B, 1, 0),
        (LD1_D, 8, 0),
    ] {
        for tag in [0, TAG] {
            for got in aborted(&[word], (END - before) | tag, 0) {
                assert_eq!(
                    got,
                    (0x9600_0007 | write, END | tag),
                    "{word:#x} {before} before the end"
                );
            }
        }
    }
}

/// ISS.WnR: of what reads before it writes, where only the write is not allowed; CM of maintenance (ISS encoding, Data Abort).
#[test]
fn aborts_of_atomic_and_cache_operations_say_what_they_are_of() {
    let page = u64::from(STACK);
    let rows: [(&[u32], u64, u64, u64); 16] = [
        (&[LDADD], END, 0, 0x9600_0007),
        (&[SWP], END, 0, 0x9600_0007),
        (&[CAS], END, 0, 0x9600_0007),
        (&[CASP], END, 0, 0x9600_0007),
        (&[STLR], END, 0, 0x9600_0047),
        (&[LDXR], END, 0, 0x9600_0007),
        (&[LDADD], page, READ_ONLY, 0x9600_004f),
        (&[SWP], page, READ_ONLY, 0x9600_004f),
        (&[CAS], page, READ_ONLY, 0x9600_004f),
        (&[CASP], page, READ_ONLY, 0x9600_004f),
        (&[STLR], page, READ_ONLY, 0x9600_004f),
        (&[LDXR, STXR], page, READ_ONLY, 0x9600_004f),
        (&[DC_ZVA], END, 0, 0x9600_0047),
        (&[DC_ZVA], page, READ_ONLY, 0x9600_004f),
        (&[DC_CVAU], END, 0, 0x9600_0147),
        (&[DC_CIVAC], END, 0, 0x9600_0147),
    ];
    for (words, at, rights, esr) in rows {
        for got in aborted(words, at, rights) {
            assert_eq!(got, (esr, at), "{words:x?} {at:#x}");
        }
    }
}

/// A branch to where nothing is: ELR and FAR have no tag.
#[test]
fn the_abort_of_an_instruction_has_no_tag() {
    for branch in [0xd61f_0020, 0xd63f_0020, 0xd65f_0020] {
        for mut bench in benches(&[branch]) {
            bench.cpu().x[1] = END | TAG;
            assert_eq!(run(&mut bench), Err((0x8600_0007, END)), "{branch:#x}");
            assert_eq!(bench.cpu().sys.far, END);
        }
    }
}

/// A return loses the tag of ELR_EL1; what TTBR1_EL1 translates is extended by bit 55 (AArch64.BranchAddr).
#[test]
fn a_branch_takes_bit_55_for_the_tag() {
    for mut bench in benches(&[ERET]) {
        bench.code(OTHER, &[0x1000_0000, WFI]); // ADR X0, .
        let c = &mut bench.cpu().sys;
        (c.elr, c.spsr) = (u64::from(OTHER) | TAG, 0b0101);
        assert_eq!(run(&mut bench), Ok(u64::from(OTHER) + 4));
        assert_eq!(bench.cpu().x[0], u64::from(OTHER));
    }
    // There are no walks for the upper half.
    const HIGH: u64 = 0x00ff_ffff_ffff_f000;
    for (control, elr) in [(tcr::TBI1, HIGH | 0xff << 56), (0, HIGH)] {
        for mut bench in benches(&[0xd61f_0020]) {
            let cpu = bench.cpu();
            cpu.sys.tcr |= control;
            cpu.x[1] = HIGH;
            assert_eq!(run(&mut bench), Err((0x8600_0004, elr)));
        }
    }
}

/// Device memory, and all memory with the MMU off or SCTLR_EL1.A, wants elements to be aligned (B2.5.2).
#[test]
fn what_must_be_aligned_depends_on_memory_and_control() {
    // words, how far from a multiple of 16, and whether that is aligned
    let rows = [
        (LDR, 0, true),
        (LDR, 1, false),
        (LDR, 4, false),
        (LDR_W, 2, false),
        (LDR_W, 4, true),
        (LDRH, 1, false),
        (LDRH, 2, true),
        (STR, 4, false),
        (LDP, 8, true),
        (LDP, 4, false),
        (STP, 8, true),
        (STP, 12, false),
        (LDR_Q, 0, true),
        (LDR_Q, 8, false),
        (STR_Q, 4, false),
        (LD1_B, 1, true),
        (LD1_D, 8, true),
        (LD1_D, 4, false),
    ];
    type Prepare = fn(&mut Cpu);
    let ways: [(u64, Prepare, bool); 4] = [
        (0, |_| {}, true),
        (DEVICE, |_| {}, false),
        (0, |cpu| cpu.sys.sctlr |= sctlr::A, false),
        (0, |cpu| cpu.sys.sctlr &= !sctlr::M, false),
    ];
    for (way, (page, prepare, any)) in ways.into_iter().enumerate() {
        for (word, by, aligned) in rows {
            for mut bench in benches(&[word, WFI]) {
                bench.page(STACK, page);
                let at = u64::from(STACK) + 0x40 + by;
                let cpu = bench.cpu();
                cpu.x[1] = at;
                prepare(cpu);
                cpu.update_mode();
                let end = run(&mut bench);
                let what = format!("way {way}: {word:#x} at {by}");
                if any || aligned {
                    assert!(end.is_ok(), "{what}: {end:x?}");
                } else {
                    let (esr, _) = end.expect_err(&what);
                    assert_eq!((esr & !0x40, bench.cpu().sys.far), (0x9600_0021, at), "{what}");
                }
            }
        }
    }
}

/// What EL1 may access is no way in for EL0, in the TLB neither; nor is what EL0 may write code for EL1.
#[test]
fn each_level_has_its_own_rights() {
    // EL1 loads, then returns to EL0, which loads the same.
    for mut bench in benches(&[LDR, ERET]) {
        bench.page(OTHER, EL0 | READ_ONLY).code(OTHER, &[LDR]);
        let cpu = bench.cpu();
        cpu.x[1] = STACK.into();
        (cpu.sys.elr, cpu.sys.spsr) = (OTHER.into(), 0);
        assert_eq!(run(&mut bench), Err((0x9200_000f, OTHER.into())));
    }
    for mut bench in benches(&[0xd61f_0020]) {
        bench.page(OTHER, EL0).code(OTHER, &[WFI]);
        bench.cpu().x[1] = OTHER.into();
        assert_eq!(run(&mut bench), Err((0x8600_000f, OTHER.into())), "written by EL0");
    }
    // SCTLR_EL1.WXN, set while the page's code is known: BLR X1; MSR SCTLR_EL1, X2; ISB; BLR X1
    for mut bench in benches(&[0xd63f_0020, 0xd518_1002, 0xd503_3fdf, 0xd63f_0020]) {
        bench
            .page(VECTORS, READ_ONLY)
            .page(PLAIN, READ_ONLY)
            .code(OTHER, &[0xd65f_03c0]);
        let cpu = bench.cpu();
        (cpu.x[1], cpu.x[2]) = (OTHER.into(), cpu.sys.sctlr | sctlr::WXN);
        assert_eq!(run(&mut bench), Err((0x8600_000f, OTHER.into())), "WXN");
    }
}

/// Pages that are said to be contiguous are each what their own descriptor says.
#[test]
fn the_contiguous_hint_lends_no_rights() {
    const CONTIGUOUS: u64 = 1 << 52;
    // STR X2, [X1]; STR X2, [X3]
    for mut bench in benches(&[STR, 0xf900_0062]) {
        bench.page(STACK, CONTIGUOUS);
        bench.page(STACK + 0x1000, CONTIGUOUS | READ_ONLY);
        let cpu = bench.cpu();
        (cpu.x[1], cpu.x[3]) = (STACK.into(), u64::from(STACK) + 0x1000);
        assert_eq!(run(&mut bench), Err((0x9600_004f, u64::from(PLAIN) + 4)));
    }
}

/// SCTLR_EL1.SPAN and DSSBS say what PAN and SSBS are after an exception; a return brings back all of PSTATE.
#[test]
fn an_exception_and_its_return_set_all_of_pstate() {
    const OWN: u32 = psr::SP | 1 << psr::EL_SHIFT;
    let all = [
        0,
        psr::PAN,
        psr::SSBS,
        psr::UAO,
        psr::DIT,
        psr::PAN | psr::SSBS | psr::UAO | psr::DIT | psr::I,
    ];
    for before in all {
        for (span, dssbs) in [(0, 0), (0, sctlr::DSSBS), (sctlr::SPAN, 0), (sctlr::SPAN, sctlr::DSSBS)] {
            for returns in [false, true] {
                for mut bench in benches(&[SVC, WFI]) {
                    let back = if returns { ERET } else { WFI };
                    bench.code(VECTORS + 0x200, &[back]);
                    let cpu = bench.cpu();
                    cpu.sys.sctlr = cpu.sys.sctlr & !(sctlr::SPAN | sctlr::DSSBS) | span | dssbs;
                    cpu.set_psr(OWN | before);
                    cpu.set_nzcv(0x5000_0000);
                    let end = run(&mut bench);
                    let cpu = bench.cpu();
                    let what = format!("{before:#x} {span:#x} {dssbs:#x}");
                    assert_eq!(cpu.sys.spsr as u32, 0x5000_0000 | OWN | before, "{what}");
                    if returns {
                        assert_eq!((end, cpu.psr), (Ok(u64::from(PLAIN) + 4), OWN | before), "{what}");
                        assert_eq!(cpu.nzcv(), 0x5000_0000);
                    } else {
                        let pan = if span == 0 { psr::PAN } else { before & psr::PAN };
                        let ssbs = if dssbs == 0 { 0 } else { psr::SSBS };
                        assert_eq!(cpu.psr, OWN | psr::DAIF | before & psr::DIT | pan | ssbs, "{what}");
                    }
                }
            }
        }
    }
}

/// MDSCR_EL1: software step, breakpoints and watchpoints, at EL1 too.
const SS: u64 = 1;
const KDE: u64 = 1 << 13;
const MDE: u64 = 1 << 15;

/// A step is one instruction, whatever is done for it, also at EL1; not with PSTATE.D or the OS lock.
#[test]
fn any_instruction_is_one_step() {
    const HERE: u64 = (psr::SS | psr::SP | 1 << psr::EL_SHIFT) as u64;
    const MASKED: u64 = HERE | psr::D as u64;
    // the instruction, SPSR, the OS lock, and what the exception says, if there is one
    let rows = [
        (NOP, HERE, 0, Some(0xcf00_0022)),
        (0xd51b_d040, HERE, 0, Some(0xcf00_0022)), // MSR TPIDR_EL0, X0
        (0xd53b_e040, HERE, 0, Some(0xcf00_0022)), // MRS X0, CNTVCT_EL0
        (0xd503_3fdf, HERE, 0, Some(0xcf00_0022)), // ISB
        (DC_ZVA, HERE, 0, Some(0xcf00_0022)),
        (LDP, HERE, 0, Some(0xcf00_0022)),
        (LDXR, HERE, 0, Some(0xcf00_0062)),
        (0xd503_42df, HERE, 0, Some(0xcf00_0022)), // MSR DAIFSet, #2
        (NOP, MASKED, 0, None),
        (NOP, HERE, 1, None),
        (NOP, HERE & !(psr::SS as u64), 0, Some(0xce00_0022)),
    ];
    for (word, spsr, lock, esr) in rows {
        for mut bench in benches(&[ERET]) {
            bench.code(OTHER, &[word, NOP, WFI]);
            let cpu = bench.cpu();
            cpu.x[1] = STACK.into();
            cpu.set_psr(cpu.psr | psr::D);
            let c = &mut cpu.sys;
            (c.mdscr, c.oslock, c.elr, c.spsr) = (SS | KDE, lock, OTHER.into(), spsr);
            cpu.update_mode();
            let end = run(&mut bench);
            let want = match esr {
                Some(esr) if esr >> 24 & 1 != 0 => Err((esr, u64::from(OTHER) + 4)),
                Some(esr) => Err((esr, OTHER.into())),
                None => Ok(u64::from(OTHER) + 8),
            };
            assert_eq!(end, want, "{word:#x} {spsr:#x} {lock}");
        }
    }
}

/// A watchpoint is met by every kind of access, before the watched bytes change.
#[test]
fn watchpoints_meet_every_kind_of_access() {
    const BYTES: u64 = STACK as u64 + 0x40;
    /// DBGWCR: eight bytes, loads and stores, EL1 and EL0; and of 32 bytes by MASK.
    const EIGHT: u64 = 0xff << 5 | 3 << 3 | 3 << 1 | 1;
    const MASK: u64 = 5 << 24 | EIGHT;
    const STORES: u64 = EIGHT & !(1 << 3);
    const LOADS: u64 = EIGHT & !(1 << 4);
    // words, where the access is, where the watched bytes start, and how
    // Of what reads and writes, a watchpoint for both says that it is a read.
    let rows: [(&[u32], u64, u64, u64, bool); 25] = [
        (&[LDR], 8, 8, EIGHT, false),
        (&[LDR], 1, 8, EIGHT, false),
        (&[STR], 1, 8, EIGHT, true),
        (&[LDP], 0, 8, EIGHT, false),
        (&[STP], 0, 8, EIGHT, true),
        (&[LDR_Q], 0, 8, EIGHT, false),
        (&[STR_Q], 0, 8, EIGHT, true),
        (&[LD1_B], 0, 8, EIGHT, false),
        (&[LDADD], 8, 8, EIGHT, false),
        (&[SWP], 8, 8, EIGHT, false),
        (&[CAS], 8, 8, EIGHT, false),
        (&[CASP], 0, 8, EIGHT, false),
        (&[LDADD], 8, 8, LOADS, false),
        (&[CAS], 8, 8, LOADS, false),
        (&[CASP], 0, 8, LOADS, false),
        (&[LDADD], 8, 8, STORES, true),
        (&[CAS], 8, 8, STORES, true),
        (&[CASP], 0, 8, STORES, true),
        (&[LDAR], 8, 8, EIGHT, false),
        (&[STLR], 8, 8, EIGHT, true),
        (&[LDXR], 8, 8, EIGHT, false),
        (&[DC_ZVA], 0x17, 0, EIGHT, true),
        (&[DC_ZVA], 0x17, 0x30, EIGHT, true),
        (&[STR], 0x18, 0, MASK, true),
        (&[LDR], 0x1c, 0, MASK, false),
    ];
    // Of the same page first, so that it is known: STR X16, [X17]; LDR X16, [X17].
    const BESIDE: [u32; 2] = [0xf900_0230, 0xf940_0230];
    for (words, at, watched, how, write) in rows {
        let what = format!("{words:x?} at {at:#x}, {how:#x}");
        for mut bench in benches(&[&BESIDE, words, &[WFI]].concat()) {
            bench.ram.put(BYTES as u32, &[0x77; 0x40]);
            let cpu = bench.cpu();
            (cpu.x[0], cpu.x[1], cpu.x[2], cpu.x[17]) = (0, BYTES + at, 1, u64::from(STACK) + 0x800);
            let c = &mut cpu.sys;
            (c.mdscr, c.oslock) = (MDE | KDE, 0);
            (c.dbgwvr[0], c.dbgwcr[0]) = (BYTES + watched, how);
            cpu.update_mode();
            let mut masked = *cpu;

            let (esr, elr) = run(&mut bench).expect_err(&what);

            // CM is of cache maintenance: of DC ZVA it may be either.
            let want = 0xd600_0022 | u64::from(write) << 6;
            assert_eq!((esr & !0x100, elr), (want, u64::from(PLAIN) + 8), "{what}");
            let far = bench.cpu().sys.far;
            let length = if how == MASK { 32 } else { 8 };
            assert!(
                (BYTES + watched..BYTES + watched + length).contains(&far),
                "{what}: {far:#x}"
            );
            let held = bench.ram.bytes((BYTES + watched) as u32, length as usize);
            assert!(held.iter().all(|&byte| byte == 0x77), "{what}: {held:x?}");

            masked.set_psr(masked.psr | psr::D);
            *bench.cpu() = masked;
            assert!(run(&mut bench).is_ok(), "{what}: PSTATE.D is set");
        }
    }
}
