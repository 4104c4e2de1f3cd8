//! Random programs with faults, self-modifying code, changes of page tables, of modes and of levels, and interrupts go through
//! the same states under both accelerators: at each exception and at their end. Careful ones, which have translations
//! forgotten as the architecture asks for, also on a machine that remembers neither code nor translations.
//!
//! `EMU_FUZZ_SEQUENCES=1000000 cargo test -p emu-frontend-x86 --test sequences` is a long run; `EMU_FUZZ_SEED=N` says
//! which seed is the first. A failure names its seed, and prints the program with all taken out that can be.
#![allow(clippy::restriction, reason = "this is how a test fails")]

#[path = "../../../tests/sequences/mod.rs"]
mod sequences;
mod x86;

use sequences::{census, harness, memory, pair, program};
use sequences::{harness::Alone, pair::Together, trial::all_end_in_the_same_state};

#[test]
fn x86_all_end_in_the_same_state() {
    all_end_in_the_same_state::<Alone<x86::Maker>>();
}

#[test]
fn x86_pairs_all_end_in_the_same_states() {
    all_end_in_the_same_state::<Together<x86::Maker>>();
}

#[test]
fn x86_programs_do_what_they_are_for() {
    census::expect::<x86::Maker>(&[
        ("real", 4000),
        ("v86", 3000),
        ("prot16/3", 800),
        ("prot32/0", 10000),
        ("prot32/3", 8000),
        ("compat/3", 3000),
        ("long/0", 20000),
        ("long/3", 1500),
        ("mapped again", 2000),
        ("across", 120),
        ("shadow", 50),
        ("step", 150),
        ("#DE", 25),
        ("#DB", 150),
        ("#BP", 4),
        ("#UD", 200),
        ("#NM", 5),
        ("#DF", 10),
        ("#NP", 5),
        ("#GP", 300),
        ("#PF", 400),
        ("#MF", 80),
        ("#AC", 8),
        ("#XM", 3),
        ("int", 20),
        ("interrupt", 40),
        ("fill", 1200),
        ("fault", 400),
        ("flush", 200),
        ("context", 1500),
    ]);
}

#[test]
fn x86_pairs_do_what_they_are_for() {
    census::expect_of_pairs::<x86::Maker>(&[
        ("long/0", 20000),
        ("prot32/0", 1000),
        ("across", 120),
        ("#PF", 400),
        ("interrupt", 40),
        ("fill", 1200),
        ("fault", 400),
        ("flush", 200),
        ("context", 1000),
    ]);
}

/// Lists the program of a seed, for whoever looks for what is wrong with it.
#[test]
#[ignore = "it tests nothing"]
fn list() {
    let seed = std::env::var("EMU_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let program = x86::Maker::new().program(seed.unwrap_or(1));
    println!("{}", harness::listing::<x86::Maker>(&program));
}
