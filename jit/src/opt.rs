//! The passes over a block: one forward, one backward, each linear.
//!
//! [`forward`] folds constants, applies identities, reuses equal values and slot contents; [`backward`] finds pure
//! operations nobody uses and slot stores nobody can see, and how long values are needed. Both keep the state exact at
//! every point that can observe it: guest memory accesses and state helpers (they may fault), and the ends of paths.
#![expect(clippy::indexing_slicing, reason = "tables are as long as the block and its labels")]

mod backward;
mod cse;
mod fold;
mod forward;
mod recipe;
mod slots;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use backward::Life;
pub use backward::Lives;
use emu_ir::{Block, Guest, HelperFn, Layout, Val};
pub(crate) use recipe::{Recipe, Step};

/// What calling a helper does to the guest's state: its [`HelperFn`] without the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEffect {
    /// Nothing.
    Pure,
    /// Raises floating-point flags.
    Flags,
    /// Anything; may fault.
    State,
}

impl CallEffect {
    /// The effect of entry `helper` of a guest's table.
    pub fn of<G: Guest>(helper: u16) -> CallEffect {
        match G::HELPERS[helper as usize].f {
            HelperFn::Pure(_) => CallEffect::Pure,
            // What raises none is called in the same way.
            HelperFn::Float(_) | HelperFn::Flags(_) => CallEffect::Flags,
            HelperFn::State(_) | HelperFn::Raise(_) => CallEffect::State,
        }
    }
}

/// Working memory, used again and again.
#[derive(Default)]
pub struct Scratch {
    forward: forward::Tables,
    lives: Lives,
    old: Block,
    map: Vec<Val>,
}

/// Improve a verified block; `effect` is [`CallEffect::of`] its guest. The result is verified in debug builds.
pub fn run(block: &mut Block, layout: &'static Layout, effect: fn(u16) -> CallEffect, scratch: &mut Scratch) {
    improve(block, layout, effect, scratch);
    compact(block, scratch);
}

/// The same for those who look at every operation anyway: what is not needed is still there.
pub fn improve<'s>(
    block: &mut Block,
    layout: &'static Layout,
    effect: fn(u16) -> CallEffect,
    scratch: &'s mut Scratch,
) -> &'s Lives {
    std::mem::swap(block, &mut scratch.old);
    forward::run(&mut scratch.old, block, layout, effect, &mut scratch.forward);
    check(block);
    lives(block, layout, effect, scratch)
}

/// What is needed of a block, improved or not.
pub fn lives<'s>(
    block: &Block,
    layout: &'static Layout,
    effect: fn(u16) -> CallEffect,
    scratch: &'s mut Scratch,
) -> &'s Lives {
    backward::run(block, layout, effect, &mut scratch.lives);
    &scratch.lives
}

/// Remove what [`lives`] last found not to be needed.
pub fn compact(block: &mut Block, scratch: &mut Scratch) {
    let (map, mut to) = (&mut scratch.map, 0);
    map.clear();
    for (i, life) in scratch.lives.vals.iter().enumerate() {
        map.push(Val(to as u16));
        if life.needed() {
            let mut inst = block.insts[i];
            inst.op.rename(map);
            block.insts[to] = inst;
            to += 1;
        }
    }
    block.insts.truncate(to);
    check(block);
}

fn check(block: &Block) {
    if cfg!(debug_assertions) {
        let checked = emu_ir::verify::verify(block);
        assert!(checked.is_ok(), "{checked:?} in {:#?}", block.insts);
    }
}
