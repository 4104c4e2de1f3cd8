//! Random programs with faults, self-modifying code, changes of page tables and interrupts go through the same states under
//! both accelerators: at each exception and at their end. Careful ones, which do all the maintenance that the architecture
//! asks for, also on a machine that remembers neither code nor translations. Pairs of those run on two vCPUs, and change each
//! other's code and tables.
//!
//! `EMU_FUZZ_SEQUENCES=1000000 cargo test -p emu-frontend-arm --test sequences` is a long run; `EMU_FUZZ_SEED=N` says
//! which seed is the first. A failure names its seed, and prints the program with all taken out that can be.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod a32;
mod a64;
mod pattern;
#[path = "../../../tests/sequences/mod.rs"]
mod sequences;

use emu_frontend_arm::platform::IRQ;
use sequences::{census, harness, memory, pair, program};
use sequences::{harness::Alone, memory::Shape, pair::Together, trial::all_end_in_the_same_state};

/// Pages of RAM.
const PAGES: usize = 24;
const MEMORY: Shape = Shape {
    pages: PAGES,
    ports: None,
    line: IRQ,
    raise: 0,
    lower: 4,
    shared: true,
};

#[test]
fn a32_all_end_in_the_same_state() {
    all_end_in_the_same_state::<Alone<a32::Maker>>();
}

#[test]
fn a64_all_end_in_the_same_state() {
    all_end_in_the_same_state::<Alone<a64::Maker>>();
}

#[test]
fn a64_pairs_all_end_in_the_same_states() {
    all_end_in_the_same_state::<Together<a64::Maker>>();
}

#[test]
fn a32_programs_do_what_they_are_for() {
    census::expect::<a32::Maker>(&[
        ("arm", 10000),
        ("thumb", 10000),
        ("across", 120),
        ("usr", 2000),
        ("sys", 2000),
        ("svc", 2000),
        ("undefined", 120),
        ("supervisor-call", 20),
        ("prefetch-abort", 60),
        ("data-abort", 120),
        ("irq", 20),
        ("fill", 1000),
        ("fault", 120),
        ("flush", 60),
        ("context", 60),
    ]);
}

#[test]
fn a64_programs_do_what_they_are_for() {
    census::expect::<a64::Maker>(&[
        ("el0", 3000),
        ("el1h", 5000),
        ("el1t", 2000),
        ("guarded", 5000),
        ("upper", 1000),
        ("undefined", 200),
        ("supervisor-call", 500),
        ("brk", 5),
        ("illegal-state", 3),
        ("instruction-abort", 50),
        ("data-abort", 500),
        ("branch-target", 5),
        ("pointer-authentication", 5),
        ("irq", 50),
        ("fill", 1000),
        ("fault", 500),
        ("flush", 200),
        ("context", 300),
    ]);
}

#[test]
fn a64_pairs_do_what_they_are_for() {
    census::expect_of_pairs::<a64::Maker>(&[
        ("asked", 1200),
        ("posted", 200),
        ("in time", 5),
        ("code", 1000),
        ("mapping", 700),
        ("between", 100),
        ("while waiting", 300),
        ("broadcast", 700),
        ("the same", 7000),
        ("turn", 2000),
    ]);
}
