//! What the passes do to telling blocks, and that they change no meaning.

use super::*;
use crate::cases::random::Blocks;
use crate::cases::{self, LAYOUT, Operands, PAGE_BASE, Random, State, TestGuest, TestMemory};
use crate::interp::{self, Next, Prepared, Stopped};
use emu_ir::print::Listing;

type Outcome = (Result<Next, Stopped>, State, TestMemory);

fn outcome(block: &Block, state: &State) -> Outcome {
    let (mut state, mut mem) = (*state, TestMemory::default());
    let code = Prepared::new(block.clone());
    let next = interp::run(
        &mut TestGuest,
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
