//! What the passes do to telling blocks, and that they change no meaning.

mod identities;
mod lives;

use super::*;
use crate::cases::random::Blocks;
use crate::cases::{self, LAYOUT, Operands, PAGE_BASE, Random, State, TestGuest, TestMemory, any, pinned};
use crate::interp::{self, Next, Prepared, Stopped};
use emu_ir::print::Listing;
use emu_ir::{Builder, Leave, Mem, Ty, Val};

type Outcome = (Result<Next, Stopped>, State, TestMemory);

fn outcome(block: &Block, state: &State) -> Outcome {
    let (mut state, mut mem) = (*state, TestMemory::default());
    let code = Prepared::new(block.clone());
    let next = interp::run(
        &mut TestGuest::default(),
        &mut state,
        &mut mem,
        &code,
        PAGE_BASE,
        &mut interp::Scratch::default(),
    );
    (next, state, mem)
}

fn optimised(block: &Block, scratch: &mut Scratch) -> Block {
    let mut better = block.clone();
    run(&mut better, &LAYOUT, CallEffect::of::<TestGuest>, scratch);
    better
}

fn assert_same(block: &Block, state: &State, scratch: &mut Scratch, what: &dyn std::fmt::Debug) {
    let better = optimised(block, scratch);
    let (plain, improved) = (outcome(block, state), outcome(&better, state));
    if plain != improved {
        let show = |block| Listing { block, layout: &LAYOUT }.to_string();
        panic!(
            "{what:?}\n{}\nbecame\n{}\n{:x?}\n{:x?}\n{:x?}\n{:x?}",
            show(block),
            show(&better),
            plain.0,
            improved.0,
            plain.1,
            improved.1
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn every_case_means_the_same_optimised() {
    let mut scratch = Scratch::default();
    for case in cases::all() {
        for how in Operands::ALL {
            for (n, row) in case.rows().iter().enumerate().step_by(11) {
                assert_same(
                    &case.block(*how, row),
                    &case.state(row, n as u32),
                    &mut scratch,
                    &(case.name, how, row),
                );
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn random_blocks_mean_the_same_optimised() {
    let (blocks, mut scratch) = (Blocks::new(), Scratch::default());
    let case = &cases::all()[0];
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let len = 10 + random.below(120) as usize;
        let block = blocks.block(&mut random, len);
        emu_ir::verify::verify(&block).expect("a valid random block");
        for n in 0..2 {
            assert_same(&block, &case.state(&[], n + seed as u32), &mut scratch, &seed);
        }
    }
}

/// The operations left of what `build` makes, without the `Insn` marks.
fn left(build: impl FnOnce(&mut Builder)) -> Vec<String> {
    let mut b = Builder::new();
    build(&mut b);
    let better = optimised(&b.block, &mut Scratch::default());
    let text = Listing {
        block: &better,
        layout: &LAYOUT,
    }
    .to_string();
    text.lines().map(|l| l.trim().to_string()).collect()
}

#[test]
fn constants_fold_through_slots_and_stores_of_what_is_there_go() {
    let lines = left(|b| {
        let (x, y) = (b.i32(5), b.i32(7));
        b.set(pinned(0), x);
        let old = b.get(pinned(0));
        let sum = b.add(old, y);
        b.set(pinned(1), sum);
        b.set(pinned(0), x);
        b.exit(Leave::Sync);
    });
    let expected = [
        "%0 = Const.I32 0x5",
        "Set.I32 r0 <- %0",
        "%2 = Const.I32 0xc",
        "Set.I32 r1 <- %2",
        "Exit.I8 why: Sync",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn flags_nobody_sees_go_and_flags_before_a_fault_stay() {
    let flags = |between: fn(&mut Builder, Val)| {
        left(|b| {
            let x = b.get(pinned(0));
            let y = b.not(x);
            let less = b.ult(y, x);
            b.set(any(0, Ty::I8), less);
            between(b, x);
            let equal = b.eq(y, x);
            b.set(any(0, Ty::I8), equal);
            b.exit(Leave::Sync);
        })
    };
    let unseen = flags(|_, _| {});
    let count = |lines: &[String]| lines.iter().filter(|l| l.starts_with("Set.I8")).count();
    assert_eq!(count(&unseen), 1, "{unseen:#?}");
    assert!(!unseen.iter().any(|l| l.contains("Ult")), "{unseen:#?}");
    let faulting = flags(|b, x| b.store(x, x, Mem::new(2, 0)));
    assert_eq!(count(&faulting), 2, "{faulting:#?}");
    let called = flags(|b, x| {
        b.call(Ty::I32, crate::cases::BUMP, &[x]);
    });
    assert_eq!(count(&called), 2, "{called:#?}");
    let pure = flags(|b, x| {
        b.call(Ty::I32, crate::cases::MIX, &[x]);
    });
    assert_eq!(count(&pure), 1, "{pure:#?}");
}

#[test]
fn a_store_hidden_on_one_way_only_stays() {
    let lines = left(|b| {
        let (x, c) = (b.get(pinned(0)), b.get(any(0, Ty::I8)));
        let skip = b.label();
        b.set(pinned(1), x);
        b.set(pinned(2), x);
        b.br_if(c, skip);
        let n = b.not(x);
        b.set(pinned(1), n);
        b.place(skip);
        let one = b.i32(1);
        b.set(pinned(2), one);
        b.exit(Leave::Sync);
    });
    let sets = |name: &str| {
        lines
            .iter()
            .filter(|l| l.starts_with(&format!("Set.I32 {name}")))
            .count()
    };
    assert_eq!((sets("r1"), sets("r2")), (2, 1), "{lines:#?}");
}

#[test]
fn what_was_known_before_a_skipped_region_is_known_behind_it() {
    let lines = left(|b| {
        let (x, c) = (b.get(pinned(0)), b.get(any(0, Ty::I8)));
        let skip = b.label();
        b.br_if(c, skip);
        let n = b.not(x);
        b.set(pinned(1), n);
        b.place(skip);
        let (again, other) = (b.get(pinned(0)), b.get(pinned(1)));
        let sum = b.add(again, other);
        b.set(pinned(2), sum);
        b.exit(Leave::Sync);
    });
    let gets = |name: &str| lines.iter().filter(|l| l.ends_with(&format!("Get.I32 {name}"))).count();
    assert_eq!((gets("r0"), gets("r1")), (1, 1), "{lines:#?}");
}

/// `refuse` may fault.
const REFUSE: u16 = 3;

/// A path that faults under a condition, unless a label is open whose path it is on.
#[test]
fn faults_under_a_condition_are_moved_behind_all_else() {
    let block = |open: bool| {
        left(|b| {
            let (x, c) = (b.get(pinned(0)), b.get(any(0, Ty::I8)));
            let (go, end) = (b.label(), b.label());
            if open {
                b.br_if(c, end);
            }
            let low = b.trunc(Ty::I8, x);
            b.br_if(low, go);
            b.call(Ty::I32, REFUSE, &[x]);
            b.exit(Leave::Wait);
            b.place(go);
            let n = b.not(x);
            b.set(pinned(1), n);
            b.place(end);
            b.exit(Leave::Sync);
        })
    };
    let at = |lines: &[String], what: &str| lines.iter().position(|line| line.contains(what)).unwrap();

    let moved = block(false);
    assert!(at(&moved, "why: Sync") < at(&moved, "Call"), "{moved:#?}");
    let stays = block(true);
    assert!(at(&stays, "Call") < at(&stays, "why: Sync"), "{stays:#?}");
}

/// Debug builds see that what each uses is defined there.
#[test]
fn a_path_moved_behind_all_else_uses_what_was_made_since_an_earlier_one_branched_off() {
    let lines = left(|b| {
        let x = b.get(pinned(0));
        let check = |b: &mut Builder, x: Val, code: Val| {
            let go = b.label();
            let low = b.trunc(Ty::I8, x);
            b.br_if(low, go);
            b.call(Ty::I32, REFUSE, &[code]);
            b.exit(Leave::Wait);
            b.place(go);
        };
        check(b, x, x);
        let y = b.get(pinned(1));
        let made = b.mul(x, y);
        check(b, y, made);
        b.exit(Leave::Sync);
    });

    let calls = lines.iter().filter(|line| line.contains("Call"));
    assert_eq!(calls.count(), 2, "{lines:#?}");
}

#[test]
fn branches_on_constants_take_their_dead_code_along() {
    let lines = left(|b| {
        let (yes, no) = (b.bool(true), b.bool(false));
        let (end, never) = (b.label(), b.label());
        b.br_if(no, never);
        b.br_if(yes, end);
        let x = b.i32(1);
        b.set(pinned(0), x);
        b.exit(Leave::Wait);
        b.place(never);
        b.exit(Leave::Yield);
        b.place(end);
        b.exit(Leave::Sync);
    });
    assert_eq!(lines, ["Br.I8 label: Label(0)", "L0:", "Exit.I8 why: Sync"]);
}

#[test]
fn slots_seen_as_another_type_are_reinterpreted_and_overlaps_invalidate() {
    let lines = left(|b| {
        let d = b.get(any(0, Ty::F64));
        let v = b.get(any(0, Ty::V64));
        b.set(any(1, Ty::V64), v);
        let half = b.get(any(0, Ty::I32));
        b.set(any(2, Ty::I32), half);
        let zero = b.i32(0);
        b.set(any(0, Ty::I32), zero);
        let whole = b.get(any(0, Ty::F64));
        b.set(any(3, Ty::F64), whole);
        b.set(any(4, Ty::F64), d);
        b.exit(Leave::Sync);
    });
    let count = |what: &str| lines.iter().filter(|l| l.contains(what)).count();
    assert_eq!(
        (count("Get.F64"), count("Get.V64"), count("Bitcast.V64")),
        (2, 0, 1),
        "{lines:#?}"
    );
}

#[test]
fn floating_point_keeps_its_flags() {
    let lines = left(|b| {
        let zero = b.i32(0);
        b.set(LAYOUT.fp_flags, zero);
        let x = b.get(any(0, Ty::F32));
        b.fadd(x, x, emu_ir::Fenv::IEEE);
        let raised = b.get(LAYOUT.fp_flags);
        b.set(pinned(0), raised);
        b.exit(Leave::Sync);
    });
    assert!(lines.iter().any(|l| l.contains("FAdd")), "{lines:#?}");
    assert!(lines.iter().any(|l| l.contains("Get.I32 [0x8]")), "{lines:#?}");
}
