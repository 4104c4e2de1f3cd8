//! Branch targets in guarded pages, in both accelerators (FEAT_BTI).
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod pages;
mod ram;

use emu_frontend_arm::a64::A64;
use emu_frontend_arm::a64::state::{psr, sctlr};
use emu_jit::engine::Accel;
use emu_jit::engine::trace::{MmuEvent, Tracer, Wants};
use pages::{Bench, GP, GUARDED, OTHER, PLAIN, STACK, TABLES, VECTORS};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of a page: for EL0, read-only.
const EL0: u64 = 1 << 6 | 1 << 7;
const NOP: u32 = 0xd503_201f;
const BTI: u32 = 0xd503_241f;
const BTI_C: u32 = 0xd503_245f;
const BTI_J: u32 = 0xd503_249f;
const PACIASP: u32 = 0xd503_233f;
const BRK: u32 = 0xd420_0000;
const SVC: u32 = 0xd400_0001;
const ERET: u32 = 0xd69f_03e0;
const RET: u32 = 0xd65f_03c0;
const fn br(n: u32) -> u32 {
    0xd61f_0000 | n << 5
}
const fn blr(n: u32) -> u32 {
    0xd63f_0000 | n << 5
}

/// A bench for each accelerator that this host can run.
fn benches() -> Vec<Bench> {
    let all = [Accel::Interp, Accel::Jit].map(|accel| Bench::new(accel, "max"));
    all.into_iter().flatten().collect()
}

/// The exception of a branch of a type to an address.
fn refused(btype: u64, to: u32) -> Result<u64, (u64, u64, u64)> {
    Err((0x3600_0000 | btype, to.into(), btype))
}

/// The first branch to a guarded page that a CPU ever makes is looked at as all others are.
#[test]
fn branches_into_guarded_pages_must_find_a_pad_of_their_kind() {
    let there = Ok(u64::from(GUARDED) + 4);
    let rows = [
        (br(5), [refused(1, GUARDED), there, there, there]),
        (br(16), [refused(1, GUARDED), there, there, there]),
        (blr(5), [refused(2, GUARDED), there, refused(2, GUARDED), there]),
    ];
    for (branch, want) in rows {
        for (pad, want) in [NOP, BTI_C, BTI_J, PACIASP].into_iter().zip(want) {
            for mut bench in benches() {
                bench.code(PLAIN, &[branch]).code(GUARDED, &[pad]);
                assert_eq!(bench.run(), want, "{branch:#x} to {pad:#x}");
                // The second, now that guarded pages are known.
                let mut again = *bench.cpu();
                (again.pc, again.x) = (PLAIN.into(), [GUARDED.into(); 32]);
                again.set_psr(psr::SP | 1 << psr::EL_SHIFT);
                *bench.cpu() = again;
                assert_eq!(bench.run(), want, "{branch:#x} to {pad:#x} again");
            }
        }
    }
}

/// From a guarded page BR is of type 3, but by X16 and X17; SCTLR_EL1.BT1 then refuses PACIASP.
#[test]
fn branches_within_guarded_pages_are_stricter() {
    let to = GUARDED + 0x100;
    let rows = [
        (br(5), BTI_C, 0, refused(3, to)),
        (br(5), BTI_J, 0, Ok(u64::from(to) + 4)),
        (br(17), BTI_C, 0, Ok(u64::from(to) + 4)),
        (br(5), PACIASP, 0, Ok(u64::from(to) + 4)),
        (br(5), PACIASP, sctlr::BT1, refused(3, to)),
        (br(5), PACIASP, sctlr::BT0, Ok(u64::from(to) + 4)),
        (br(16), PACIASP, sctlr::BT1, Ok(u64::from(to) + 4)),
        (br(5), BTI, 0, refused(3, to)),
    ];
    for (branch, pad, control, want) in rows {
        for mut bench in benches() {
            bench.code(GUARDED, &[branch]).code(to, &[pad]);
            let cpu = bench.cpu();
            cpu.x = [to.into(); 32];
            cpu.pc = GUARDED.into();
            cpu.sys.sctlr |= control;
            cpu.update_mode();
            assert_eq!(bench.run(), want, "{branch:#x} to {pad:#x}, {control:#x}");
        }
    }
}

/// Direct branches, returns and what just follows need none; nor does anything in other pages, or without the feature.
#[test]
fn nothing_else_is_looked_at() {
    for mut bench in benches() {
        // To the guarded page and back by RET, directly, through a page that is not guarded.
        let bl = 0x9400_0000 | (0x400 - 1);
        bench.code(PLAIN, &[NOP, bl, br(6)]).code(GUARDED, &[NOP, RET]);
        bench.cpu().x[6] = OTHER.into();
        assert_eq!(bench.run(), Ok(OTHER.into()));
    }
    for mut bench in benches() {
        bench.code(PLAIN, &[RET]).code(GUARDED, &[NOP]);
        bench.cpu().x[30] = GUARDED.into();
        assert_eq!(bench.run(), Ok(u64::from(GUARDED) + 4));
    }
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(mut bench) = Bench::new(accel, "max,bti=off") else {
            continue;
        };
        bench.code(PLAIN, &[blr(5)]).code(GUARDED, &[NOP]);
        assert_eq!(bench.run(), Ok(u64::from(GUARDED) + 4));
    }
}

