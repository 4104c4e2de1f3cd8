//! What the backward pass tells the emitter: until when values live, where they are best made, how far comparisons are.

use super::*;
use crate::opt::backward::Life;
use crate::pins;

/// What is found out about each operation of a block, and in which order values die, from its end.
fn lives(build: impl FnOnce(&mut Builder)) -> (Vec<Life>, Vec<(u16, Val)>) {
    let mut b = Builder::new();
    build(&mut b);
    let mut scratch = Scratch::default();
    let lives = super::super::lives(&b.block, &LAYOUT, CallEffect::of::<TestGuest>, &mut scratch);
    (lives.vals.clone(), lives.deaths.clone())
}

#[test]
fn values_end_with_their_last_use_and_what_nobody_needs_has_no_end() {
    let (lives, deaths) = lives(|b| {
        let (x, y) = (b.get(pinned(0)), b.get(pinned(1)));
        let sum = b.add(x, y);
        b.not(sum);
        b.set(pinned(2), sum);
        let less = b.ult(x, y);
        b.set(any(0, Ty::I8), less);
        b.exit(Leave::Sync);
    });

    let ends: Vec<u16> = lives.iter().map(|life| life.end).collect();
    assert_eq!(ends, [6, 6, 5, 0, 5, 7, 7, 8]);
    assert_eq!(deaths, [(6, Val(5)), (5, Val(0)), (5, Val(1)), (4, Val(2))]);
}

#[test]
fn what_is_there_for_its_effect_has_a_value_that_dies_at_once() {
    let (lives, deaths) = lives(|b| {
        let x = b.get(pinned(0));
        b.load(Ty::I32, x, Mem::new(2, 0));
        b.call(Ty::I32, crate::cases::MIX, &[x]);
        b.exit(Leave::Sync);
    });

    let ends: Vec<u16> = lives.iter().map(|life| life.end).collect();
    assert_eq!(ends, [2, 2, 0, 4], "a pure call nobody uses is not needed");
    assert_eq!(deaths, [(1, Val(1)), (1, Val(0))]);
}

#[test]
fn the_next_comparison_is_as_far_as_operations_that_are_looked_at() {
    let (lives, _) = lives(|b| {
        let (x, y) = (b.get(pinned(0)), b.get(pinned(1)));
        let sum = b.add(x, y);
        b.set(pinned(2), sum);
        let less = b.ult(x, y);
        b.set(any(0, Ty::I8), less);
        b.exit(Leave::Sync);
    });

    let distances: Vec<u8> = lives.iter().map(|life| life.comparison).collect();
    assert_eq!(distances, [4, 3, 2, 1, 255, 255, 255]);
}

/// Where the sum of a block is best made that sets pinned slot 2 to it, after what `between` does.
fn hint(between: impl FnOnce(&mut Builder, Val)) -> u8 {
    let mut sum = Val::NONE;
    let (lives, _) = lives(|b| {
        let (x, y) = (b.get(pinned(0)), b.get(pinned(1)));
        sum = b.add(x, y);
        between(b, x);
        b.set(pinned(2), sum);
        b.exit(Leave::Sync);
    });
    lives[sum.index()].hint
}

#[test]
fn a_value_is_best_made_in_the_pin_that_it_is_set_to_next() {
    assert_eq!(hint(|_, _| {}), 2);
    let other = hint(|b, x| {
        let n = b.not(x);
        b.set(pinned(3), n);
        let r = b.get(pinned(1));
        b.set(any(0, Ty::I32), r);
    });
    assert_eq!(other, 2, "other slots do not matter");
}

#[test]
fn a_value_is_not_made_in_a_pin_that_is_looked_at_or_set_before() {
    let seen = hint(|b, _| {
        let old = b.get(pinned(2));
        b.set(any(0, Ty::I32), old);
    });
    let stored = hint(|b, x| b.store(x, x, Mem::new(2, 0)));
    let called = hint(|b, x| {
        b.call(Ty::I32, crate::cases::BUMP, &[x]);
    });
    let label = hint(|b, _| {
        let c = b.get(any(0, Ty::I8));
        let skip = b.label();
        b.br_if(c, skip);
        b.place(skip);
    });

    assert_eq!([seen, stored, called, label], [pins::NONE; 4]);
}

#[test]
fn a_pin_that_is_wanted_for_a_later_value_is_not_wanted_for_an_earlier_one() {
    let (lives, _) = lives(|b| {
        let (x, y) = (b.get(pinned(0)), b.get(pinned(1)));
        let first = b.add(x, y);
        let second = b.sub(x, y);
        b.set(pinned(2), second);
        b.set(any(0, Ty::I32), first);
        b.set(pinned(3), first);
        b.exit(Leave::Sync);
    });

    assert_eq!((lives[2].hint, lives[3].hint), (3, 2));
}