/// An old branch is not what came to a page: an exception return, a page that has become guarded since.
#[test]
fn a_branch_is_looked_at_once() {
    for mut bench in benches() {
        // The branch's target is not guarded; it loops to itself, then it is guarded.
        bench.page(GUARDED, 0).code(PLAIN, &[blr(5)]).code(GUARDED, &[NOP]);
        assert_eq!(bench.run(), Ok(u64::from(GUARDED) + 4));
        bench.page(GUARDED, GP);
        let cpu = bench.cpu();
        (cpu.pc, cpu.sys.elr, cpu.sys.spsr) = (OTHER.into(), GUARDED.into(), 0b0101);
        bench.code(OTHER, &[ERET]);
        assert_eq!(bench.run(), Ok(u64::from(GUARDED) + 4));
    }
}

/// The last indirect branch went elsewhere: what came here is an exception return, or a direct branch.
#[test]
fn a_branch_to_elsewhere_is_no_branch_to_here() {
    let direct = 0x1400_0000 | 0x3ff_ffff & (GUARDED.wrapping_sub(OTHER) >> 2);
    for last in [ERET, direct] {
        for mut bench in benches() {
            bench.code(PLAIN, &[br(6)]).code(OTHER, &[last]).code(GUARDED, &[NOP]);
            let cpu = bench.cpu();
            (cpu.x[6], cpu.sys.elr, cpu.sys.spsr) = (OTHER.into(), GUARDED.into(), 0b0101);
            assert_eq!(bench.run(), Ok(u64::from(GUARDED) + 4), "{last:#x}");
        }
    }
}

/// PSTATE.BTYPE goes to SPSR_EL1 and comes back from it: of a BRK there, of an interrupt's or an abort's return.
#[test]
fn the_type_is_saved_and_restored() {
    for mut bench in benches() {
        bench.code(PLAIN, &[blr(5)]).code(GUARDED, &[BRK]);
        assert_eq!(bench.run(), Err((0xf200_0000, GUARDED.into(), 2)));
    }
    // The target is mapped after an abort, at which BTYPE is kept, and only then looked at.
    for known in [false, true] {
        for mut bench in benches() {
            bench.code(PLAIN, &[blr(5)]).code(GUARDED, &[NOP]).page(OTHER, GP);
            if known {
                bench.cpu().pc = OTHER.into();
                bench.run().unwrap();
                bench.cpu().pc = PLAIN.into();
            }
            let place = TABLES[2] + 8 * 3;
            bench.ram.put(place, &[0; 8]);
            bench.v.reset_caches();
            let (esr, elr, btype) = bench.run().unwrap_err();
            assert_eq!((esr, elr, btype), (0x8600_0007, GUARDED.into(), 2), "{known}");
            bench.page(GUARDED, GP).page(OTHER, 0).code(OTHER, &[ERET]);
            bench.cpu().pc = OTHER.into();
            assert_eq!(bench.run(), refused(2, GUARDED));
        }
    }
}

/// Each exception level has its own pages: a program's guarded code calls a kernel that has none, and goes on.
#[test]
fn levels_are_guarded_apart() {
    for mut bench in benches() {
        bench.page(GUARDED, GP | EL0).page(PLAIN, EL0);
        bench.code(PLAIN, &[blr(5)]).code(GUARDED, &[BTI_C, SVC, br(7)]);
        bench.code(GUARDED + 0x100, &[NOP]);
        for vector in [0x200, 0x400] {
            // SVC returns; all else stays.
            bench.code(
                VECTORS + vector,
                &[0xd538_5202, 0xd35a_fc42, 0xf100_545f, 0x5400_0041, ERET, pages::WFI],
            );
        }
        let cpu = bench.cpu();
        cpu.x[7] = u64::from(GUARDED) + 0x100;
        cpu.set_psr(0);
        cpu.x[31] = STACK.into();
        let (esr, elr, btype) = bench.run().unwrap_err();
        assert_eq!((esr, elr, btype), (0x3600_0003, u64::from(GUARDED) + 0x100, 3));
    }
}

/// Tags go before the target is looked at.
#[test]
fn a_tag_does_not_hide_a_target() {
    for mut bench in benches() {
        bench.code(PLAIN, &[blr(5)]).code(GUARDED, &[NOP]);
        bench.cpu().x[5] |= 0x5a << 56;
        assert_eq!(bench.run(), refused(2, GUARDED));
    }
}

/// Counts contexts that are taken up, and faults of walks.
struct Turns(Arc<AtomicUsize>);

impl Tracer<A64> for Turns {
    fn wants(&self) -> Wants {
        Wants {
            mmu: true,
            ..Wants::default()
        }
    }
    fn mmu(&mut self, event: &MmuEvent) {
        if matches!(event, MmuEvent::Context { .. } | MmuEvent::Fault { .. }) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Calls between pages that are guarded and pages that are not are as cheap as others: nothing is looked up anew.
#[test]
fn only_the_first_guarded_page_is_a_turn() {
    for mut bench in benches() {
        let turns = Arc::new(AtomicUsize::new(0));
        bench.v.set_tracer(Some(Box::new(Turns(turns.clone()))));
        // blr x5; subs x6, x6, #1; b.ne -8
        bench
            .code(PLAIN, &[blr(5), 0xf100_04c6, 0x54ff_ffc1])
            .code(GUARDED, &[BTI_C, RET]);
        bench.cpu().x[6] = 1000;

        assert_eq!(bench.run(), Ok(u64::from(PLAIN) + 12));

        let turns = turns.load(Ordering::Relaxed);
        assert!((1..10).contains(&turns), "{turns} turns");
    }
}