#[test]
fn stores_that_are_hidden_byte_by_byte_go() {
    let kept = |first: emu_ir::Slot, second: &[emu_ir::Slot]| {
        let (lives, _) = lives(|b| {
            let v = b.get(any(8, first.ty));
            b.set(first, v);
            for (n, slot) in (9..).zip(second) {
                let v = b.get(any(n, slot.ty));
                b.set(*slot, v);
            }
            b.exit(Leave::Sync);
        });
        lives[1].needed()
    };
    let at = |off: u32, ty| emu_ir::Slot {
        off: any(0, ty).off + off as u16,
        ty,
    };

    assert!(
        !kept(at(0, Ty::I64), &[at(0, Ty::I32), at(4, Ty::I32)]),
        "in two pieces"
    );
    assert!(kept(at(0, Ty::I64), &[at(0, Ty::I32)]), "half of it");
    assert!(!kept(at(4, Ty::I32), &[at(0, Ty::V128)]));
    assert!(kept(at(0, Ty::V128), &[at(0, Ty::I64)]));
    // Across the words of 64 bytes that the pass keeps: any(0) starts at byte 48.
    assert!(!kept(at(12, Ty::I64), &[at(12, Ty::I64)]));
    assert!(
        !kept(at(12, Ty::I64), &[at(12, Ty::I32), at(16, Ty::I32)]),
        "on both sides"
    );
    assert!(kept(at(12, Ty::I64), &[at(12, Ty::I32)]), "the near side alone");
    assert!(kept(at(12, Ty::I64), &[at(16, Ty::I32)]), "the far side alone");
    assert_eq!(any(0, Ty::I64).off, 48);
}

#[test]
fn stores_that_are_read_before_others_hide_them_stay() {
    // Byte 12 from any(0) on lies across the words of 64 bytes that the pass keeps.
    let at = |off: u16, ty| emu_ir::Slot {
        off: any(0, ty).off + off,
        ty,
    };
    for (stored, read, stays) in [
        (at(12, Ty::I64), at(12, Ty::I64), true),
        (at(12, Ty::I64), at(12, Ty::I32), true),
        (at(12, Ty::I64), at(16, Ty::I32), true),
        (at(12, Ty::I32), at(16, Ty::I32), false),
        (at(16, Ty::I32), at(12, Ty::I32), false),
        (at(12, Ty::I32), at(8, Ty::I64), true),
        (at(16, Ty::I32), at(16, Ty::V128), true),
        (at(12, Ty::I32), at(12, Ty::I64), true),
        (at(16, Ty::I32), at(12, Ty::I64), true),
    ] {
        let (lives, _) = lives(|b| {
            let v = b.get(any(8, stored.ty));
            b.set(stored, v);
            let seen = b.get(read);
            b.set(any(12, read.ty), seen);
            b.set(stored, v);
            b.exit(Leave::Sync);
        });
        assert_eq!(lives[1].needed(), stays, "{stored:?} {read:?}");
    }
}

#[test]
fn what_only_marks_a_place_ends_past_itself() {
    let (lives, deaths) = lives(|b| {
        let skip = b.label();
        b.insn(0, 0);
        let c = b.get(any(0, Ty::I8));
        b.br_if(c, skip);
        b.place(skip);
        b.exit(Leave::Sync);
    });

    let ends: Vec<u16> = lives.iter().map(|life| life.end).collect();
    assert_eq!(ends, [1, 3, 3, 4, 5]);
    assert_eq!(deaths, [(2, Val(1))]);
}

#[test]
fn constants_are_on_the_way_to_a_comparison_if_they_are_needed() {
    let (lives, _) = lives(|b| {
        let (x, three) = (b.get(pinned(0)), b.i32(3));
        let sum = b.add(x, three);
        b.i32(9);
        b.set(pinned(2), sum);
        let less = b.ult(x, three);
        b.set(any(0, Ty::I8), less);
        b.exit(Leave::Sync);
    });

    let distances: Vec<u8> = lives.iter().map(|life| life.comparison).collect();
    assert_eq!(distances, [4, 3, 2, 2, 1, 255, 255, 255]);
    assert_eq!([lives[1].end, lives[3].end], [6, 0]);
}

#[test]
fn stores_go_that_nothing_looks_at_before_they_are_hidden() {
    fn kept(between: impl FnOnce(&mut Builder, Val)) -> bool {
        let (lives, _) = lives(|b| {
            let v = b.get(any(8, Ty::I32));
            b.set(any(0, Ty::I32), v);
            between(b, v);
            b.set(any(0, Ty::I32), v);
            b.exit(Leave::Sync);
        });
        lives[1].needed()
    }
    let calling = |helper| {
        kept(|b, v| {
            let result = b.call(Ty::I32, helper, &[v]);
            b.set(any(1, Ty::I32), result);
        })
    };

    assert!(!kept(|_, _| {}));
    assert!(!kept(|b, _| _ = b.get(any(0, Ty::I32))), "nobody needs what is read");
    assert!(!kept(|b, _| b.barrier(emu_ir::Fence::Full)));
    assert_eq!(
        [cases::MIX, cases::FLAGGED, cases::BUMP].map(calling),
        [false, false, true],
        "a state helper alone sees the state"
    );
}

#[test]
fn a_jump_hides_stores_to_the_program_counter_alone() {
    let kept = |slot: emu_ir::Slot, leave: fn(&mut Builder, Val)| {
        let (lives, _) = lives(|b| {
            let v = b.get(any(8, slot.ty));
            b.set(slot, v);
            leave(b, v);
        });
        lives[1].needed()
    };
    let jump = |b: &mut Builder, _| b.goto(0, 0, emu_ir::Hint::Jump, false);
    let jump_to = |b: &mut Builder, v| b.goto_val(v, emu_ir::Hint::Jump);

    assert_eq!([kept(LAYOUT.pc, jump), kept(LAYOUT.pc, jump_to)], [false; 2]);
    assert_eq!([kept(LAYOUT.mode, jump), kept(LAYOUT.mode, jump_to)], [true; 2]);
    assert!(kept(LAYOUT.pc, |b, _| b.exit(Leave::Sync)));
}
